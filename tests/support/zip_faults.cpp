// SPDX-License-Identifier: Apache-2.0
// Pokes at finished archives, and cuts from them.
#include "support/zip_builder.h"

namespace tmpdump::test {
namespace {

template <class T>
BuiltZip& poke(BuiltZip& zip, std::uint64_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i)
    zip.bytes.at(at + i) = static_cast<char>(static_cast<std::uint64_t>(value) >> (8 * i) & 0xFFU);
  return zip;
}

} // namespace

BuiltZip& BuiltZip::poke8(std::uint64_t at, std::uint8_t value) {
  return poke(*this, at, value);
}
BuiltZip& BuiltZip::poke16(std::uint64_t at, std::uint16_t value) {
  return poke(*this, at, value);
}
BuiltZip& BuiltZip::poke32(std::uint64_t at, std::uint32_t value) {
  return poke(*this, at, value);
}
BuiltZip& BuiltZip::poke64(std::uint64_t at, std::uint64_t value) {
  return poke(*this, at, value);
}

BuiltZip& BuiltZip::set_central_flags(std::size_t entry, std::uint16_t value) {
  return poke16(entries.at(entry).central_header + 8, value);
}
BuiltZip& BuiltZip::set_central_method(std::size_t entry, std::uint16_t value) {
  return poke16(entries.at(entry).central_header + 10, value);
}
BuiltZip& BuiltZip::set_central_crc(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).central_header + 16, value);
}
BuiltZip& BuiltZip::set_central_compressed_size(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).central_header + 20, value);
}
BuiltZip& BuiltZip::set_central_size(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).central_header + 24, value);
}
BuiltZip& BuiltZip::set_central_disk(std::size_t entry, std::uint16_t value) {
  return poke16(entries.at(entry).central_header + 34, value);
}
BuiltZip& BuiltZip::set_central_offset(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).central_header + 42, value);
}
BuiltZip& BuiltZip::set_local_flags(std::size_t entry, std::uint16_t value) {
  return poke16(entries.at(entry).local_header + 6, value);
}
BuiltZip& BuiltZip::set_local_method(std::size_t entry, std::uint16_t value) {
  return poke16(entries.at(entry).local_header + 8, value);
}
BuiltZip& BuiltZip::set_local_crc(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).local_header + 14, value);
}
BuiltZip& BuiltZip::set_local_compressed_size(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).local_header + 18, value);
}
BuiltZip& BuiltZip::set_local_size(std::size_t entry, std::uint32_t value) {
  return poke32(entries.at(entry).local_header + 22, value);
}
BuiltZip& BuiltZip::set_entry_count(std::uint16_t value) {
  return poke16(end + 8, value).poke16(end + 10, value);
}
BuiltZip& BuiltZip::set_directory_size(std::uint32_t value) {
  return poke32(end + 12, value);
}
BuiltZip& BuiltZip::set_directory_offset(std::uint32_t value) {
  return poke32(end + 16, value);
}
BuiltZip& BuiltZip::corrupt_data(std::size_t entry, std::size_t offset) {
  char& byte = bytes.at(entries.at(entry).data + offset);
  byte = static_cast<char>(byte ^ 1);
  return *this;
}

std::string BuiltZip::local_header(std::size_t entry) const {
  const ZipPlaces& places = entries.at(entry);
  return bytes.substr(places.local_header, places.data - places.local_header);
}
std::string BuiltZip::data(std::size_t entry) const {
  const ZipPlaces& places = entries.at(entry);
  return bytes.substr(places.data, places.data_end - places.data);
}
std::string BuiltZip::after_data(std::size_t entry) const {
  const ZipPlaces& places = entries.at(entry);
  return bytes.substr(places.data_end, places.region_end - places.data_end);
}
std::string BuiltZip::directory_bytes() const {
  return bytes.substr(directory, directory_size);
}

} // namespace tmpdump::test
