// SPDX-License-Identifier: Apache-2.0
// A manifest that anybody may have written, as the client library and the daemon's reader see it: by name,
// and while it changes under the mapping. The input is the file; what follows it (see split()) are later
// changes.
#include "fuzz.h"
#include "internal.h"
#include "manifest/reader.h"

#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

// A destination of this process whose manifest is rewritten in place: nobody has it mapped in between.
class Destination {
public:
  Destination() {
    const char* const base = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    folder = std::string(base) + "/tmpdump-fuzz-XXXXXX";
    require(::mkdtemp(folder.data()) != nullptr, "mkdtemp");
    require(::mkdir((folder + "/.tmpdump").c_str(), 0755) == 0, "mkdir");
    fd = ::open((folder + "/.tmpdump/manifest").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    require(fd >= 0, "open");
  }
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
  ~Destination() {
    ::close(fd);
    std::error_code ignored;
    std::filesystem::remove_all(folder, ignored);
  }
  std::string folder;
  int fd = -1;
};

constexpr std::size_t change_size = 7; // where (4), what (2), and whether the hash is made right again (1)

// Who knows the format makes its hash right: the checks behind it are what is of interest.
void make_hash_right(std::string& file) {
  if (file.size() < sizeof(tmpdump_manifest_header)) return;
  std::vector<std::uint64_t> aligned(file.size() / 8 + 1);
  std::memcpy(aligned.data(), file.data(), file.size());
  auto* header = reinterpret_cast<tmpdump_manifest_header*>(aligned.data());
  tmpdump_view view{};
  if (tmpdump_view_open(&view, aligned.data(), file.size()) != TMPDUMP_VIEW_BAD || view.slots == nullptr)
    return;
  header->listing_hash = tmpdump_manifest_listing_hash(&view, header);
  std::memcpy(file.data(), aligned.data(), file.size());
}

void known(int code) {
  require(code >= TMPDUMP_OK && code <= TMPDUMP_SYSTEM, "a call returns one of the codes");
  require(tmpdump_strerror(code) != nullptr, "which has a text");
}

void ask_all(tmpdump_client& client, const std::string& folder) {
  const std::string absolute = folder + "/lib/a.so", below = folder + "/lib/../link/x";
  for (const char* path : {"lib/a.so", "lib/b.so", "lib", "link", "link/a.so", "absent", absolute.c_str(),
                           below.c_str(), folder.c_str(), ".", "a/../../x"}) {
    for (const auto use : {TMPDUMP_USE_NAME, TMPDUMP_USE_FILE, TMPDUMP_USE_LIST, TMPDUMP_USE_LOAD})
      known(tmpdump_client_wait_use(&client, path, use, 0));
    known(tmpdump_client_holds(&client, path));
  }
  known(tmpdump_client_wait(&client, 0));
  tmpdump_report report{};
  report.size = sizeof report;
  known(tmpdump_client_status(&client, &report));
  char text[300];
  static_cast<void>(tmpdump_client_reason(&client, text, sizeof text));
  require(std::memchr(text, 0, sizeof text) != nullptr, "a reason ends");
  for (const char* at = text; *at != '\0'; ++at)
    require(static_cast<unsigned char>(*at) >= 0x20, "a reason is one line");
}

void read_all(const std::string& folder) {
  const auto reader = manifest::Reader::open(folder);
  if (!reader) return require_message(reader.error());
  const auto status = reader->status();
  if (status.failure) {
    for (const char c : status.failure->message)
      require(static_cast<unsigned char>(c) >= 0x20, "a reason is one line");
  }
  for (std::uint32_t i = 0; i < std::min(reader->entry_count(), 100U); ++i) {
    const auto entry = reader->entry(i);
    if (!entry) {
      require_message(entry.error());
      continue;
    }
    for (const std::uint32_t needed : entry->needed)
      require(needed < reader->entry_count(), "what is needed is an entry");
  }
  static_cast<void>(reader->find("lib/a.so"));
  static_cast<void>(manifest::read_previous(folder));
}

} // namespace

FUZZ_TARGET(manifest) {
  static const Destination destination;
  const auto form = input.number<std::uint8_t>();
  const std::size_t changes = form & 7U;
  Bytes all = input.rest();
  const std::size_t changes_size = std::min(all.size(), changes * change_size);
  Input later(all.last(changes_size));
  std::string file(text_of(all.first(all.size() - changes_size)));
  // The header's text is seldom of interest: a short input stands for a file with an empty one.
  if ((form & 8U) != 0) file.insert(std::min<std::size_t>(file.size(), 304), 4096 - 304, '\0');
  if ((form & 16U) != 0) make_hash_right(file);
  require(::ftruncate(destination.fd, 0) == 0, "ftruncate");
  require(::pwrite(destination.fd, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()),
          "pwrite");

  tmpdump_client client{.destination = destination.folder.c_str(), .current = nullptr};
  ask_all(client, destination.folder);
  while (!later.empty() && !file.empty()) {
    const std::size_t at = later.number<std::uint32_t>() % file.size();
    const auto value = later.number<std::uint16_t>();
    const bool right = later.number<std::uint8_t>() % 2 != 0;
    std::memcpy(file.data() + at, &value, std::min(sizeof value, file.size() - at));
    if (right) make_hash_right(file);
    require(::pwrite(destination.fd, file.data(), file.size(), 0) == static_cast<ssize_t>(file.size()),
            "pwrite");
    ask_all(client, destination.folder);
  }
  read_all(destination.folder);
  tmpdump_client_release(&client);
}
