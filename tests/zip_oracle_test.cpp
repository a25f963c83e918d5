// SPDX-License-Identifier: Apache-2.0
// Other programs' opinions: Python's zipfile on archives that real tools (zip, bsdtar, jar, Python) and our
// own builder make. Keeps the module and the builder from sharing one misreading of the format.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

using namespace tmpdump;
using namespace tmpdump::test;
namespace fs = std::filesystem;

namespace {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "zip_oracle_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() { fs::remove_all(path_); }
  [[nodiscard]] const fs::path& path() const { return path_; }

private:
  fs::path path_;
};

// Standard output of zip_oracle.py VERB FILE.
std::string oracle(const std::string& verb, const fs::path& file) {
  const std::string command =
      "'" TMPDUMP_PYTHON "' '" TMPDUMP_ZIP_ORACLE "' " + verb + " '" + file.string() + "'";
  std::string out;
  std::FILE* pipe = ::popen(command.c_str(), "re");
  if (pipe == nullptr) throw std::runtime_error("popen");
  char buffer[4096];
  for (std::size_t n = 0; (n = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;)
    out.append(buffer, n);
  if (::pclose(pipe) != 0) out += "zip_oracle.py failed\n";
  return out;
}

std::string load(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// What zip_oracle.py list prints, from our own reading.
std::string list(std::string_view file) {
  const auto directory = read_directory(file);
  if (directory.has_error()) return directory.error().message;
  std::string out;
  for (const zip::Entry& entry : directory->entries) {
    const char* kind = entry.kind == zip::Kind::directory ? "directory"
                       : entry.kind == zip::Kind::symlink ? "symlink"
                                                          : "file";
    char numbers[128];
    const int length = std::snprintf(numbers, sizeof numbers, "%o|%u|%08x|%llu|%llu|%llu", entry.mode,
                                     static_cast<unsigned>(entry.method), entry.crc,
                                     static_cast<unsigned long long>(entry.compressed_size),
                                     static_cast<unsigned long long>(entry.size),
                                     static_cast<unsigned long long>(entry.local_header_offset));
    out.append(entry.path).append("|").append(kind).append("|");
    out.append(numbers, static_cast<std::size_t>(length)).append("\n");
  }
  return out;
}

} // namespace

TEST_CASE("oracle: archives of real tools are read as Python reads them") {
  const TemporaryFolder folder;
  CHECK(oracle("make", folder.path()).empty());
  int archives = 0;
  for (const auto& item : fs::directory_iterator(folder.path())) {
    if (item.path().extension() != ".zip") continue;
    CAPTURE(item.path().filename().string());
    const std::string file = load(item.path());
    CHECK(list(file) == oracle("list", item.path()));
    const auto contents = unpack(file);
    CHECK(refusal(contents) == "accepted");
    ++archives;
  }
  CHECK(archives >= 5); // Python alone makes these
}

TEST_CASE("oracle: Python reads what the builder makes") {
  const std::string text(5000, 'x');
  const auto base = [&] {
    return ZipBuilder()
        .directory("lib")
        .add("lib/a.so", text, {.mode = 0100751U})
        .symlink("lib/a", "a.so")
        .add("stored", "x", {.method = 0, .comment = "note"})
        .add("zstd", text, {.method = 93})
        .add("gr\xc3\xbc\xc3\x9f", text, {.flags = 1U << 11U, .made_by = 0})
        .add("gr\x81\xe1.dos", text, {.made_by = 0})
        .add("zip64", text, {.zip64 = true})
        .add("streamed", text, {.descriptor = Descriptor::signed32})
        .add("streamed64", text, {.zip64 = true, .descriptor = Descriptor::signed64});
  };
  const std::string stub = "#!/bin/sh\nexit 0\n";
  const TemporaryFolder folder;
  const fs::path place = folder.path() / "built.zip";
  for (const BuiltZip& zip :
       {base().build(), base().comment("a comment").build(), base().zip64_end().build(),
        base().stub(stub, true).build(), base().stub(stub, false).build(), ZipBuilder().build()}) {
    std::ofstream(place, std::ios::binary) << zip.bytes;
    CHECK(list(zip.bytes) == oracle("list", place));
    CHECK(refusal(unpack(zip.bytes)) == "accepted");
  }
}
