// SPDX-License-Identifier: Apache-2.0
#include "pack/ls.h"

#include "cli/json_text.h"
#include "cli/report.h"
#include "cli/size.h"
#include "manifest/dependencies.h"
#include "manifest/elf_needed.h"
#include "pack/entry_reader.h"
#include "pack/item.h"
#include "pack/levels.h"
#include "pack/remote_archive.h"
#include "pack/text.h"
#include "pack/workspace.h"

#include <boost/json.hpp>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <unistd.h>

namespace tmpdump::pack {

namespace json = boost::json;

namespace {

constexpr std::size_t names_shown = 2;

std::string_view method_name(zip::Method method) {
  switch (method) {
  case zip::Method::stored:
    return "stored";
  case zip::Method::deflate:
    return "deflate";
  case zip::Method::zstd:
    return "zstd";
  }
  return "?";
}

std::string_view kind_name(zip::Kind kind) {
  return kind == zip::Kind::directory ? "directory" : kind == zip::Kind::symlink ? "symlink" : "file";
}

result<void> write_all(int fd, Bytes bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return system_failure("unpack a library into TMPDIR", errno);
    bytes = bytes.subspan(static_cast<std::size_t>(count));
  }
  return {};
}

// Names of a library; nothing for a file that is none.
result<std::vector<std::string>> read_needs(const ArchiveFile& archive, const zip::Entry& entry,
                                            int scratch) {
  if (::ftruncate(scratch, 0) != 0 || ::lseek(scratch, 0, SEEK_SET) < 0)
    return system_failure("unpack into TMPDIR", errno);
  TMPDUMP_CHECK(read_content(archive, entry, [&](Bytes bytes) { return write_all(scratch, bytes); }));
  auto names = manifest::read_elf_names(scratch);
  // A damaged ELF file is an entry like any other to who lists it.
  return names ? std::move(names->needed) : std::vector<std::string>{};
}

void find_needed_by(std::vector<Row>& rows) {
  std::vector<manifest::ListedEntry> listed;
  listed.reserve(rows.size());
  for (const Row& row : rows)
    listed.push_back({.path = row.entry.path, .kind = row.entry.kind});
  const manifest::Dependencies dependencies(listed);
  for (std::uint32_t i = 0; i < rows.size(); ++i) {
    std::vector<std::uint32_t> wanted = dependencies.of_library(i, rows[i].needs);
    if (rows[i].entry.kind == zip::Kind::symlink) {
      wanted = dependencies.of_link(i, rows[i].target).value_or(std::vector<std::uint32_t>{});
    }
    for (const std::uint32_t other : wanted)
      rows[other].needed_by.push_back(rows[i].entry.path);
  }
}

std::string needed_by(const Row& row) {
  std::string text;
  for (std::size_t i = 0; i < std::min(row.needed_by.size(), names_shown); ++i)
    text += (i == 0 ? "" : ", ") + printable(file_name(row.needed_by[i]));
  if (row.needed_by.size() > names_shown) text += ", +" + std::to_string(row.needed_by.size() - names_shown);
  return text.empty() ? "-" : text;
}

std::string shown_path(const Row& row) {
  std::string path = printable(row.entry.path, row.entry.path.size());
  if (row.entry.kind == zip::Kind::directory) path += "/";
  if (row.entry.kind == zip::Kind::symlink) path += " -> " + printable(row.target);
  return path;
}

json::array array_of(const std::vector<std::string>& names) {
  json::array array;
  for (const std::string& name : names)
    array.emplace_back(printable(name, name.size())); // from an ELF file: any bytes
  return array;
}

} // namespace

