// SPDX-License-Identifier: Apache-2.0
// What pack/ decides without touching a file.
#include "cli/globs.h"
#include "pack/codec.h"
#include "pack/debug_log.h"
#include "pack/entry_reader.h"
#include "pack/from_log.h"
#include "pack/item.h"
#include "pack/levels.h"
#include "pack/pack.h"
#include "pack/profile.h"
#include "pack/sources.h"
#include "pack/system_libraries.h"
#include "support/catch.h"
#include "support/scratch_directory.h"
#include "support/zip_builder.h"

#include <zlib.h>
#include <zstd.h>

#include <fstream>
#include <random>
#include <sstream>

using namespace tmpdump;
using namespace tmpdump::pack;

namespace {

std::string log_of_javacpp() {
  std::ifstream file(TMPDUMP_JAVACPP_LOG);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

const LoadedLibrary* find(const DebugLog& log, const std::string& name) {
  for (const auto& library : log.libraries)
    if (library.name == name) return &library;
  return nullptr;
}

// What inflate makes of the bytes, and whether it saw the stream's end.
std::pair<std::string, bool> inflated(Bytes stream) {
  z_stream engine{};
  REQUIRE(inflateInit2(&engine, -15) == Z_OK);
  std::string out(8U << 20U, '\0');
  engine.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(stream.data()));
  engine.avail_in = static_cast<uInt>(stream.size());
  engine.next_out = reinterpret_cast<Bytef*>(out.data());
  engine.avail_out = static_cast<uInt>(out.size());
  const int status = inflate(&engine, Z_SYNC_FLUSH);
  REQUIRE(engine.avail_in == 0);
  out.resize(engine.total_out);
  (void)inflateEnd(&engine);
  return {out, status == Z_STREAM_END};
}

std::string noise(std::size_t size, unsigned seed, int values) {
  std::mt19937 random(seed);
  std::string out(size, '\0');
  for (char& c : out)
    c = static_cast<char>(random() % static_cast<unsigned>(values));
  return out;
}

} // namespace

TEST_CASE("a log of JavaCPP tells what was loaded, by which class, and out of which file") {
  const DebugLog log = parse_debug_log(log_of_javacpp());
  std::vector<std::string> names;
  for (const auto& library : log.libraries)
    names.push_back(library.name);
  CHECK(names == std::vector<std::string>{"libgcc_s.so.1", "libquadmath.so.0", "libgfortran.so.5",
                                          "libopenblas_nolapack.so.0", "libjniopenblas_nolapack.so",
                                          "libjnijavacpp.so", "libopenblas.so.0", "libjniopenblas.so"});
  CHECK(find(log, "libopenblas_nolapack.so.0")->source_name == "libopenblas.so.0");
  CHECK(find(log, "libopenblas.so.0")->source_name.empty());
  CHECK(find(log, "libjnijavacpp.so")->classes == std::vector<std::string>{"org.bytedeco.javacpp.Pointer"});
  CHECK(log.jars == std::vector<std::string>{"/home/u/.m2/openblas-0.3.28-1.5.11-linux-x86_64.jar",
                                             "/home/u/.m2/javacpp-1.5.11-linux-x86_64.jar"});
}

TEST_CASE("a log with other lines, prefixes, and attempts that failed") {
  const DebugLog log =
      parse_debug_log("2026-01-01 12:00:00 [main] DEBUG Logger - Loading class a.B\r\n"
                      "Preloading /lib/libno.so\n"
                      "Debug: Loading /x/libbad.so\n"
                      "Debug: Failed to load /x/libbad.so: java.lang.UnsatisfiedLinkError: /x\n"
                      "Debug: Loading library gomp\n"
                      "Loading configuration /etc/app.conf\n"
                      "Debug: Loading /etc/app.conf\n"
                      "12:00:01 DEBUG Loading /x/libgood.so\r\n"
                      "Debug: Loading class c.D\n"
                      "Debug: Loading /x/libgood.so\n"
                      "Debug: Failed to load /x/libgood.so: a second time");
  REQUIRE(log.libraries.size() == 1);
  CHECK(log.libraries[0].name == "libgood.so");
  CHECK(log.libraries[0].classes == std::vector<std::string>{"a.B", "c.D"});
  CHECK(parse_debug_log("").libraries.empty());
}

