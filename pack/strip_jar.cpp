// SPDX-License-Identifier: Apache-2.0
// A jar is rewritten by copying regions: from an entry's local header to the next one's, so that what neither
// we nor the directory know of (data descriptors, alignment) stays. Only offsets in the central directory
// change, and the entries that are jars of which something went.
#include "pack/strip_jar.h"

#include "cli/report.h"
#include "cli/size.h"
#include "pack/archive_copy.h"
#include "pack/jar.h"
#include "pack/little_endian.h"
#include "pack/nested_jar.h"
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

constexpr int max_depth = 3; // of jars inside of jars

struct Stripped {
  std::size_t entries = 0;
  std::size_t jars = 0; // inside this one, that were rewritten
  std::uint64_t before = 0, after = 0;
  std::vector<std::string> warnings;
};

// One jar, from `jar` into `out`; the jars inside of it by strippers of their own.
class JarStripper {
public:
  JarStripper(const StripJarArguments& arguments, Workspace& workspace, int depth)
      : arguments_(arguments), workspace_(workspace), depth_(depth) {}

  // What goes. Nothing, and no entry of `what()`: the jar stays as it is.
  result<void> look(const ArchiveFile& jar);
  [[nodiscard]] const Stripped& what() const { return stripped_; }
  result<void> write(const ArchiveFile& jar, OutputFile& out);

private:
  result<void> look_inside(const ArchiveFile& jar, Member& member);
  result<void> drop_signatures(const ArchiveFile& jar);
  [[nodiscard]] std::string central_header(const Member& member, std::uint64_t place) const;

  const StripJarArguments& arguments_;
  Workspace& workspace_;
  const int depth_;
  std::vector<Member> members_;
  Stripped stripped_;
};

result<void> JarStripper::look(const ArchiveFile& jar) {
  TMPDUMP_TRY(members_, read_members(jar));
  const cli::Globs& globs = arguments_.what.empty() ? default_strip_globs() : arguments_.what;
  for (Member& member : members_) {
    const std::string path = effective_path(member.header.name);
    member.dropped = !path.ends_with('/') && cli::matches_any(globs, path);
    stripped_.entries += member.dropped ? 1U : 0U;
    if (!member.dropped && path.ends_with(".jar")) TMPDUMP_CHECK(look_inside(jar, member));
  }
  stripped_.before = stripped_.after = jar.size();
  return stripped_.entries == 0 ? result<void>{} : drop_signatures(jar);
}

result<void> JarStripper::look_inside(const ArchiveFile& jar, Member& member) {
  if (depth_ >= max_depth) return {};
  TMPDUMP_TRY(const auto nested, open_nested(jar, member, workspace_));
  if (!nested) return {};
  JarStripper inner(arguments_, workspace_, depth_ + 1);
  TMPDUMP_CHECK(inner.look(*nested));
  if (inner.what().entries == 0) return {};
  TMPDUMP_TRY(const std::string path, workspace_.new_file());
  TMPDUMP_TRY(OutputFile out, OutputFile::create(path));
  TMPDUMP_CHECK(inner.write(*nested, out));
  TMPDUMP_CHECK(out.flush());
  TMPDUMP_TRY(member.replacement, replacement_of(out.fd(), out.size(), member));
  stripped_.entries += inner.what().entries;
  stripped_.jars += inner.what().jars + 1;
  stripped_.warnings.insert(stripped_.warnings.end(), inner.what().warnings.begin(),
                            inner.what().warnings.end());
  return {};
}

// A signature holds for every entry, those that go and those that change.
result<void> JarStripper::drop_signatures(const ArchiveFile& jar) {
  std::size_t found = 0;
  for (Member& member : members_) {
    if (member.dropped || !is_signature(member.header.name)) continue;
    if (!arguments_.drop_signatures) {
      return Failure{Errc::usage, quote(jar.path()) + " is signed (" + printable(member.header.name) +
                                      "), and Java refuses a signed jar of which something is missing: give "
                                      "--drop-signatures to make it an unsigned one"};
    }
    member.dropped = true;
    ++found;
  }
  if (found != 0) {
    stripped_.warnings.push_back(quote(jar.path()) +
                                 " is no longer signed: " + counted(found, "signature file") + " left out");
  }
  return {};
}

