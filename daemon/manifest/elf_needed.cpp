// SPDX-License-Identifier: Apache-2.0
#include "manifest/elf_needed.h"

#include <algorithm>
#include <cerrno>
#include <elf.h>
#include <limits>
#include <optional>
#include <unistd.h>

namespace tmpdump::manifest {

namespace {

Failure damaged(std::string_view what) {
  return {Errc::bad_archive, "ELF file: " + std::string(what)};
}

// Copies up to out.size() bytes from `offset`; the count is smaller at the file's end.
class Source {
public:
  virtual ~Source() = default;
  virtual result<std::size_t> read(std::uint64_t offset, MutableBytes out) const = 0;
};

class SpanSource final : public Source {
public:
  explicit SpanSource(Bytes file) : file_(file) {}
  result<std::size_t> read(std::uint64_t offset, MutableBytes out) const override {
    if (offset >= file_.size()) return std::size_t{0};
    const Bytes part = file_.subspan(offset).first(std::min<std::size_t>(out.size(), file_.size() - offset));
    std::copy(part.begin(), part.end(), out.begin());
    return part.size();
  }

private:
  Bytes file_;
};

class FileSource final : public Source {
public:
  explicit FileSource(int fd) : fd_(fd) {}
  result<std::size_t> read(std::uint64_t offset, MutableBytes out) const override {
    if (offset > static_cast<std::uint64_t>(std::numeric_limits<off_t>::max())) return std::size_t{0};
    std::size_t done = 0;
    while (done < out.size()) {
      const ssize_t n = ::pread(fd_, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EINVAL) break; // offset + size beyond what off_t holds: beyond the end
      if (n < 0) return system_failure("read", errno);
      if (n == 0) break;
      done += static_cast<std::size_t>(n);
    }
    return done;
  }

private:
  int fd_;
};

// The whole of [offset, offset + size), or the file is damaged.
result<std::vector<std::byte>> read_whole(const Source& source, std::uint64_t offset, std::size_t size,
                                          std::string_view what) {
  std::vector<std::byte> bytes(size);
  TMPDUMP_TRY(const std::size_t read, source.read(offset, bytes));
  if (read != size) return damaged(std::string(what) + " reaches beyond the end");
  return bytes;
}

struct Segment {
  std::uint64_t address = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0; // in the file
};

struct Segments {
  std::vector<Segment> loads;
  std::optional<Segment> dynamic;
};

result<Segments> read_segments(const Source& source, Bytes header) {
  const std::uint64_t table = load_le64(header, offsetof(Elf64_Ehdr, e_phoff));
  const std::size_t count = load_le16(header, offsetof(Elf64_Ehdr, e_phnum));
  if (count > max_program_headers) return damaged("too many program headers");
  if (count > 0 && load_le16(header, offsetof(Elf64_Ehdr, e_phentsize)) != sizeof(Elf64_Phdr)) {
    return damaged("program headers of unknown size");
  }
  TMPDUMP_TRY(const auto bytes,
              read_whole(source, table, count * sizeof(Elf64_Phdr), "the table of program headers"));
  Segments segments;
  for (std::size_t i = 0; i < count; ++i) {
    const Bytes one = Bytes(bytes).subspan(i * sizeof(Elf64_Phdr), sizeof(Elf64_Phdr));
    const Segment segment{.address = load_le64(one, offsetof(Elf64_Phdr, p_vaddr)),
                          .offset = load_le64(one, offsetof(Elf64_Phdr, p_offset)),
                          .size = load_le64(one, offsetof(Elf64_Phdr, p_filesz))};
    const std::uint32_t type = load_le32(one, offsetof(Elf64_Phdr, p_type));
    if (type == PT_LOAD) segments.loads.push_back(segment);
    if (type == PT_DYNAMIC && !segments.dynamic) segments.dynamic = segment;
  }
  return segments;
}

// Where in the file [address, address + size) is loaded from; addresses in the dynamic section are as if the
// file were loaded at 0.
std::optional<std::uint64_t> file_offset(const Segments& segments, std::uint64_t address,
                                         std::uint64_t size) {
  for (const Segment& load : segments.loads) {
    if (address < load.address || address - load.address > load.size) continue;
    const std::uint64_t inside = address - load.address;
    std::uint64_t offset = 0;
    if (size > load.size - inside || !checked_add(load.offset, inside, offset)) continue;
    return offset;
  }
  return std::nullopt;
}

struct Dynamic {
  std::vector<std::uint64_t> needed; // offsets into the string table
  std::optional<std::uint64_t> soname;
  std::uint64_t strings = 0; // address
  std::uint64_t strings_size = 0;
};

result<Dynamic> read_dynamic(const Source& source, const Segment& segment) {
  const std::uint64_t count = segment.size / sizeof(Elf64_Dyn);
  if (count > max_dynamic_entries) return damaged("the dynamic section is too long");
  TMPDUMP_TRY(const auto bytes,
              read_whole(source, segment.offset, count * sizeof(Elf64_Dyn), "the dynamic section"));
  Dynamic dynamic;
  for (std::size_t at = 0; at < bytes.size(); at += sizeof(Elf64_Dyn)) {
    const std::uint64_t tag = load_le64(bytes, at);
    const std::uint64_t value = load_le64(bytes, at + 8);
    if (tag == DT_NULL) break;
    if (tag == DT_NEEDED) dynamic.needed.push_back(value);
    if (tag == DT_SONAME) dynamic.soname = value;
    if (tag == DT_STRTAB) dynamic.strings = value;
    if (tag == DT_STRSZ) dynamic.strings_size = value;
  }
  if (dynamic.needed.size() > max_needed) return damaged("it needs too many libraries");
  return dynamic;
}

// Names are read one by one: a large library's string table holds megabytes of symbols beside them.
result<std::string> read_name(const Source& source, std::uint64_t table, std::uint64_t table_size,
                              std::uint64_t at) {
  if (at >= table_size) return damaged("a name lies outside of the string table");
  std::byte buffer[max_name];
  const std::size_t limit = static_cast<std::size_t>(std::min<std::uint64_t>(max_name, table_size - at));
  TMPDUMP_TRY(const std::size_t size, source.read(table + at, MutableBytes(buffer, limit)));
  const auto text = text_of(Bytes(buffer, size));
  const std::size_t end = text.find('\0');
  if (end == std::string_view::npos) return damaged("a name does not end");
  return std::string(text.substr(0, end));
}

result<ElfNames> parse(const Source& source) {
  ElfNames names;
  std::byte header[sizeof(Elf64_Ehdr)];
  TMPDUMP_TRY(const std::size_t size, source.read(0, header));
  if (size < SELFMAG || text_of(header).substr(0, SELFMAG) != std::string_view(ELFMAG, SELFMAG)) return names;
  if (size < sizeof header) return damaged("the header reaches beyond the end");
  const auto machine = load_le16(header, offsetof(Elf64_Ehdr, e_machine));
  if (header[EI_CLASS] != std::byte{ELFCLASS64} || header[EI_DATA] != std::byte{ELFDATA2LSB} ||
      (machine != EM_X86_64 && machine != EM_AARCH64)) {
    return names;
  }
  names.is_elf = true;
  TMPDUMP_TRY(const Segments segments, read_segments(source, header));
  if (!segments.dynamic) return names; // static, or an object file
  TMPDUMP_TRY(const Dynamic dynamic, read_dynamic(source, *segments.dynamic));
  if (dynamic.needed.empty() && !dynamic.soname) return names;
  const auto table = file_offset(segments, dynamic.strings, dynamic.strings_size);
  if (!table) return damaged("the string table is not in the file");
  for (const std::uint64_t at : dynamic.needed) {
    TMPDUMP_TRY(std::string name, read_name(source, *table, dynamic.strings_size, at));
    names.needed.push_back(std::move(name));
  }
  if (dynamic.soname) {
    TMPDUMP_TRY(names.soname, read_name(source, *table, dynamic.strings_size, *dynamic.soname));
  }
  return names;
}

} // namespace

result<ElfNames> read_elf_names(Bytes file) {
  return parse(SpanSource(file));
}

result<ElfNames> read_elf_names(int fd) {
  return parse(FileSource(fd));
}

} // namespace tmpdump::manifest
