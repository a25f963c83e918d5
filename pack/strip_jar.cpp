// SPDX-License-Identifier: Apache-2.0
// A jar is rewritten by copying regions: from an entry's local header to the next one's, so that what neither
// we nor the directory know of (data descriptors, alignment) stays. Only offsets in the central directory
// change.
#include "pack/strip_jar.h"

#include "cli/report.h"
#include "cli/size.h"
#include "pack/archive_copy.h"
#include "pack/little_endian.h"
#include "pack/output_file.h"
#include "pack/text.h"
#include "pack/zip_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <numeric>
#include <sys/stat.h>

namespace tmpdump::pack {

namespace {

constexpr std::size_t offset_field = 42, size_field = 24,
                      packed_field = 20; // in a central header, APPNOTE 4.3.12
constexpr std::uint32_t saturated = 0xFFFFFFFF;
constexpr std::uint16_t zip64_id = 0x0001;

struct Member {
  CentralHeader header;
  std::uint64_t offset = 0; // of the local header, relative to the archive proper, as the directory has it
  std::uint64_t end = 0;    // where the next member, or the directory, begins
  std::uint64_t packed = 0; // bytes
  bool dropped = false;
  std::size_t zip64_offset = 0; // where in the header the 64-bit offset stands; 0: nowhere
};

// The path that Java's class loader would know it by: META-INF/versions/9/org/bytedeco/x is org/bytedeco/x to
// it.
std::string effective_path(std::string_view name) {
  constexpr std::string_view versions = "META-INF/versions/";
  if (!name.starts_with(versions)) return std::string(name);
  const std::string_view rest = name.substr(versions.size());
  const std::size_t slash = rest.find('/');
  const bool number = slash != std::string_view::npos && slash > 0 &&
                      rest.substr(0, slash).find_first_not_of("0123456789") == std::string_view::npos;
  return std::string(number ? rest.substr(slash + 1) : name);
}

// A signature's own files (the JAR File Specification, "Signature file").
bool is_signature(std::string_view name) {
  if (!name.starts_with("META-INF/") || name.find('/', 9) != std::string_view::npos) return false;
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return upper.ends_with(".SF") || upper.ends_with(".RSA") || upper.ends_with(".DSA") ||
         upper.ends_with(".EC") || upper.starts_with("META-INF/SIG-");
}

Failure bad(const ArchiveFile& jar, std::string_view name, std::string_view why) {
  return {Errc::bad_archive, quote(jar.path()) + ": entry " + quote(name) + ": " + std::string(why)};
}

// The numbers of a header, 64-bit ones from the extra field.
result<Member> read_member(const ArchiveFile& jar, const CentralHeader& header) {
  Member member;
  member.header = header;
  member.offset = load_le32(header.whole, offset_field);
  member.packed = load_le32(header.whole, packed_field);
  Bytes extra = header.extra;
  while (extra.size() >= 4) {
    const std::size_t length = load_le16(extra, 2);
    if (length > extra.size() - 4) return bad(jar, header.name, "its extra field is cut off");
    if (load_le16(extra, 0) == zip64_id) {
      const Bytes values = extra.subspan(4, length); // 4.5.3: only what is saturated, in this order
      std::size_t at = load_le32(header.whole, size_field) == saturated ? 8 : 0;
      if (member.packed == saturated && at + 8 <= values.size()) {
        member.packed = load_le64(values, at);
        at += 8;
      }
      if (member.offset == saturated && at + 8 <= values.size()) {
        member.offset = load_le64(values, at);
        member.zip64_offset = static_cast<std::size_t>(values.data() - header.whole.data()) + at;
      }
    }
    extra = extra.subspan(4 + length);
  }
  if (load_le32(header.whole, offset_field) == saturated && member.zip64_offset == 0)
    return bad(jar, header.name, "a zip64 offset is missing");
  return member;
}

result<std::vector<Member>> read_members(const ArchiveFile& jar) {
  TMPDUMP_TRY(const auto headers, jar.headers());
  const std::uint64_t end = jar.location().offset - jar.location().stub_size;
  std::vector<Member> members;
  for (const CentralHeader& header : headers) {
    TMPDUMP_TRY(Member member, read_member(jar, header));
    if (member.offset >= end) return bad(jar, header.name, "its offset lies outside the archive");
    members.push_back(std::move(member));
  }
  std::vector<std::uint64_t> offsets{end};
  for (const Member& member : members)
    offsets.push_back(member.offset);
  std::sort(offsets.begin(), offsets.end());
  for (Member& member : members) {
    member.end = *std::upper_bound(offsets.begin(), offsets.end(), member.offset);
    if (member.packed > member.end - member.offset)
      return bad(jar, member.header.name, "its data overlaps what follows");
  }
  return members;
}

// The archive's own comment: what follows the end record, which follows the directory and zip64's records.
result<std::string> read_comment(const ArchiveFile& jar) {
  const std::uint64_t begin = jar.location().offset + jar.location().size;
  std::string tail(static_cast<std::size_t>(jar.size() - begin), '\0');
  TMPDUMP_CHECK(jar.read_at(begin, std::as_writable_bytes(std::span(tail.data(), tail.size()))));
  const std::size_t end = tail.find("PK\5\6");
  constexpr std::size_t end_size = 22, comment_length = 20;
  if (end == std::string::npos || tail.size() - end < end_size) return std::string();
  return tail.substr(end + end_size, load_le16(bytes_of(tail), end + comment_length));
}

struct Stripped {
  std::size_t entries = 0;
  std::uint64_t before = 0, after = 0;
  std::vector<std::string> signatures;
};

class JarStripper {
public:
  explicit JarStripper(const StripJarArguments& arguments) : arguments_(arguments) {}
  result<Stripped> run();

private:
  result<void> choose(std::vector<Member>& members);
  result<void> write(const ArchiveFile& jar, const std::vector<Member>& members, OutputFile& out);

