// SPDX-License-Identifier: Apache-2.0
#include "pack/verify.h"

#include "cli/report.h"
#include "cli/size.h"
#include "pack/entry_reader.h"
#include "pack/levels.h"
#include "pack/remote_archive.h"
#include "pack/text.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <numeric>

namespace tmpdump::pack {

namespace {

class Verifier {
public:
  Verifier(const ArchiveFile& archive, const Interrupt& interrupt)
      : archive_(archive), interrupt_(interrupt) {}
  result<Verification> run();

private:
  void check_headers(const std::vector<CentralHeader>& headers);
  void check_paths();
  void check_overlaps();
  void check_variants(const zip::Directory& directory);
  result<void> check_contents();
  result<void> check_content(const zip::Entry& entry);
  void find(const std::string& what) { found_.findings.push_back(what); }

  const ArchiveFile& archive_;
  const Interrupt& interrupt_;
  std::vector<zip::Entry> entries_; // those that the reader would accept if they were alone
  Verification found_;
};

// Each header as the directory of an archive of one entry: what is wrong with one does not hide the others.
void Verifier::check_headers(const std::vector<CentralHeader>& headers) {
  for (const CentralHeader& header : headers) {
    zip::DirectoryLocation alone = archive_.location();
    alone.size = header.whole.size();
    alone.entry_count = 1;
    auto directory = zip::parse_directory(header.whole, alone, archive_.size(), {});
    if (!directory) {
      find(directory.error().message);
    } else if (!directory->entries.empty()) {
      entries_.push_back(std::move(directory->entries.front()));
    }
  }
}

void Verifier::check_paths() {
  std::map<std::string_view, const zip::Entry*> paths;
  for (const zip::Entry& entry : entries_) {
    if (!paths.emplace(entry.path, &entry).second) find("entry " + quote(entry.path) + ": is there twice");
  }
  for (const zip::Entry& entry : entries_) {
    for (std::string_view parent = directory(entry.path); !parent.empty(); parent = directory(parent)) {
      const auto above = paths.find(parent);
      if (above == paths.end() || above->second->kind == zip::Kind::directory) continue;
      find("entry " + quote(entry.path) + ": lies below " + quote(parent) + ", which is no directory");
    }
  }
}

// Also shortens the regions, which were found as if each entry were alone.
void Verifier::check_overlaps() {
  std::sort(entries_.begin(), entries_.end(), [](const zip::Entry& a, const zip::Entry& b) {
    return a.local_header_offset < b.local_header_offset;
  });
  for (std::size_t i = 0; i + 1 < entries_.size(); ++i) {
    zip::Entry& entry = entries_[i];
    const zip::Entry& next = entries_[i + 1];
    const std::uint64_t earliest_end = entry.local_header_offset + zip::local_header_fixed_size +
                                       entry.raw_name.size() + entry.compressed_size;
    if (earliest_end > next.local_header_offset) {
      find("entry " + quote(entry.path) + ": overlaps entry " + quote(next.path));
    } else {
      entry.region_end = std::min(entry.region_end, next.local_header_offset);
    }
  }
}

// What each kind of processor would get.
void Verifier::check_variants(const zip::Directory& directory) {
  for (const CpuLevel level : all_levels) {
    if (const auto good = check_level(directory, level); !good) find(good.error().message);
  }
}

result<void> Verifier::check_content(const zip::Entry& entry) {
  if (entry.kind == zip::Kind::symlink) {
    TMPDUMP_TRY(const std::string target, read_text(archive_, entry, zip::max_symlink_target));
    return check_link(entry.path, target);
  }
  return read_content(archive_, entry, [&](Bytes bytes) -> result<void> {
    found_.unpacked += bytes.size();
    return interrupt_.check();
  });
}

result<void> Verifier::check_contents() {
  for (const zip::Entry& entry : entries_) {
    TMPDUMP_CHECK(interrupt_.check());
    const auto good = check_content(entry);
    if (good) continue;
    if (good.error().code != Errc::bad_archive) return good.error();
    find(good.error().message);
  }
  return {};
}

result<Verification> Verifier::run() {
  const auto headers = archive_.headers();
  if (headers) {
    check_headers(*headers);
    check_paths();
    check_overlaps();
    TMPDUMP_CHECK(check_contents());
  }
  // The reader has the last word: what it refuses is a finding, whatever was seen before.
  const auto whole = archive_.directory();
  if (!whole && found_.findings.empty()) find(whole.error().message);
  if (whole) check_variants(*whole);
  found_.entries = entries_.size();
  for (const zip::Entry& entry : entries_)
    found_.segmented += entry.segments ? 1U : 0U;
  return std::move(found_);
}

} // namespace

result<Verification> verify(const ArchiveFile& archive, const Interrupt& interrupt) {
  return Verifier(archive, interrupt).run();
}

int run_verify(const VerifyArguments& arguments) {
  const auto archive = open_archive(arguments.overrides);
  if (!archive) return cli::report(archive.error());
  const Interrupt interrupt; // until here Ctrl-C ends the process at once, and nothing has a name yet
  const auto done = verify(*archive, interrupt);
  if (!done) return cli::report(done.error());
  for (const std::string& finding : done->findings)
    (void)std::fprintf(stderr, "tmpdump: %s: %s\n", printable(archive->path()).c_str(), finding.c_str());
  if (!done->findings.empty()) {
    return cli::report({Errc::bad_archive, quote(archive->path()) +
                                               " is bad: " + counted(done->findings.size(), "finding") +
                                               " (above); pack it again"});
  }
  if (!arguments.quiet) {
    (void)std::printf("%s is good: %s, %zu of them in segments, %s unpacked, every CRC right\n",
                      printable(archive->path()).c_str(),
                      done->entries == 1 ? "1 entry" : (std::to_string(done->entries) + " entries").c_str(),
                      done->segmented, cli::format_size(done->unpacked).c_str());
  }
  return 0;
}

} // namespace tmpdump::pack
