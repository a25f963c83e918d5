// SPDX-License-Identifier: Apache-2.0
#include "zip/name.h"

#include "zip/records.h"

#include <zlib.h>

#include <algorithm>

namespace tmpdump::zip {
namespace {

// Length of the UTF-8 sequence at the front of `text`, 0 if it is none (RFC 3629, section 4: no overlong
// forms, no surrogates, nothing above U+10FFFF).
std::size_t sequence_length(std::string_view text) {
  const auto lead = static_cast<std::uint8_t>(text[0]);
  if (lead < 0x80) return 1;
  const std::size_t length = lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (length == 0 || text.size() < length) return 0;
  std::uint32_t point = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    const auto next = static_cast<std::uint8_t>(text[i]);
    if ((next & 0xC0U) != 0x80U) return 0;
    point = point << 6U | (next & 0x3FU);
  }
  if (length == 3 && (point < 0x800 || (point >= 0xD800 && point <= 0xDFFF))) return 0;
  if (length == 4 && (point < 0x10000 || point > 0x10FFFF)) return 0;
  return length;
}

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_ascii(std::string_view text) {
  for (const char c : text) {
    if (static_cast<std::uint8_t>(c) >= 0x80) return false;
  }
  return true;
}

std::string from_cp437(std::string_view raw) {
  // Code points of the bytes 0x80 to 0xFF, all in the Basic Multilingual Plane.
  static constexpr std::u16string_view high =
      u"ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐"
      u"└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u00a0";
  static_assert(high.size() == 128);
  std::string out;
  out.reserve(raw.size());
  const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  for (const char c : raw) {
    const auto byte = static_cast<std::uint8_t>(c);
    const unsigned point = byte < 0x80 ? byte : high[byte - 0x80U];
    if (point < 0x80) {
      put(point);
    } else if (point < 0x800) {
      put(0xC0U | point >> 6U);
      put(0x80U | (point & 0x3FU));
    } else {
      put(0xE0U | point >> 12U);
      put(0x80U | (point >> 6U & 0x3FU));
      put(0x80U | (point & 0x3FU));
    }
  }
  return out;
}

// Whether `raw` can be what a writer made of `unicode` for lack of letters: the folders are the same, and
// what is ASCII stands in it in this order, between whatever took the other letters' places.
bool stands_for(std::string_view raw, std::string_view unicode) {
  if (is_ascii(unicode) ||
      std::count(raw.begin(), raw.end(), '/') != std::count(unicode.begin(), unicode.end(), '/')) {
    return false;
  }
  for (const char c : unicode) {
    if (static_cast<std::uint8_t>(c) >= 0x80) continue;
    const std::size_t at = raw.find(c);
    if (at == std::string_view::npos) return false;
    raw.remove_prefix(at + 1);
  }
  return true;
}

bool is_control(char c) {
  const auto byte = static_cast<std::uint8_t>(c);
  return byte < 0x20 || byte == 0x7F;
}

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Of what readers make different names.
result<void> check_bytes(std::string_view name, std::uint8_t made_by_host) {
  if (name.find('\0') != std::string_view::npos) return bad_archive("the name contains NUL");
  if (std::any_of(name.begin(), name.end(), is_control)) { // unzip leaves them out
    return bad_archive("the name contains a control character");
  }
  if (name.size() >= 2 && is_letter(name[0]) && name[1] == ':') { // bsdtar leaves it out
    return bad_archive("the name begins with a drive letter");
  }
  if (!is_unix(made_by_host) && name.find('\\') != std::string_view::npos &&
      name.find('/') == std::string_view::npos) {
    return bad_archive("the name contains a backslash and was not made on Unix; separators must be '/'");
  }
  return {};
}

} // namespace

// Version, CRC-32 of the header's name, then the name in UTF-8.
std::optional<std::string_view> unicode_name(Bytes item, std::string_view raw) {
  if (item.size() < 5) return {};
  const auto crc = crc32_z(0, reinterpret_cast<const Bytef*>(raw.data()), raw.size());
  if (load_le32(item, 1) != crc) return {};
  return text_of(item.subspan(5));
}

result<std::string> decode_name(std::string_view raw, std::uint16_t flags, std::uint8_t made_by_host,
                                const std::optional<Bytes>& unicode_path) {
  const bool is_flagged = (flags & flag::utf8) != 0;
  if (is_flagged && !is_utf8(raw)) return bad_archive("the name says that it is UTF-8 and is not");
  if (const auto name = unicode_path ? unicode_name(*unicode_path, raw) : std::nullopt) {
    if (!is_utf8(*name)) return bad_archive("the Unicode Path extra field is not UTF-8");
    const bool is_known =
        std::to_integer<int>((*unicode_path)[0]) == 1; // of other versions some readers use it
    if (*name != raw && (is_flagged || !is_known || !stands_for(raw, *name))) {
      return bad_archive("its Unicode Path extra field names another file");
    }
    return std::string(*name);
  }
  if (is_flagged || is_ascii(raw)) return std::string(raw);
  if (is_unix(made_by_host)) {
    if (is_utf8(raw)) return std::string(raw);
    return bad_archive("the name is not UTF-8, and nothing says what else it is");
  }
  if (is_utf8(raw)) return bad_archive("the name is CP437 or UTF-8, and no flag says which");
  return from_cp437(raw);
}

result<CleanPath> clean_path(std::string_view name, std::uint8_t made_by_host) {
  if (name.empty()) return bad_archive("the name is empty");
  if (name.size() > max_path) return bad_archive("the name is longer than 4096 bytes");
  TMPDUMP_CHECK(check_bytes(name, made_by_host));
  if (name.front() == '/') return bad_archive("the path is absolute");
  if (name.substr(0, 2) == "./") name.remove_prefix(2);
  if (name.empty()) return CleanPath{"", true};

  CleanPath clean;
  if (name.back() == '/') {
    clean.is_directory = true;
    name.remove_suffix(1);
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t slash = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, slash - begin);
    if (part.empty() || part == ".") return bad_archive("the path has an empty or '.' component");
    if (part == "..") return bad_archive("the path has a '..' component");
    if (part.size() > max_component) return bad_archive("a path component is longer than 255 bytes");
    if (begin == 0 && part == reserved_name) {
      return bad_archive("'.tmpdump' at the top is reserved for tmpdump's own files");
    }
    begin = slash + 1;
  }
  clean.path = name;
  return clean;
}

} // namespace tmpdump::zip
