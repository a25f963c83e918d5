// SPDX-License-Identifier: Apache-2.0
// What other ways of packing libraries would give, in bytes and in decoding: longer windows, dictionaries,
// sections that are cut or gathered by kind, an x86 filter. `bench_pack_forms LEVEL FILE...` prints a table;
// every form is decoded and compared. Most of these are not the entry's bytes any more, so no other tool
// could open the archive: an experiment.
#include <zstd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <elf.h>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <vector>
#include <zdict.h>

namespace {

using Data = std::vector<unsigned char>;
constexpr std::size_t mebibyte = std::size_t{1} << 20U;

struct Range {
  std::size_t begin = 0, end = 0;
  std::string section;
  bool code = false;
};

// A file and what its section table says of it; gaps between sections are ranges of their own.
struct File {
  std::string path;
  Data bytes;
  std::vector<Range> ranges;
};

[[noreturn]] void fail(const std::string& why) {
  (void)std::fprintf(stderr, "bench_pack_forms: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T load(const Data& bytes, std::size_t at) {
  T value{};
  if (at + sizeof value > bytes.size()) fail("a damaged ELF file");
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

File read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) fail("cannot read " + path);
  File file{path, Data(std::istreambuf_iterator<char>(in), {}), {}};
  const auto header = load<Elf64_Ehdr>(file.bytes, 0);
  std::vector<Range> sections;
  if (header.e_shnum != 0) {
    const auto names = load<Elf64_Shdr>(file.bytes, header.e_shoff + header.e_shstrndx * sizeof(Elf64_Shdr));
    for (std::size_t i = 0; i < header.e_shnum; ++i) {
      const auto section = load<Elf64_Shdr>(file.bytes, header.e_shoff + i * sizeof(Elf64_Shdr));
      if (section.sh_type == SHT_NOBITS || section.sh_size == 0 || section.sh_offset >= file.bytes.size())
        continue;
      const std::size_t end = std::min<std::size_t>(section.sh_offset + section.sh_size, file.bytes.size());
      const char* const name =
          reinterpret_cast<const char*>(file.bytes.data() + names.sh_offset + section.sh_name);
      sections.push_back({section.sh_offset, end, name, (section.sh_flags & SHF_EXECINSTR) != 0});
    }
  }
  std::sort(sections.begin(), sections.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::size_t at = 0;
  for (Range& section : sections) {
    if (section.begin < at) continue;
    if (section.begin > at) file.ranges.push_back({at, section.begin, "", false});
    at = section.end;
    file.ranges.push_back(std::move(section));
  }
  if (at < file.bytes.size()) file.ranges.push_back({at, file.bytes.size(), "", false});
  return file;
}

// E8 and E9, call and jump: the distance becomes the target, which repeats where a distance does not; as in
// LZX. `position` of the bytes in their file. Its own inverse with `back`.
void x86_filter(unsigned char* bytes, std::size_t length, std::size_t position, std::int32_t file_size,
                bool back) {
  for (std::size_t i = 0; i + 5 <= length; ++i) {
    if ((bytes[i] & 0xFEU) != 0xE8U) continue;
    std::int32_t value = 0;
    std::memcpy(&value, bytes + i + 1, 4);
    const auto here = static_cast<std::int32_t>(position + i);
    if (back) {
      if (value >= -here && value < file_size) value = value >= 0 ? value - here : value + file_size;
    } else if (value >= -here && value < file_size) {
      value = value < file_size - here ? value + here : value - file_size;
    }
    std::memcpy(bytes + i + 1, &value, 4);
    i += 4;
  }
}

struct Chunk {
  Data bytes;
  std::size_t position = 0; // in its file
  std::int32_t file_size = 0;
  bool code = false;
};

struct Form {
  std::string name;
  std::size_t segment = 8 * mebibyte;
  int window_log = 23;
  bool long_matches = false;
  bool by_section = false; // segments begin at sections' boundaries
  bool gathered = false;   // and sections of one kind, of all files, follow each other
  bool filter = false;
  std::size_t dictionary = 0; // bytes, trained over all files; each segment uses it
  std::size_t prefix = 0;     // bytes of the file's beginning that each of its later segments refers to
};

// Cuts [begin, end) of the file evenly.
void cut(const File& file, std::size_t begin, std::size_t end, bool code, const Form& form,
         std::vector<Chunk>& out) {
  const std::size_t length = end - begin, count = (length + form.segment - 1) / form.segment;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t from = begin + length * i / count, to = begin + length * (i + 1) / count;
    const auto at = [&](std::size_t place) {
      return file.bytes.begin() + static_cast<std::ptrdiff_t>(place);
    };
    out.push_back({Data(at(from), at(to)), from, static_cast<std::int32_t>(file.bytes.size()), code});
  }
}

std::vector<Chunk> chunks_of(const std::vector<File>& files, const Form& form) {
  std::vector<Chunk> chunks;
  std::map<std::string, Data> kinds;
  for (const File& file : files) {
    if (!form.by_section && !form.gathered && !form.filter) {
      cut(file, 0, file.bytes.size(), false, form, chunks);
      continue;
    }
    std::size_t small = 0; // where a run of sections too small for a segment began
    for (const Range& range : file.ranges) {
      if (form.gathered) {
        Data& kind = kinds[range.section];
        kind.insert(kind.end(), file.bytes.begin() + static_cast<std::ptrdiff_t>(range.begin),
                    file.bytes.begin() + static_cast<std::ptrdiff_t>(range.end));
        continue;
      }
      if (range.end - range.begin < mebibyte) continue;
      cut(file, small, range.begin, false, form, chunks);
      cut(file, range.begin, range.end, range.code, form, chunks);
      small = range.end;
    }
    if (!form.gathered) cut(file, small, file.bytes.size(), false, form, chunks);
  }
  for (auto& [name, bytes] : kinds) {
    const File whole{name, std::move(bytes), {}};
    cut(whole, 0, whole.bytes.size(), false, form, chunks);
  }
  return chunks;
}

Data trained(const std::vector<File>& files, std::size_t size) {
  Data samples;
  std::vector<std::size_t> lengths;
  constexpr std::size_t sample = std::size_t{16} * 1024, stride = std::size_t{512} * 1024;
  for (const File& file : files) {
    for (std::size_t at = 0; at + sample <= file.bytes.size(); at += stride) {
      const auto from = file.bytes.begin() + static_cast<std::ptrdiff_t>(at);
      samples.insert(samples.end(), from, from + sample);
      lengths.push_back(sample);
    }
  }
  Data dictionary(size);
  const std::size_t made = ZDICT_trainFromBuffer(dictionary.data(), size, samples.data(), lengths.data(),
                                                 static_cast<unsigned>(lengths.size()));
  if (ZDICT_isError(made) != 0) fail("no dictionary");
  dictionary.resize(made);
  return dictionary;
}

std::size_t checked(std::size_t size) {
  if (ZSTD_isError(size) != 0) fail(ZSTD_getErrorName(size));
  return size;
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void measure(const std::vector<File>& files, const Form& form, int level, double& base) {
  const std::vector<Chunk> chunks = chunks_of(files, form);
  const Data dictionary = form.dictionary == 0 ? Data{} : trained(files, form.dictionary);
  ZSTD_CCtx* const compressor = ZSTD_createCCtx();
  ZSTD_DCtx* const decompressor = ZSTD_createDCtx();
  ZSTD_CCtx_setParameter(compressor, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(compressor, ZSTD_c_windowLog, form.window_log);
  ZSTD_CCtx_setParameter(compressor, ZSTD_c_enableLongDistanceMatching, form.long_matches ? 1 : 0);
  ZSTD_DCtx_setParameter(decompressor, ZSTD_d_windowLogMax, 27);
  if (!dictionary.empty()) {
    checked(ZSTD_CCtx_loadDictionary(compressor, dictionary.data(), dictionary.size()));
    checked(ZSTD_DCtx_loadDictionary(decompressor, dictionary.data(), dictionary.size()));
  }
  std::size_t packed_size = dictionary.size(), size = 0;
  double packing = 0, decoding = 0;
  Data packed, out;
  const Chunk* first = nullptr; // of the file, for prefixes
  for (const Chunk& chunk : chunks) {
    if (chunk.position == 0) first = &chunk;
    Data input = chunk.bytes;
    const bool filtered = form.filter && chunk.code;
    if (filtered) x86_filter(input.data(), input.size(), chunk.position, chunk.file_size, false);
    const std::size_t prefix =
        first != nullptr && first != &chunk ? std::min(form.prefix, first->bytes.size()) : 0;
    packed.resize(ZSTD_compressBound(input.size()));
    packing += seconds_of([&] {
      if (prefix != 0) checked(ZSTD_CCtx_refPrefix(compressor, first->bytes.data(), prefix));
      packed.resize(
          checked(ZSTD_compress2(compressor, packed.data(), packed.size(), input.data(), input.size())));
    });
    out.assign(input.size(), 0);
    decoding += seconds_of([&] {
      if (prefix != 0) checked(ZSTD_DCtx_refPrefix(decompressor, first->bytes.data(), prefix));
      checked(ZSTD_decompressDCtx(decompressor, out.data(), out.size(), packed.data(), packed.size()));
      if (filtered) x86_filter(out.data(), out.size(), chunk.position, chunk.file_size, true);
    });
    if (out != chunk.bytes) fail("'" + form.name + "' does not decode to what it was");
    packed_size += packed.size();
    size += input.size();
  }
  ZSTD_freeCCtx(compressor);
  ZSTD_freeDCtx(decompressor);
  const auto bytes = static_cast<double>(packed_size);
  if (base == 0) base = bytes;
  (void)std::printf("| %s | %.2f | %+.2f %% | %.1f | %.2f | %.0f |\n", form.name.c_str(), bytes / 1e6,
                    100 * (bytes / base - 1), packing, decoding, static_cast<double>(size) / 1e6 / decoding);
  (void)std::fflush(stdout);
}

std::vector<Form> forms() {
  std::vector<Form> all(11);
  all[0].name = "segments of 8 MiB";
  all[1].name = "segments of 16 MiB, window 16 MiB";
  all[1].segment = 16 * mebibyte;
  all[1].window_log = 24;
  all[2].name = "segments of 32 MiB, window 32 MiB, long matches";
  all[2].segment = 32 * mebibyte;
  all[2].window_log = 25;
  all[2].long_matches = true;
  all[3].name = "whole files, window 128 MiB, long matches";
  all[3].segment = std::size_t{1} << 30U;
  all[3].window_log = 27;
  all[3].long_matches = true;
  all[4].name = "long matches in segments of 8 MiB";
  all[4].long_matches = true;
  all[5].name = "a dictionary of 112 KB over all files";
  all[5].dictionary = std::size_t{112} * 1024;
  all[6].name = "a dictionary of 1 MB over all files";
  all[6].dictionary = mebibyte;
  all[7].name = "each segment after the file's first 4 MiB";
  all[7].prefix = 4 * mebibyte;
  all[7].window_log = 24;
  all[8].name = "cut at sections";
  all[8].by_section = true;
  all[9].name = "sections of one kind gathered over all files";
  all[9].gathered = true;
  all[10].name = "cut at sections, x86 filter on code";
  all[10].filter = all[10].by_section = true;
  return all;
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 3) fail("usage: bench_pack_forms LEVEL FILE...");
  const int level = std::atoi(argv[1]);
  std::vector<File> files;
  for (int i = 2; i < argc; ++i)
    files.push_back(read_file(argv[i]));
  (void)std::printf(
      "| zstd %d | MB | to the first | packing, s | decoding, s | MB/s |\n|---|---|---|---|---|---|\n",
      level);
  double base = 0;
  for (const Form& form : forms())
    measure(files, form, level, base);
  return 0;
}
