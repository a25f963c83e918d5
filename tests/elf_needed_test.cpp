// SPDX-License-Identifier: Apache-2.0
#include "base/unique_fd.h"
#include "manifest/elf_needed.h"
#include "support/catch.h"
#include "support/elf_builder.h"

#include <algorithm>
#include <fcntl.h>

using namespace tmpdump;
using namespace tmpdump::manifest;
using test::ElfBuilder;

namespace {

std::string library() {
  return ElfBuilder{.needed = {"libopenblas.so.0", "libc.so.6"}, .soname = "libx.so.1"}.build();
}

} // namespace

TEST_CASE("a library names what it needs and itself") {
  const auto names = read_elf_names(bytes_of(library())).value();
  CHECK(names.is_elf);
  CHECK(names.needed == std::vector<std::string>{"libopenblas.so.0", "libc.so.6"});
  CHECK(names.soname == "libx.so.1");
}

TEST_CASE("the linker's own output is read from a descriptor") {
  const UniqueFd self(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
  REQUIRE(self);
  const auto names = read_elf_names(self.get()).value();
  CHECK(names.is_elf);
  CHECK(std::count(names.needed.begin(), names.needed.end(), "libc.so.6") == 1);
}

TEST_CASE("what is no ELF file needs nothing") {
  CHECK_FALSE(read_elf_names(bytes_of("")).value().is_elf);
  CHECK_FALSE(read_elf_names(bytes_of("\x7f"
                                      "EL"))
                  .value()
                  .is_elf);
  CHECK_FALSE(read_elf_names(bytes_of("#!/bin/sh\n")).value().is_elf);
  std::string other = library();
  other[EI_CLASS] = ELFCLASS32;
  CHECK_FALSE(read_elf_names(bytes_of(other)).value().is_elf);
}

TEST_CASE("a library cut at any length is refused, not misread") {
  const std::string whole = library();
  const auto names = read_elf_names(bytes_of(whole)).value();
  for (std::size_t size = SELFMAG; size < whole.size(); ++size) {
    // A copy of exactly this size: a read beyond it is one that AddressSanitizer sees.
    const std::vector<char> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    const auto read = read_elf_names(Bytes(std::as_bytes(std::span(cut))));
    INFO("size " << size);
    CHECK_FALSE((read.has_value() && read->needed == names.needed && read->soname == names.soname));
  }
}

TEST_CASE("every byte of a library may be anything") {
  const std::string whole = library();
  for (std::size_t at = 0; at < whole.size(); ++at) {
    for (const int value : {0x00, 0x01, 0x7f, 0x80, 0xff}) {
      std::string mutated = whole;
      mutated[at] = static_cast<char>(value);
      const auto read = read_elf_names(bytes_of(mutated));
      if (read.has_value()) CHECK(read->needed.size() <= max_needed);
    }
  }
}

TEST_CASE("counts and places that lie are refused before anything is allocated for them") {
  const std::string whole = library();
  const auto with = [&](std::size_t at, std::uint64_t value, std::size_t size) {
    std::string changed = whole;
    std::memcpy(changed.data() + at, &value, size);
    return read_elf_names(bytes_of(changed));
  };
  constexpr std::size_t dynamic_header = sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr);
  CHECK_FALSE(with(offsetof(Elf64_Ehdr, e_phnum), 0xffff, 2).has_value());
  CHECK_FALSE(with(offsetof(Elf64_Ehdr, e_phentsize), 32, 2).has_value());
  CHECK_FALSE(with(offsetof(Elf64_Ehdr, e_phoff), UINT64_MAX, 8).has_value());
  CHECK_FALSE(with(dynamic_header + offsetof(Elf64_Phdr, p_filesz), UINT64_MAX, 8).has_value());
  CHECK_FALSE(with(dynamic_header + offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 8, 8).has_value());
  const std::size_t first_needed = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 8;
  CHECK_FALSE(with(first_needed, UINT64_MAX, 8).has_value());
  CHECK_FALSE(with(sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_vaddr), UINT64_MAX - 8, 8).has_value());

  CHECK_FALSE(
      read_elf_names(bytes_of(test::library_that_needs({std::string(max_name + 1, 'x')}))).has_value());
  CHECK_FALSE(
      read_elf_names(bytes_of(test::library_that_needs(std::vector<std::string>(max_needed + 1, "l"))))
          .has_value());
}
