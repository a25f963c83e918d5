// SPDX-License-Identifier: Apache-2.0
#include "pack/refine.h"

#include "cli/report.h"
#include "cli/size.h"
#include "manifest/dependencies.h"
#include "pack/archive_copy.h"
#include "pack/entry_reader.h"
#include "pack/ls.h"
#include "pack/output_file.h"
#include "pack/profile.h"
#include "pack/report.h"
#include "pack/text.h"
#include "pack/zip_writer.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <set>
#include <sys/stat.h>

namespace tmpdump::pack {

namespace {

struct Plan {
  std::vector<Row> rows;         // of the archive
  std::vector<std::size_t> kept; // positions in rows, in the new order
  std::vector<std::size_t> dropped;
  std::vector<std::string> notes;
};

result<Plan> make_plan(const RefineArguments& arguments, const ArchiveFile& archive,
                       const Interrupt& interrupt) {
  Plan plan;
  TMPDUMP_TRY(plan.rows, read_rows(archive, interrupt));
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < plan.rows.size(); ++i) {
    (cli::wants(arguments.include, arguments.exclude, plan.rows[i].entry.path) ? wanted : plan.dropped)
        .push_back(i);
  }
  std::vector<std::string> profile;
  if (arguments.profile) {
    TMPDUMP_TRY(profile, read_profile(*arguments.profile));
  }
  std::vector<std::string> paths;
  paths.reserve(wanted.size());
  for (const std::size_t i : wanted)
    paths.push_back(plan.rows[i].entry.path);
  const Order order = order_by(profile, paths);
  for (const std::size_t at : order.positions)
    plan.kept.push_back(wanted[at]);
  for (const std::string& path : order.unknown)
    plan.notes.push_back("the profile names " + quote(path) + ", which is not in the archive");
  if (plan.kept.empty()) return Failure{Errc::usage, "nothing would be left of " + quote(arguments.archive)};
  return plan;
}

// What stays, but needs something that goes.
void note_broken(Plan& plan) {
  std::set<std::string> gone;
  for (const std::size_t i : plan.dropped)
    gone.insert(plan.rows[i].entry.path);
  for (const std::size_t i : plan.dropped) {
    for (const std::string& user : plan.rows[i].needed_by) {
      if (!gone.contains(user))
        plan.notes.push_back(quote(user) + " needs " + quote(plan.rows[i].entry.path) + ", which goes");
    }
  }
}

result<void> copy_entry(const ArchiveFile& archive, const zip::Entry& entry, ZipWriter& writer) {
  TMPDUMP_TRY(const std::size_t header, check_header(archive, entry));
  TMPDUMP_TRY(const std::uint64_t end, zip::data_end(entry, header));
  TMPDUMP_CHECK(writer.begin(entry.path, entry.kind, entry.mode, entry.method, entry.size));
  const std::uint64_t size = entry.kind == zip::Kind::directory ? 0 : entry.compressed_size;
  TMPDUMP_CHECK(copy_range(archive, end - size, size, [&](Bytes bytes) { return writer.data(bytes); }));
  Segments segments;
  if (entry.segments) segments = {entry.segments->segment_bytes, entry.segments->compressed};
  return writer.end(entry.crc, segments);
}

std::string summary(const Plan& plan, std::uint64_t before, std::uint64_t after) {
  std::string text;
  const auto line = [&](char sign, const Row& row) {
    text += std::string(1, sign) + " " + printable(row.entry.path) + "  " + cli::format_size(row.entry.size) +
            " (" + cli::format_size(row.entry.compressed_size) + " packed)\n";
  };
  for (const std::size_t i : plan.dropped)
    line('-', plan.rows[i]);
  const std::vector<std::size_t> sorted = [&] {
    auto copy = plan.kept;
    std::sort(copy.begin(), copy.end());
    return copy;
  }();
  // What moved is what the profile names: it comes before something that it used to follow.
  std::size_t moved = 0;
  for (std::size_t i = 0; i < plan.kept.size(); ++i) {
    if (plan.kept[i] == sorted[i]) continue;
    ++moved;
  }
  if (moved != 0) {
    text += "> " + std::to_string(moved) + (moved == 1 ? " entry" : " entries") + " at another place; first:";
    for (std::size_t i = 0; i < std::min<std::size_t>(3, plan.kept.size()); ++i)
      text += " " + printable(plan.rows[plan.kept[i]].entry.path);
    text += "\n";
  }
  for (const std::string& note : plan.notes)
    text += "note: " + note + "\n";
  return text + std::to_string(plan.rows.size()) + " -> " + std::to_string(plan.kept.size()) + " entries, " +
         cli::format_size(before) + " -> " + cli::format_size(after) + "; " +
         cli::format_seconds(seconds_on_link(before)) + " -> " + cli::format_seconds(seconds_on_link(after)) +
         " over a link of 600 Mbit/s\n";
}

result<std::string> refine(const RefineArguments& arguments) {
  const Interrupt interrupt;
  TMPDUMP_TRY(const ArchiveFile archive, ArchiveFile::open(arguments.archive));
  TMPDUMP_TRY(Plan plan, make_plan(arguments, archive, interrupt));
  note_broken(plan);
  struct stat status {};
  if (::fstat(archive.fd(), &status) != 0) return system_failure("read " + quote(arguments.archive), errno);
  // A dry run writes, too, into a file that never gets a name: what it says is what would be.
  TMPDUMP_TRY(OutputFile out, OutputFile::create(arguments.output.value_or(arguments.archive)));
  ZipWriter writer(out);
  for (const std::size_t i : plan.kept) {
    TMPDUMP_CHECK(interrupt.check());
    TMPDUMP_CHECK(copy_entry(archive, plan.rows[i].entry, writer));
  }
  TMPDUMP_CHECK(writer.finish());
  TMPDUMP_CHECK(out.set_mode(status.st_mode));
  if (!arguments.dry_run) TMPDUMP_CHECK(out.publish());
  return summary(plan, archive.size(), out.size());
}

} // namespace

int run_refine(const RefineArguments& arguments) {
  const auto done = refine(arguments);
  if (!done) return cli::report(done.error());
  if (!arguments.quiet || arguments.dry_run) (void)std::fputs(done->c_str(), stdout);
  if (arguments.dry_run) (void)std::fputs("dry run: nothing was written\n", stdout);
  return 0;
}

} // namespace tmpdump::pack
