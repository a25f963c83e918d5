// SPDX-License-Identifier: Apache-2.0
// The smallest shared library that has a dynamic section, for tests of what reads one.
#pragma once

#include <cstring>
#include <elf.h>
#include <string>
#include <vector>

namespace tmpdump::test {

struct ElfBuilder {
  std::vector<std::string> needed;
  std::string soname;
  std::uint64_t load_address = 0x10000; // so that addresses differ from offsets

  [[nodiscard]] std::string build() const {
    std::string strings(1, '\0');
    std::vector<Elf64_Dyn> dynamic;
    const auto name = [&](Elf64_Sxword tag, const std::string& text) {
      dynamic.push_back({.d_tag = tag, .d_un = {.d_val = strings.size()}});
      strings.append(text).push_back('\0');
    };
    for (const std::string& library : needed)
      name(DT_NEEDED, library);
    if (!soname.empty()) name(DT_SONAME, soname);
    const std::size_t dynamic_at = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr);
    const std::size_t dynamic_size = (dynamic.size() + 3) * sizeof(Elf64_Dyn);
    const std::size_t strings_at = dynamic_at + dynamic_size;
    dynamic.push_back({.d_tag = DT_STRTAB, .d_un = {.d_val = load_address + strings_at}});
    dynamic.push_back({.d_tag = DT_STRSZ, .d_un = {.d_val = strings.size()}});
    dynamic.push_back({.d_tag = DT_NULL, .d_un = {.d_val = 0}});

    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_version = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    Elf64_Phdr load{};
    load.p_type = PT_LOAD;
    load.p_vaddr = load_address;
    load.p_filesz = load.p_memsz = strings_at + strings.size();
    Elf64_Phdr section{};
    section.p_type = PT_DYNAMIC;
    section.p_offset = dynamic_at;
    section.p_vaddr = load_address + dynamic_at;
    section.p_filesz = section.p_memsz = dynamic_size;

    std::string file;
    const auto append = [&](const void* bytes, std::size_t size) {
      file.append(static_cast<const char*>(bytes), size);
    };
    append(&header, sizeof header);
    append(&load, sizeof load);
    append(&section, sizeof section);
    append(dynamic.data(), dynamic.size() * sizeof(Elf64_Dyn));
    return file + strings;
  }
};

inline std::string library_that_needs(std::vector<std::string> names) {
  return ElfBuilder{.needed = std::move(names), .soname = {}}.build();
}

} // namespace tmpdump::test
