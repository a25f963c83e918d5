// SPDX-License-Identifier: Apache-2.0
#include "pack/sources.h"

#include "pack/entry_reader.h"
#include "pack/levels.h"
#include "pack/text.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <map>
#include <memory>
#include <optional>
#include <sys/stat.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace {

constexpr std::uint64_t max_target = zip::max_symlink_target;

std::string joined(const std::string& folder, const std::string& name) {
  return folder.empty() ? name : folder + "/" + name;
}

bool is_jar(const std::string& path) {
  return path.ends_with(".jar") || path.ends_with(".war");
}

result<struct stat> status_of(const std::string& path, bool follow) {
  struct stat status {};
  if ((follow ? ::stat(path.c_str(), &status) : ::lstat(path.c_str(), &status)) != 0) {
    return system_failure("read " + quote_file(path), errno);
  }
  return status;
}

// Modes are as git keeps them: what else there is depends on who made the file, and an archive must not.
mode_t mode_of(const struct stat& status) {
  return (status.st_mode & S_IXUSR) != 0 ? 0755 : 0644;
}

result<std::vector<std::string>> names_in(const std::string& folder) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(folder.c_str()), &::closedir);
  if (!directory) return system_failure("read the directory " + quote(folder), errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const found = ::readdir(directory.get());
    if (found == nullptr) break;
    const std::string name = found->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return system_failure("read the directory " + quote(folder), errno);
  std::sort(names.begin(), names.end());
  return names;
}

struct Place {
  std::string source;
  std::optional<std::string> at; // "": the archive's root
};

// "SOURCE=PLACE", unless a file of that whole name exists.
Place split_place(const std::string& text) {
  struct stat status {};
  const std::size_t sign = text.rfind('=');
  if (sign == std::string::npos || ::lstat(text.c_str(), &status) == 0) return {text, {}};
  std::string at = text.substr(sign + 1);
  while (at.ends_with('/'))
    at.pop_back();
  return {text.substr(0, sign), at == "." ? std::string() : at};
}

// A path of a module whose natives JavaCPP loads.
bool in_module(std::string_view path) {
  return path.starts_with("org/bytedeco/") || path.starts_with("org/nd4j/");
}

class Collector {
public:
  Collector(const SourceOptions& options, Workspace& workspace, const Interrupt& interrupt)
      : options_(options), workspace_(workspace), interrupt_(interrupt) {}

  result<void> leave_out_file(const std::string& path);
  result<void> add_source(const std::string& text);
  result<void> add_class_path();
  result<void> add_variant(const Variant& variant);
  result<Collected> finish();

private:
  result<void> add_tree(const std::string& place, const std::string& folder);
  result<void> add_path(const std::string& place, const std::string& path, bool named);
  result<void> add_link(const std::string& place, const std::string& path);
  result<void> add_jar(const std::string& folder, const std::string& jar);
  result<void> add_native(const std::string& place, const ArchiveFile& jar, const zip::Entry& entry);
  result<void> add_jars_of(const std::string& folder);
  // False: not wanted, and noted as left out.
  bool wanted(Item& item);
  result<void> put(Item item);
  void left_out(const std::string& origin, std::string why, std::uint64_t size) {
    collected_.left_out.push_back({origin, std::move(why), size});
  }

  const SourceOptions& options_;
  Workspace& workspace_;
  const Interrupt& interrupt_;
  std::optional<std::pair<dev_t, ino_t>> output_;
  std::map<std::string, Item> items_;
  Collected collected_;
};

result<void> Collector::leave_out_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) output_ = {status.st_dev, status.st_ino};
  return {};
}

bool Collector::wanted(Item& item) {
  if (cli::matches_any(options_.exclude, item.path)) {
    left_out(item.origin, "--exclude", item.size);
    return false;
  }
  const bool included = cli::matches_any(options_.include, item.path);
  if (!options_.include.empty() && !included) {
    left_out(item.origin, "no --include matches", item.size);
    return false;
  }
  item.asked_for = item.asked_for || included;
  if (item.asked_for || !options_.default_excludes) return true;
  const std::string_view why = default_exclusion(item.path);
  if (why.empty()) return true;
  left_out(item.origin, std::string(why), item.size);
  return false;
}

