// SPDX-License-Identifier: Apache-2.0
// Decodes an entry into a real destination, as the decode stage does, and looks at what is there afterwards.
#pragma once

#include "fuzz.h"
#include "output/destination.h"
#include "prefetch/entry_output.h"
#include "prefetch/part_stream.h"

#include <array>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace tmpdump::fuzz {

// A destination of this process, in memory where the system has such a folder.
class EntryFiles {
public:
  EntryFiles() {
    const char* const base = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    folder_ = std::string(base) + "/tmpdump-fuzz-XXXXXX";
    require(::mkdtemp(folder_.data()) != nullptr, "mkdtemp");
    auto opened = output::Destination::open(folder_);
    require(opened.has_value(), "the destination opens");
    destination_.emplace(std::move(*opened));
  }
  EntryFiles(const EntryFiles&) = delete;
  EntryFiles& operator=(const EntryFiles&) = delete;
  ~EntryFiles() {
    destination_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  // One for the process.
  static EntryFiles& shared() {
    static EntryFiles files;
    return files;
  }

  // Feeds every part its bytes of `archive`, parts and pieces in an order and of sizes that `chance` gives.
  result<void> decode(const zip::Entry& entry, Bytes archive, Chance& chance, bool whole) {
    const auto parts = prefetch::parts_of(entry);
    const auto output = std::make_shared<prefetch::EntryOutput>(entry, *destination_, parts.size());
    std::array<std::byte, 70'000> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init)
    struct Running {
      std::unique_ptr<prefetch::PartStream> stream;
      Bytes left;
    };
    std::vector<Running> running;
    for (const auto& part : parts) {
      require(part.end <= archive.size(), "a part lies in the archive");
      running.push_back({std::make_unique<prefetch::PartStream>(entry, part, output),
                         archive.subspan(part.begin, part.end - part.begin)});
    }
    std::size_t published = 0;
    while (!running.empty()) {
      const std::size_t turn = whole ? 0 : chance.number() % running.size();
      Running& one = running[turn];
      const std::size_t piece = std::min(one.left.size(), whole ? one.left.size() : chance.size(4096));
      // A piece of its own, so that reading behind it is seen.
      const std::vector<std::byte> bytes(one.left.begin(),
                                         one.left.begin() + static_cast<std::ptrdiff_t>(piece));
      one.left = one.left.subspan(piece);
      const auto scratch = MutableBytes(buffer).first(whole ? buffer.size() : chance.size(buffer.size()));
      const auto fed = one.stream->feed(bytes, scratch);
      if (!fed) return fed.error();
      if (!*fed && one.left.empty()) return Failure{Errc::bad_archive, "the region ends too early"};
      if (!*fed) continue;
      published += one.stream->published() ? 1U : 0U;
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(turn));
    }
    require(published == 1, "the last part publishes");
    return {};
  } // NOLINT(clang-analyzer-cplusplus.NewDeleteLeaks): what `running` owned goes with it

  // What is there under the name; nothing: there is none. Removed afterwards.
  std::optional<std::string> take(const std::string& name) {
    const std::string place = folder_ + "/" + name;
    struct stat status {};
    if (::lstat(place.c_str(), &status) != 0) return std::nullopt;
    std::string content;
    if (S_ISLNK(status.st_mode)) {
      content.resize(4096);
      const ssize_t size = ::readlink(place.c_str(), content.data(), content.size());
      require(size > 0, "readlink");
      content.resize(static_cast<std::size_t>(size));
    } else if (S_ISREG(status.st_mode)) {
      const UniqueFd fd(::open(place.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
      content.resize(static_cast<std::size_t>(status.st_size));
      require(::pread(fd.get(), content.data(), content.size(), 0) == status.st_size, "read");
    }
    require(::remove(place.c_str()) == 0, "remove");
    return content;
  }

  [[nodiscard]] const std::string& folder() const { return folder_; }

private:
  std::string folder_;
  std::optional<output::Destination> destination_;
};

} // namespace tmpdump::fuzz