result<std::vector<Row>> read_rows(const ArchiveFile& archive, const Interrupt& interrupt) {
  TMPDUMP_TRY(zip::Directory contents, archive.directory());
  Workspace workspace;
  TMPDUMP_TRY(const std::string scratch, workspace.new_file());
  const UniqueFd fd(::open(scratch.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return system_failure("unpack into TMPDIR", errno);
  std::vector<Row> rows;
  for (zip::Entry& entry : contents.entries) {
    TMPDUMP_CHECK(interrupt.check());
    Row row{std::move(entry), {}, {}, {}};
    if (row.entry.kind == zip::Kind::symlink) {
      TMPDUMP_TRY(row.target, read_text(archive, row.entry, zip::max_symlink_target));
    } else if (row.entry.kind == zip::Kind::file && named_like_a_library(row.entry.path)) {
      TMPDUMP_TRY(row.needs, read_needs(archive, row.entry, fd.get()));
    }
    rows.push_back(std::move(row));
  }
  find_needed_by(rows);
  return rows;
}

std::string render_table(const std::vector<Row>& rows) {
  std::size_t width = 4;
  for (const Row& row : rows)
    width = std::max(width, std::min<std::size_t>(60, shown_path(row).size()));
  const auto line = [&](const std::string& path, const std::string& size, const std::string& packed,
                        std::string_view method, const std::string& segments, std::string_view variant,
                        const std::string& by) {
    std::string text(path);
    text += std::string(width - std::min(width, path.size()), ' ');
    const auto right = [&](const std::string& cell, std::size_t columns) {
      text += " " + std::string(columns - std::min(columns, cell.size()), ' ') + cell;
    };
    right(size, 12);
    right(packed, 12);
    right(std::string(method), 8);
    right(segments, 9);
    right(std::string(variant), 10);
    return text + "  " + by + "\n";
  };
  std::string text = line("path", "size", "packed", "method", "segments", "variant", "needed by");
  std::uint64_t size = 0, packed = 0;
  for (const Row& row : rows) {
    const std::string_view variant = level_of(row.entry.path);
    text += line(shown_path(row), std::to_string(row.entry.size), std::to_string(row.entry.compressed_size),
                 method_name(row.entry.method),
                 row.entry.segments ? std::to_string(row.entry.segments->compressed.size()) : "1",
                 variant.empty() ? "-" : printable(variant), needed_by(row));
    size += row.entry.kind == zip::Kind::file ? row.entry.size : 0;
    packed += row.entry.compressed_size;
  }
  return text + std::to_string(rows.size()) + (rows.size() == 1 ? " entry, " : " entries, ") +
         cli::format_size(size) + " -> " + cli::format_size(packed) + "\n";
}

std::string render_json(const std::string& archive, const std::vector<Row>& rows) {
  json::array entries;
  std::uint64_t size = 0, packed = 0;
  for (const Row& row : rows) {
    const zip::Entry& entry = row.entry;
    json::object object{{"path", entry.path},
                        {"kind", kind_name(entry.kind)},
                        {"size", entry.size},
                        {"packed", entry.compressed_size},
                        {"method", method_name(entry.method)},
                        {"segments", entry.segments ? entry.segments->compressed.size() : std::size_t{1}},
                        {"segment_bytes", nullptr},
                        {"mode", static_cast<std::uint64_t>(entry.mode)},
                        {"crc32", entry.crc},
                        {"variant", nullptr},
                        {"target", nullptr},
                        {"needs", array_of(row.needs)},
                        {"needed_by", array_of(row.needed_by)}};
    if (entry.segments) object["segment_bytes"] = entry.segments->segment_bytes;
    if (const auto variant = level_of(entry.path); !variant.empty()) object["variant"] = variant;
    if (entry.kind == zip::Kind::symlink) object["target"] = printable(row.target, row.target.size());
    entries.push_back(std::move(object));
    size += entry.kind == zip::Kind::file ? entry.size : 0;
    packed += entry.compressed_size;
  }
  return json::serialize(json::object{{"archive", cli::text_of(archive)},
                                      {"size", size},
                                      {"packed", packed},
                                      {"entries", std::move(entries)}});
}

int run_ls(const LsArguments& arguments) {
  const auto archive = open_archive(arguments.overrides);
  if (!archive) return cli::report(archive.error());
  const Interrupt interrupt; // until here Ctrl-C ends the process at once, and nothing has a name yet
  const auto rows = read_rows(*archive, interrupt);
  if (!rows) return cli::report(rows.error());
  const std::string text = arguments.json ? render_json(archive->path(), *rows) + "\n" : render_table(*rows);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return cli::report(system_failure("write the list", errno));
  }
  return 0;
}

} // namespace tmpdump::pack