result<void> Collector::put(Item item) {
  const auto [at, is_new] = items_.try_emplace(item.path);
  if (is_new) {
    at->second = std::move(item);
    return {};
  }
  const Item& first = at->second;
  if (first.kind == zip::Kind::directory && item.kind == zip::Kind::directory) return {};
  bool same = first.kind == item.kind && first.size == item.size && first.target == item.target;
  if (same && item.kind == zip::Kind::file) {
    TMPDUMP_TRY(same, same_bytes(first, item));
  }
  left_out(item.origin, (same ? "the same as " : "goes to the same place as ") + quote(first.origin),
           item.size);
  if (!same) {
    collected_.notes.push_back(quote(item.path) + " is taken from " + quote(first.origin) + "; " +
                               quote(item.origin) + " is different and left out");
  }
  return {};
}

result<void> Collector::add_source(const std::string& text) {
  const Place place = split_place(text);
  TMPDUMP_TRY(const struct stat status, status_of(place.source, true));
  if (S_ISDIR(status.st_mode)) {
    const std::unique_ptr<char, decltype(&std::free)> real(::realpath(place.source.c_str(), nullptr),
                                                           &std::free);
    if (!real) return system_failure("read " + quote(place.source), errno);
    std::string trimmed = place.source;
    while (trimmed.size() > 1 && trimmed.ends_with('/'))
      trimmed.pop_back();
    const std::string_view last = file_name(trimmed);
    const bool bare = last == "." || last == ".." || last.empty();
    return add_tree(place.at.value_or(bare ? std::string() : std::string(last)), place.source);
  }
  if (is_jar(place.source)) return add_jar(place.at.value_or("lib"), place.source);
  const std::string name(file_name(place.source));
  const std::string folder = place.at.value_or(named_like_a_library(name) ? "lib" : "");
  return add_path(joined(folder, name), place.source, true);
}

result<void> Collector::add_tree(const std::string& place, const std::string& folder) {
  TMPDUMP_TRY(const auto names, names_in(folder));
  if (names.empty() && !place.empty()) {
    Item empty;
    empty.path = place;
    empty.kind = zip::Kind::directory;
    empty.mode = 0755;
    empty.origin = folder;
    if (wanted(empty)) TMPDUMP_CHECK(put(std::move(empty)));
  }
  for (const std::string& name : names)
    TMPDUMP_CHECK(add_path(joined(place, name), joined(folder, name), false));
  return {};
}

result<void> Collector::add_path(const std::string& place, const std::string& path, bool named) {
  TMPDUMP_CHECK(interrupt_.check());
  TMPDUMP_TRY(const struct stat status, status_of(path, named));
  if (S_ISDIR(status.st_mode)) return add_tree(place, path);
  if (S_ISLNK(status.st_mode)) return add_link(place, path);
  if (!S_ISREG(status.st_mode)) {
    left_out(path, "a device, FIFO, or socket", 0);
    return {};
  }
  if (output_ && *output_ == std::pair(status.st_dev, status.st_ino)) return {};
  Item item;
  item.path = place;
  item.mode = mode_of(status);
  item.file = item.origin = path;
  item.size = item.size_before = static_cast<std::uint64_t>(status.st_size);
  item.asked_for = named;
  return wanted(item) ? put(std::move(item)) : result<void>{};
}