TEST_CASE("a log names jars by their URLs") {
  const auto log_of = [](const std::string& url) {
    return parse_debug_log("Debug: Extracting " + url + "\nDebug: Loading /x/libx.so\n");
  };
  const auto jar = [&](const std::string& url) { return log_of("jar:file:" + url + "!/a/libx.so").jars; };
  using Names = std::vector<std::string>;
  CHECK(jar("/my%20app/%C3%A9%21.jar") == Names{"/my app/\u00e9!.jar"});
  for (const std::string same : {"/100%.jar", "/%", "/%4", "/%zz.jar", "/%+1.jar", "/%00.jar", "/a+b.jar"})
    CHECK(jar(same) == Names{same});
  CHECK(log_of("jar:file:/x.jar!/a/libc%2B%2B.so").libraries.at(0).source_name == "libc++.so");
  // Spring Boot's, before 3.2 and since.
  for (const std::string url : {"jar:file:/my%20app.jar!/BOOT-INF/lib/x.jar!/a/libx.so",
                                "jar:nested:/my%20app.jar/!BOOT-INF/lib/x.jar!/a/libx.so"}) {
    CHECK(log_of(url).jars.empty());
    CHECK(log_of(url).nested_jars == Names{"/my app.jar!BOOT-INF/lib/x.jar"});
  }
  for (const std::string odd :
       {"jar:nested:/x.jar", "jar:nested:", "jar:nested:!/", "jar:file:", "jar:", "!/!/"}) {
    CHECK(log_of(odd).jars.empty());
    CHECK(log_of(odd).nested_jars.empty());
  }
}

TEST_CASE("what a log means for the archive: sources, order, classes") {
  const std::string cold = log_of_javacpp();
  CHECK(sources_of(parse_debug_log(cold)) == parse_debug_log(cold).jars);
  // The same once more: JavaCPP's cache has everything, and no line says which jar it came from.
  std::string warm;
  for (std::size_t at = 0, end = 0; at < cold.size(); at = end) {
    end = std::min(cold.find('\n', at), cold.size() - 1) + 1;
    const std::string line = cold.substr(at, end - at);
    if (line.find("Extracting") == std::string::npos) warm += line;
  }
  const std::string cache = "/home/u/.javacpp/cache/";
  CHECK(sources_of(parse_debug_log(warm + "Debug: Loading /usr/lib/jni/libother.so\n")) ==
        std::vector<std::string>{
            cache + "openblas-0.3.28-1.5.11-linux-x86_64.jar/org/bytedeco/openblas/linux-x86_64=lib",
            cache + "javacpp-1.5.11-linux-x86_64.jar/org/bytedeco/javacpp/linux-x86_64=lib",
            "/usr/lib/jni/libother.so=lib"});

  const DebugLog log = parse_debug_log("Debug: Loading class a.A\nDebug: Loading /x/libz.so\n"
                                       "Debug: Loading class b.B\nDebug: Loading /x/liba.so\n"
                                       "Debug: Loading /x/libz.so\n");
  std::vector<Item> items(4);
  const std::vector<std::string> paths{"lib/liba.so", "lib/libneeded.so", "lib/libunused.so", "lib/libz.so"};
  for (std::size_t i = 0; i < items.size(); ++i)
    items[i].path = paths[i];
  CHECK(load_order(items, {{"lib/libz.so", {true, "", {"libneeded.so"}}}}, log) ==
        std::vector<std::string>{"lib/libneeded.so", "lib/libz.so", "lib/liba.so"});
  CHECK(libraries_by_class(log) == LoadedBy{{"a.A", {"libz.so"}}, {"b.B", {"liba.so"}}});
}

TEST_CASE("a profile is paths in their order of use") {
  const auto profile =
      parse_profile("# used by main()\n\n /tmp/lib/b.so\r\nlib/a b.so # second\n/tmp/\nlib/none");
  CHECK(profile == std::vector<std::string>{"lib/b.so", "lib/a b.so", "lib/none"});
  const Order order = order_by(profile, {"lib/a b.so", "lib/b.so", "lib/c.so"});
  CHECK(order.positions == std::vector<std::size_t>{1, 0, 2});
  CHECK(order.unknown == std::vector<std::string>{"lib/none"});
}

