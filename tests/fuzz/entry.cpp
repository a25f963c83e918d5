// SPDX-License-Identifier: Apache-2.0
// One entry from its local header to the file: every method, every form of data descriptor, headers and sizes
// that lie, cut anywhere. What is published must be what the reference makes of the data.
#include "entry_files.h"
#include "fuzz.h"
#include "reference.h"

using namespace tmpdump;
using namespace tmpdump::fuzz;

namespace {

constexpr std::uint16_t has_descriptor = 1U << 3U;

void put(std::string& out, std::uint64_t value, std::size_t bytes) {
  for (; bytes > 0; --bytes, value >>= 8U)
    out.push_back(static_cast<char>(value & 0xFFU));
}

struct Choices {
  zip::Method method = zip::Method::stored;
  zip::Kind kind = zip::Kind::file;
  bool streamed = false, is_signed = false, wide = false, zeroed = false, zip64 = false;
  std::uint16_t lies = 0; // added to size, CRC or a byte of the region
};

Choices read_choices(Input& input) {
  const auto form = input.number<std::uint16_t>();
  Choices c;
  constexpr zip::Method methods[] = {zip::Method::stored, zip::Method::deflate, zip::Method::zstd,
                                     zip::Method::deflate};
  c.method = methods[form & 3U];
  c.kind = (form >> 2U & 7U) == 7   ? zip::Kind::symlink
           : (form >> 2U & 7U) == 6 ? zip::Kind::directory
                                    : zip::Kind::file;
  c.streamed = (form >> 5U & 1U) != 0;
  c.is_signed = (form >> 6U & 1U) != 0;
  c.wide = (form >> 7U & 1U) != 0;
  c.zeroed = (form >> 8U & 1U) != 0;
  c.zip64 = (form >> 9U & 1U) != 0;
  c.lies = static_cast<std::uint16_t>(form >> 10U);
  return c;
}

std::string local_header(const zip::Entry& entry, const Choices& c) {
  std::string out;
  const bool known = !(c.streamed && c.zeroed);
  put(out, 0x04034b50, 4);
  put(out, 20, 2);
  put(out, entry.flags, 2);
  put(out, static_cast<std::uint16_t>(entry.method), 2);
  put(out, 0, 4);
  put(out, known ? entry.crc : 0, 4);
  put(out, c.zip64 ? UINT32_MAX : known ? entry.compressed_size : 0, 4);
  put(out, c.zip64 ? UINT32_MAX : known ? entry.size : 0, 4);
  put(out, entry.raw_name.size(), 2);
  put(out, c.zip64 ? 20 : 0, 2);
  out += entry.raw_name;
  if (c.zip64) {
    put(out, 0x0001, 2);
    put(out, 16, 2);
    put(out, known ? entry.size : 0, 8);
    put(out, known ? entry.compressed_size : 0, 8);
  }
  return out;
}

std::string descriptor(const zip::Entry& entry, const Choices& c) {
  std::string out;
  if (!c.streamed) return out;
  if (c.is_signed) put(out, 0x08074b50, 4);
  put(out, entry.crc, 4);
  put(out, entry.compressed_size, c.wide ? 8 : 4);
  put(out, entry.size, c.wide ? 8 : 4);
  return out;
}

// Ours refuses old formats and windows above 32 MiB, on purpose.
bool is_our_limit(const Failure& failure) {
  return failure.message.find("not a frame of RFC 8878") != std::string::npos ||
         failure.message.find("zstd window of more than") != std::string::npos;
}

} // namespace

FUZZ_TARGET(entry) {
  Chance chance(input.peek());
  const Choices c = read_choices(input);
  const auto lie_at = input.number<std::uint16_t>();
  const Bytes data = input.rest();
  const auto content = reference_decode(c.method, data);

  zip::Entry entry;
  entry.path = entry.raw_name = "f";
  entry.kind = c.kind;
  entry.method = c.method;
  entry.mode = 0644;
  entry.flags = c.streamed ? has_descriptor : std::uint16_t{0};
  entry.size = content ? content->size() : chance.size(100'000);
  entry.crc = content ? reference_crc(*content) : static_cast<std::uint32_t>(chance.number());
  entry.compressed_size = data.size();
  // What the directory already refuses does not come here.
  if (c.kind == zip::Kind::directory && entry.size != 0) return;
  if (c.kind == zip::Kind::symlink && (entry.size == 0 || entry.size > zip::max_symlink_target)) return;
  if (c.lies == 1) entry.size += 1;
  if (c.lies == 2 && entry.size > 0) entry.size -= 1;
  if (c.lies == 3) entry.crc ^= 1U << (lie_at % 32U);

  std::string archive = local_header(entry, c);
  archive += text_of(data);
  archive += descriptor(entry, c);
  entry.region_end = archive.size();
  if (c.lies >= 4) {
    char& byte = archive[lie_at % archive.size()];
    byte = static_cast<char>(byte ^ (1 + c.lies));
  }
  if (c.lies == 63) archive.resize(archive.size() - 1), entry.region_end -= 1;

  EntryFiles& files = EntryFiles::shared();
  std::optional<bool> accepted;
  for (const bool whole : {true, false}) {
    const auto done = files.decode(entry, bytes_of(archive), chance, whole);
    if (!done) require_message(done.error());
    require(!accepted || *accepted == done.has_value(), "how bytes are cut decides nothing");
    accepted = done.has_value();
    const auto there = files.take(entry.path);
    require(there.has_value() == done.has_value(), "visible if and only if it is whole");
    if (done) {
      // An incomplete code that igzip accepts can stand for nothing at all.
      require(content.has_value() || entry.size == 0, "what the reference refuses is not published");
      require(!content || *there == *content, "what is published is the content");
      if (c.kind == zip::Kind::symlink) require(there->front() != '/', "no link to an absolute place");
    } else if (content && c.lies == 0 && c.kind == zip::Kind::file) {
      require(is_our_limit(done.error()), "what is right is accepted");
    }
  }
}