// With its new place, and the numbers of what replaces its data.
std::string JarStripper::central_header(const Member& member, std::uint64_t place) const {
  std::string header(text_of(member.header.whole));
  if (member.zip64_offset != 0) {
    store_le<std::uint64_t>(header, member.zip64_offset, place);
  } else {
    store_le<std::uint32_t>(header, central::offset, static_cast<std::uint32_t>(place));
  }
  if (member.replacement) patch_central(header, *member.replacement);
  return header;
}

result<void> JarStripper::write(const ArchiveFile& jar, OutputFile& out) {
  const Sink sink = [&](Bytes bytes) { return out.append(bytes); };
  const std::uint64_t stub = jar.location().stub_size;
  std::vector<std::size_t> by_place(members_.size());
  std::iota(by_place.begin(), by_place.end(), std::size_t{0});
  std::stable_sort(by_place.begin(), by_place.end(),
                   [&](std::size_t a, std::size_t b) { return members_[a].offset < members_[b].offset; });
  // A launch script before the first entry, whether the offsets count it or not.
  const std::uint64_t prefix = stub + (by_place.empty() ? 0 : members_[by_place.front()].offset);
  TMPDUMP_CHECK(copy_range(jar, 0, prefix, sink));
  std::vector<std::uint64_t> places(members_.size());
  const Member* last = nullptr;
  std::uint64_t last_place = 0;
  for (const std::size_t i : by_place) {
    const Member& member = members_[i];
    if (member.dropped) continue;
    if (last == nullptr || last->offset != member.offset) { // else: two headers of one entry
      last_place = out.size() - stub;
      TMPDUMP_CHECK(member.replacement
                        ? write_replaced(jar, member, out)
                        : copy_range(jar, stub + member.offset, member.end - member.offset, sink));
    }
    last = &member;
    places[i] = last_place;
  }
  std::string central;
  std::uint64_t count = 0;
  for (std::size_t i = 0; i < members_.size(); ++i) {
    if (members_[i].dropped) continue;
    central += central_header(members_[i], places[i]);
    ++count;
  }
  const std::uint64_t at = out.size() - stub;
  TMPDUMP_TRY(const std::string comment, read_comment(jar));
  TMPDUMP_CHECK(out.append(bytes_of(central)));
  TMPDUMP_CHECK(out.append(bytes_of(end_records(count, at, central.size(), comment))));
  stripped_.after = out.size();
  return {};
}

result<Stripped> strip_jar(const StripJarArguments& arguments) {
  Workspace workspace;
  TMPDUMP_TRY(const ArchiveFile jar, ArchiveFile::open(arguments.jar));
  JarStripper stripper(arguments, workspace, 0);
  TMPDUMP_CHECK(stripper.look(jar));
  if (stripper.what().entries == 0 && !arguments.output) return stripper.what();
  struct stat status {};
  if (::fstat(jar.fd(), &status) != 0) return system_failure("read " + quote(arguments.jar), errno);
  TMPDUMP_TRY(OutputFile out, OutputFile::create(arguments.output.value_or(arguments.jar)));
  TMPDUMP_CHECK(stripper.write(jar, out));
  TMPDUMP_CHECK(out.set_mode(status.st_mode));
  TMPDUMP_CHECK(out.publish());
  return stripper.what();
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
  const auto done = strip_jar(arguments);
  if (!done) return cli::report(done.error());
  for (const std::string& warning : done->warnings)
    (void)std::fprintf(stderr, "tmpdump: warning: %s\n", warning.c_str());
  if (!arguments.quiet) {
    const std::string inside = done->jars == 0 ? "" : ", of " + counted(done->jars, "jar") + " inside";
    (void)std::printf("%s: %zu entries out%s, %s -> %s\n",
                      printable(arguments.output.value_or(arguments.jar)).c_str(), done->entries,
                      inside.c_str(), cli::format_size(done->before).c_str(),
                      cli::format_size(done->after).c_str());
  }
  return 0;
}

} // namespace tmpdump::pack