TEST_CASE("large files are cut into parts of one size") {
  constexpr std::uint64_t mib = 1U << 20U;
  const PackSettings zstd;
  CHECK(segment_bytes_for(zstd, 0) == 0);
  CHECK(segment_bytes_for(zstd, 10 * mib) == 0);
  CHECK(segment_bytes_for(zstd, 15 * mib - 1) == 0);
  CHECK(segment_bytes_for(zstd, 15 * mib + 1) == 7 * mib + mib / 2 + 65536);
  CHECK(segment_bytes_for(zstd, 33 * mib) == 11 * mib);
  CHECK(segment_bytes_for(zstd, 20 * mib) == 10 * mib);
  PackSettings deflate;
  deflate.method = zip::Method::deflate;
  CHECK(segment_bytes_for(deflate, 3 * mib) == mib);
  PackSettings tiny;
  tiny.segment_bytes = 1; // as small as the format allows
  CHECK(segment_bytes_for(tiny, 65537) == 65536);
  for (std::uint64_t size = 1; size < (std::uint64_t{1} << 43U); size = size * 3 + 7) {
    for (const PackSettings& settings : {zstd, deflate, tiny}) {
      const std::uint64_t bytes = segment_bytes_for(settings, size);
      if (bytes == 0) continue;
      const std::uint64_t count = (size + bytes - 1) / bytes;
      CAPTURE(size, bytes);
      CHECK((count >= 2 && count <= 4096));
      CHECK((bytes >= 65536 && bytes <= 1024 * mib));
    }
  }
}

TEST_CASE("what pack makes with zstd needs a window of 8 MiB at most") {
  const std::string segment = noise(12'000'000, 1, 200);
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> reader(ZSTD_createDCtx(), ZSTD_freeDCtx);
  REQUIRE(ZSTD_isError(ZSTD_DCtx_setParameter(reader.get(), ZSTD_d_windowLogMax, 23)) == 0);
  std::vector<char> out(segment.size());
  for (const int level : {1, 9}) {
    const Buffer packed = make_codec(zip::Method::zstd, level)->compress(bytes_of(segment), true).value();
    // In two calls: in one, libzstd takes `out` in place of a window, whatever its size.
    ZSTD_inBuffer in{packed.data(), packed.size() / 2, 0};
    ZSTD_outBuffer to{out.data(), out.size(), 0};
    REQUIRE(ZSTD_isError(ZSTD_decompressStream(reader.get(), &to, &in)) == 0);
    in.size = packed.size();
    CHECK(ZSTD_decompressStream(reader.get(), &to, &in) == 0);
    CHECK(std::string_view(out.data(), to.pos) == segment);
  }
}

TEST_CASE("a deflate stream becomes one that another can follow") {
  // Values: 2 makes dynamic blocks, 256 stored ones; short inputs make fixed ones. Lengths end blocks at
  // every bit.
  std::string whole;
  Buffer all;
  const auto codec = make_codec(zip::Method::deflate, 6);
  for (unsigned i = 0; i < 60; ++i) {
    const std::string part = noise(i < 20 ? i + 1 : 1000 * (i - 19), i, i % 3 == 0 ? 256 : 2);
    const auto packed = codec->compress(bytes_of(part), false);
    REQUIRE(packed.has_value());
    const auto [alone, ended] = inflated(*packed);
    CHECK(alone == part);
    CHECK_FALSE(ended);
    CHECK(text_of(*packed).substr(packed->size() - 4) == std::string_view("\0\0\xFF\xFF", 4));
    all.insert(all.end(), packed->begin(), packed->end());
    whole += part;
  }
  const auto last = codec->compress(bytes_of("the end"), true);
  all.insert(all.end(), last->begin(), last->end());
  CHECK(inflated(all) == std::pair(whole + "the end", true));
}

TEST_CASE("what is no whole deflate stream is refused") {
  const auto packed = make_codec(zip::Method::deflate, 6)->compress(bytes_of(noise(5000, 1, 4)), true);
  for (std::size_t length = 0; length < packed->size(); ++length) {
    Buffer cut(packed->begin(), packed->begin() + static_cast<std::ptrdiff_t>(length));
    CAPTURE(length);
    CHECK_FALSE(make_continuable(cut).has_value());
  }
}