  const StripJarArguments& arguments_;
  Stripped stripped_;
};

result<void> JarStripper::choose(std::vector<Member>& members) {
  const cli::Globs& globs = arguments_.what.empty() ? default_strip_globs() : arguments_.what;
  for (Member& member : members) {
    const std::string path = effective_path(member.header.name);
    member.dropped = !path.ends_with('/') && cli::matches_any(globs, path);
    stripped_.entries += member.dropped ? 1U : 0U;
    if (!member.dropped && is_signature(member.header.name))
      stripped_.signatures.emplace_back(member.header.name);
  }
  if (stripped_.entries == 0 || stripped_.signatures.empty()) return {};
  if (!arguments_.drop_signatures) {
    return Failure{Errc::usage, quote(arguments_.jar) + " is signed (" +
                                    printable(stripped_.signatures.front()) +
                                    "), and Java refuses a signed jar of which something is missing: give "
                                    "--drop-signatures to make it an unsigned one"};
  }
  for (Member& member : members)
    member.dropped = member.dropped || is_signature(member.header.name);
  return {};
}

result<void> JarStripper::write(const ArchiveFile& jar, const std::vector<Member>& members, OutputFile& out) {
  const Sink sink = [&](Bytes bytes) { return out.append(bytes); };
  const std::uint64_t stub = jar.location().stub_size;
  std::vector<std::size_t> by_place(members.size());
  std::iota(by_place.begin(), by_place.end(), std::size_t{0});
  std::stable_sort(by_place.begin(), by_place.end(),
                   [&](std::size_t a, std::size_t b) { return members[a].offset < members[b].offset; });
  // A launch script before the first entry, whether the offsets count it or not.
  const std::uint64_t prefix = stub + (by_place.empty() ? 0 : members[by_place.front()].offset);
  TMPDUMP_CHECK(copy_range(jar, 0, prefix, sink));
  std::vector<std::uint64_t> places(members.size());
  const Member* last = nullptr;
  std::uint64_t last_place = 0;
  for (const std::size_t i : by_place) {
    const Member& member = members[i];
    if (member.dropped) continue;
    if (last == nullptr || last->offset != member.offset) { // else: two headers of one entry
      last_place = out.size() - stub;
      TMPDUMP_CHECK(copy_range(jar, stub + member.offset, member.end - member.offset, sink));
    }
    last = &member;
    places[i] = last_place;
  }
  std::string central;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < members.size(); ++i) {
    if (members[i].dropped) continue;
    std::string header(text_of(members[i].header.whole));
    if (members[i].zip64_offset != 0) {
      store_le<std::uint64_t>(header, members[i].zip64_offset, places[i]);
    } else {
      store_le<std::uint32_t>(header, offset_field, static_cast<std::uint32_t>(places[i]));
    }
    central += header;
    ++count;
  }
  const std::uint64_t at = out.size() - stub;
  TMPDUMP_TRY(const std::string comment, read_comment(jar));
  TMPDUMP_CHECK(out.append(bytes_of(central)));
  return out.append(bytes_of(end_records(count, at, central.size(), comment)));
}

result<Stripped> JarStripper::run() {
  TMPDUMP_TRY(const ArchiveFile jar, ArchiveFile::open(arguments_.jar));
  TMPDUMP_TRY(std::vector<Member> members, read_members(jar));
  TMPDUMP_CHECK(choose(members));
  stripped_.before = stripped_.after = jar.size();
  if (stripped_.entries == 0 && !arguments_.output) return std::move(stripped_);
  struct stat status {};
  if (::fstat(jar.fd(), &status) != 0) return system_failure("read " + quote(arguments_.jar), errno);
  TMPDUMP_TRY(OutputFile out, OutputFile::create(arguments_.output.value_or(arguments_.jar)));
  TMPDUMP_CHECK(write(jar, members, out));
  TMPDUMP_CHECK(out.set_mode(status.st_mode));
  stripped_.after = out.size();
  TMPDUMP_CHECK(out.publish());
  return std::move(stripped_);
}

} // namespace

const cli::Globs& default_strip_globs() {
  static const cli::Globs globs{"org/bytedeco/*.so",    "org/bytedeco/*.so.*",  "org/bytedeco/*.a",
                                "org/bytedeco/*.xml",   "org/bytedeco/*.h",     "org/bytedeco/*.hpp",
                                "org/bytedeco/*.dll",   "org/bytedeco/*.dylib", "org/bytedeco/*.lib",
                                "org/bytedeco/*.jnilib"};
  return globs;
}

int run_strip_jar(const StripJarArguments& arguments) {
  const auto done = JarStripper(arguments).run();
  if (!done) return cli::report(done.error());
  if (!done->signatures.empty() && done->entries != 0) {
    (void)std::fprintf(stderr, "tmpdump: warning: '%s' is no longer signed: %s left out\n",
                       printable(arguments.jar).c_str(),
                       counted(done->signatures.size(), "signature file").c_str());
  }
  if (!arguments.quiet) {
    (void)std::printf("%s: %zu entries out, %s -> %s\n",
                      printable(arguments.output.value_or(arguments.jar)).c_str(), done->entries,
                      cli::format_size(done->before).c_str(), cli::format_size(done->after).c_str());
  }
  return 0;
}

} // namespace tmpdump::pack