// A link that would lead out of the archive cannot be kept: what it leads to is packed in its place. So it is
// with a variant's that leads out of its level's folder, without which it is published.
result<void> Collector::add_link(const std::string& place, const std::string& path) {
  std::string target(max_target + 1, '\0');
  const ssize_t length = ::readlink(path.c_str(), target.data(), target.size());
  if (length < 0) return system_failure("read the link " + quote(path), errno);
  target.resize(static_cast<std::size_t>(length));
  Item item;
  item.path = place;
  item.kind = zip::Kind::symlink;
  item.mode = 0777;
  item.target = target;
  item.origin = path;
  item.size = target.size();
  if (!wanted(item)) return {};
  zip::Entry as_entry;
  const std::string_view level = level_of(place);
  const auto variant = zip::variant_of(place);
  as_entry.path = level.empty() ? place : variant->path.substr(variant->below);
  const std::string out_of = level.empty() ? "the archive" : "the folder for " + std::string(level);
  if (zip::check_symlink_target(as_entry, target)) return put(std::move(item));
  const auto behind = status_of(path, true);
  if (!behind || !S_ISREG(behind->st_mode)) {
    return Failure{Errc::usage, "the link " + quote(path) + " -> " + quote(target) + " leads out of " +
                                    out_of + ", and to no file: change it or --exclude it"};
  }
  collected_.notes.push_back(quote(place) + " is stored as the file that " + quote(path) + " -> " +
                             quote(target) + " leads to, since a link out of " + out_of +
                             (level.empty() ? " would be refused" : " would lead elsewhere"));
  item.kind = zip::Kind::file;
  item.target.clear();
  item.mode = mode_of(*behind);
  item.file = path;
  item.size = item.size_before = static_cast<std::uint64_t>(behind->st_size);
  return put(std::move(item));
}

// org/bytedeco/openblas/linux-x86_64/libopenblas.so.0: what is in the platform's folder itself.
result<void> Collector::add_jar(const std::string& folder, const std::string& path) {
  TMPDUMP_TRY(const ArchiveFile jar, ArchiveFile::open(path));
  TMPDUMP_TRY(const zip::Directory contents, jar.directory());
  for (const zip::Entry& entry : contents.entries) {
    if (entry.kind != zip::Kind::file || !in_module(entry.path)) continue;
    const std::string_view parent = directory(entry.path);
    const auto level = native_level(file_name(parent), options_.platform);
    if (!level || !named_like_a_library(entry.path)) {
      const bool native = parent.find("/" + options_.platform) != std::string_view::npos;
      if (native) left_out(path + "!" + entry.path, "no library of " + options_.platform, entry.size);
      continue;
    }
    const bool variant = !level->empty() && level_of(joined(folder, "any")).empty();
    const std::string place = variant ? joined(folder, "glibc-hwcaps/" + std::string(*level)) : folder;
    TMPDUMP_CHECK(add_native(joined(place, std::string(file_name(entry.path))), jar, entry));
  }
  return {};
}