TEST_CASE(
    "a segment that ends within a block is refused as the reader refuses it, whatever its last bytes are") {
  constexpr std::uint32_t segment = 65536;
  std::string content = noise(100'000, 1, 256);
  const std::string empty_block("\0\0\xFF\xFF", 4);
  content.replace(segment - 4, 4, empty_block);
  // A stored block (RFC 1951, 3.2.4) that announces `length` bytes.
  const auto stored = [](unsigned length, std::string_view bytes) {
    std::string block(1, '\0');
    for (const unsigned field : {length, ~length}) {
      block.push_back(static_cast<char>(field & 0xFFU));
      block.push_back(static_cast<char>(field >> 8U & 0xFFU));
    }
    return block.append(bytes);
  };
  const unsigned more = GENERATE(0U, 1U); // 1: what an unzip takes for the next segment's first byte
  const std::string_view share = std::string_view(content).substr(0, segment);
  const std::string first =
      stored(60'000, share.substr(0, 60'000)) + stored(5536 + more, share.substr(60'000));
  const std::string end = std::string(1, '\0') + empty_block;
  test::ZipBuilder builder;
  builder.add_packed("lib/x.so", content,
                     {more == 0 ? first + end : first,
                      test::deflate_segment(std::string_view(content).substr(segment), 6, true)},
                     {.segment_bytes = segment});
  const test::ScratchDirectory scratch;
  scratch.write("a.zip", builder.build().bytes);
  const auto archive = ArchiveFile::open(scratch.path("a.zip")).value();
  const auto directory = archive.directory().value();
  std::string read;
  const auto outcome = read_content(archive, directory.entries.at(0), [&](Bytes bytes) {
    read.append(text_of(bytes));
    return result<void>{};
  });
  if (more == 0) {
    CHECK(outcome.has_value());
    CHECK(read == content);
  } else {
    REQUIRE(outcome.has_error());
    CHECK(outcome.error().message.find("within a block") != std::string::npos);
  }
}

TEST_CASE("what is named like a library") {
  for (const char* name : {"libx.so", "lib/libx.so.4", "libx.so.4.10.0", "x.so"})
    CHECK(named_like_a_library(name));
  for (const char* name : {"libx.so.txt", "libx.sol", ".so", "lib/so", "libx.a", "libx.so4"})
    CHECK_FALSE(named_like_a_library(name));
}

TEST_CASE("a CPU variant is known by its folder") {
  CHECK(level_of("lib/glibc-hwcaps/x86-64-v3/libx.so") == "x86-64-v3");
  CHECK(level_of("glibc-hwcaps/x86-64-v4/libx.so") == "x86-64-v4");
  CHECK(level_of("lib/not-glibc-hwcaps/x86-64-v3/libx.so").empty());
  CHECK(level_of("not-glibc-hwcaps/a/glibc-hwcaps/x86-64-v2/libx.so") == "x86-64-v2");
  CHECK(level_of("lib/glibc-hwcaps/libx.so").empty());
  CHECK(level_of("lib/glibc-hwcaps/x86-64-v9/libx.so").empty()); // a plain folder
  // As the reader has it, who looks at the first one.
  CHECK(level_of("lib/glibc-hwcaps/plain/glibc-hwcaps/x86-64-v3/libx.so").empty());
}

TEST_CASE("globs include and exclude") {
  CHECK(cli::wants({}, {}, "a"));
  CHECK(cli::wants({"lib/*"}, {}, "lib/deep/x"));
  CHECK_FALSE(cli::wants({"lib/*"}, {}, "x"));
  CHECK_FALSE(cli::wants({"lib/*"}, {"*.a"}, "lib/x.a"));
}

TEST_CASE("Amazon Linux's libraries") {
  CHECK(system_library("libc.so.6").al2 == Presence::yes);
  CHECK(system_library("libcrypto.so.3").al2 == Presence::no);
  CHECK(system_library("libcrypto.so.3").al2023 == Presence::yes);
  CHECK(system_library("libgtk-x11-2.0.so.0").al2023 == Presence::no);
}