result<void> Collector::add_native(const std::string& place, const ArchiveFile& jar,
                                   const zip::Entry& entry) {
  TMPDUMP_CHECK(interrupt_.check());
  Item item;
  item.path = place;
  item.mode = 0755; // a jar keeps no modes
  item.origin = jar.path() + "!" + entry.path;
  item.size = item.size_before = entry.size;
  if (!wanted(item)) return {};
  TMPDUMP_TRY(item.file, workspace_.new_file());
  const UniqueFd fd(::open(item.file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return system_failure("unpack " + quote(item.origin) + " into TMPDIR", errno);
  const auto done = read_content(jar, entry, [&](Bytes bytes) -> result<void> {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd.get(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return system_failure("unpack " + quote(item.origin) + " into TMPDIR", errno);
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
    return {};
  });
  if (!done) return done.error().within(quote(jar.path()));
  return put(std::move(item));
}

// As java's launcher takes -cp: "a.jar:dir:libs/*", the first of two that have the same file counts.
result<void> Collector::add_class_path() {
  std::string_view rest = options_.class_path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    const std::string part(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (part == "*" || part.ends_with("/*")) {
      TMPDUMP_CHECK(add_jars_of(part == "*" ? "." : part.substr(0, part.size() - 2)));
    } else if (is_jar(part)) {
      TMPDUMP_CHECK(add_jar("lib", part));
    } // a directory of classes, which need not exist
  }
  return {};
}

result<void> Collector::add_jars_of(const std::string& folder) {
  TMPDUMP_TRY(const auto names, names_in(folder));
  for (const std::string& name : names) {
    if (is_jar(name)) TMPDUMP_CHECK(add_jar("lib", joined(folder, name)));
  }
  return {};
}

result<void> Collector::add_variant(const Variant& variant) {
  constexpr std::array<std::string_view, 3> levels{"x86-64-v2", "x86-64-v3", "x86-64-v4"};
  if (std::find(levels.begin(), levels.end(), variant.level) == levels.end()) {
    return Failure{Errc::usage,
                   "--variant " + quote(variant.level) + ": expected x86-64-v2, x86-64-v3 or x86-64-v4"};
  }
  const std::string place = "lib/glibc-hwcaps/" + variant.level;
  TMPDUMP_TRY(const struct stat status, status_of(variant.source, true));
  if (S_ISDIR(status.st_mode)) return add_tree(place, variant.source);
  if (is_jar(variant.source)) return add_jar(place, variant.source);
  return add_path(joined(place, std::string(file_name(variant.source))), variant.source, true);
}

// A file cannot lie below a file or a link, and links are told when nothing is where they lead.
result<Collected> Collector::finish() {
  for (auto& [path, item] : items_) {
    for (std::string_view parent = directory(path); !parent.empty(); parent = directory(parent)) {
      const auto found = items_.find(std::string(parent));
      if (found != items_.end() && found->second.kind != zip::Kind::directory) {
        return Failure{Errc::usage, quote(item.origin) + " would lie below " + quote(found->second.origin) +
                                        ", which is no directory"};
      }
    }
  }
  for (auto& [path, item] : items_)
    collected_.items.push_back(std::move(item));
  return std::move(collected_);
}

} // namespace

result<bool> same_bytes(const Item& a, const Item& b) {
  constexpr std::size_t step = std::size_t{256} * 1024;
  std::array<UniqueFd, 2> files{UniqueFd(::open(a.file.c_str(), O_RDONLY | O_CLOEXEC)),
                                UniqueFd(::open(b.file.c_str(), O_RDONLY | O_CLOEXEC))};
  for (std::size_t i = 0; i < 2; ++i) {
    if (!files[i]) return system_failure("open " + quote(i == 0 ? a.origin : b.origin), errno);
  }
  std::array<std::vector<char>, 2> buffers{std::vector<char>(step), std::vector<char>(step)};
  for (std::uint64_t at = 0; at < a.size; at += step) {
    const auto length = static_cast<std::size_t>(std::min<std::uint64_t>(step, a.size - at));
    for (std::size_t i = 0; i < 2; ++i) {
      const ssize_t count = ::pread(files[i].get(), buffers[i].data(), length, static_cast<off_t>(at));
      if (count < 0) return system_failure("read " + quote(i == 0 ? a.origin : b.origin), errno);
      if (static_cast<std::size_t>(count) != length) return false;
    }
    if (std::memcmp(buffers[0].data(), buffers[1].data(), length) != 0) return false;
  }
  return true;
}

std::optional<std::string_view> native_level(std::string_view folder, std::string_view platform) {
  if (!folder.starts_with(platform)) return std::nullopt;
  const std::string_view extension = folder.substr(platform.size());
  if (extension.empty()) return std::string_view();
  if (extension == "-avx2") return "x86-64-v3";
  if (extension == "-avx512") return "x86-64-v4";
  return std::nullopt;
}

std::string_view default_exclusion(std::string_view path) {
  const std::string_view name = file_name(path);
  const auto below = [&](std::string_view folder) {
    return path.starts_with(std::string(folder) + "/") ||
           path.find("/" + std::string(folder) + "/") != std::string::npos;
  };
  if (name == ".lock") return "a lock of JavaCPP's cache";
  if (name.ends_with(".a") || name.ends_with(".la")) return "a static library";
  if (name.ends_with(".h") || name.ends_with(".hpp") || name.ends_with(".hxx")) return "a header";
  if (below("__pycache__") || name.ends_with(".py") || name.ends_with(".pyc")) return "a Python module";
  if (below("pkgconfig") || below("cmake") || name.ends_with(".pc") || name.ends_with(".cmake"))
    return "for building only";
  return {};
}

result<Collected> collect(const SourceOptions& options, const std::string& output, Workspace& workspace,
                          const Interrupt& interrupt) {
  Collector collector(options, workspace, interrupt);
  TMPDUMP_CHECK(collector.leave_out_file(output));
  for (const std::string& source : options.sources)
    TMPDUMP_CHECK(collector.add_source(source));
  TMPDUMP_CHECK(collector.add_class_path());
  for (const Variant& variant : options.variants)
    TMPDUMP_CHECK(collector.add_variant(variant));
  return collector.finish();
}

} // namespace tmpdump::pack
