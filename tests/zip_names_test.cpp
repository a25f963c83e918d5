// SPDX-License-Identifier: Apache-2.0
// Names: encodings, paths that are refused, entries that get into each other's way.
#include "support/catch.h"
#include "support/zip_builder.h"
#include "support/zip_reader.h"
#include "zip/directory.h"

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

constexpr std::uint16_t utf8_flag = 1U << 11U;

result<std::string> path_of(std::string_view name, const ZipOptions& options = {}) {
  ZipOptions plain = options;
  plain.method = 0;
  TMPDUMP_TRY(const auto directory, read_directory(ZipBuilder().add(name, "", plain).build().bytes));
  return directory.entries.at(0).path;
}

std::string refused(std::string_view name, const ZipOptions& options = {}) {
  return refusal(path_of(name, options));
}

std::string refused(const ZipBuilder& zip) {
  return refusal(read_directory(zip.build().bytes));
}

} // namespace

TEST_CASE("names: UTF-8 by flag") {
  CHECK(path_of("gr\xc3\xbc\xc3\x9f.so", {.flags = utf8_flag, .made_by = 0}).value() == "grüß.so");
  CHECK(path_of("\xf0\x9f\x90\xa2", {.flags = utf8_flag}).value() == "🐢");
  for (const std::string_view bad :
       {"\xfc", "a\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf", "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", "\x80", "\xe2\x82", "\xf0\x9f\x90"}) {
    CHECK(refusal(path_of(bad, {.flags = utf8_flag})) ==
          "entry \"" + printable(bad) + "\": the name says that it is UTF-8 and is not");
  }
}

TEST_CASE("names: CP437 without the flag") {
  CHECK(path_of("gr\x81\xe1.so", {.made_by = 0}).value() == "grüß.so");
  CHECK(path_of("\x80\x9b\xb0\xdb\xfe\xff", {.made_by = 0}).value() == "Ç¢░█■\u00a0");
  // Info-ZIP's zip on Linux stores the bytes of the file system and sets no flag.
  CHECK(path_of("gr\xc3\xbc\xc3\x9f.so", {.made_by = 3}).value() == "grüß.so");
  CHECK(path_of("gr\xc3\xbc\xc3\x9f.so", {.made_by = 19}).value() == "grüß.so");
}

TEST_CASE("names: without the flag, and nobody can tell the encoding") {
  for (const std::uint8_t host : {std::uint8_t{0}, std::uint8_t{10}, std::uint8_t{14}}) {
    CHECK(refused("\xc3\xbc", {.made_by = host}) ==
          "entry \"\xc3\xbc\": the name is CP437 or UTF-8, and no flag says which");
  }
  for (const std::uint8_t host : {std::uint8_t{3}, std::uint8_t{19}}) {
    for (const std::string_view name : {"gr\x81\xe1.so", "gr\xfc\xdf.so"}) {
      CHECK(refused(name, {.made_by = host}) ==
            "entry \"" + printable(name) + "\": the name is not UTF-8, and nothing says what else it is");
    }
  }
}

TEST_CASE("names: the Info-ZIP Unicode Path") {
  const std::string raw = "gr?";
  CHECK(path_of(raw, {.central_extra = unicode_path_extra(raw, "grüß")}).value() == "grüß");
  // A tool that knows nothing of it has renamed the entry: the CRC tells.
  CHECK(path_of("new", {.central_extra = unicode_path_extra(raw, "grüß")}).value() == "new");
  CHECK(path_of("gr\xc3\xbc", {.flags = utf8_flag, .central_extra = unicode_path_extra("gr\xc3\xbc", "grü")})
            .value() == "grü"); // WinRAR says it both ways
  for (const std::string_view item : {"", "\x01", "\x01gr?", "\x01tiny"}) {
    CHECK(path_of(raw, {.central_extra = extra_item(0x7075, item)}).value() == raw);
  }

  CHECK(refused(raw, {.central_extra = unicode_path_extra(raw, "\xfc")}) ==
        "entry \"gr?\": the Unicode Path extra field is not UTF-8");
  CHECK(refused("../gr?", {.central_extra = unicode_path_extra("../gr?", "../grüß")}) ==
        "entry \"../gr?\": the path has a '..' component");
  const std::string twice = unicode_path_extra(raw, "a") + unicode_path_extra(raw, "b");
  CHECK(refused(raw, {.central_extra = twice}) == "entry \"gr?\": the same extra field occurs twice");
}

TEST_CASE("names: a Unicode Path is the name in more letters, not another name") {
  const auto said = [](std::string_view raw, std::string_view unicode, std::uint16_t flags = 0,
                       std::uint8_t version = 1) {
    std::string item = unicode_path_extra(raw, unicode);
    item[4] = static_cast<char>(version);
    return refused(raw, {.flags = flags, .made_by = 3, .central_extra = item});
  };
  // What was put in place of the letters that the code page lacks: a mark, a number, a likeness, bytes.
  for (const std::string_view raw : {"lib/gr__.so", "lib/gr??.so", "lib/gr#U00fc#U00df.so", "lib/gruss.so",
                                     "lib/gr\x81\xe1.so", "lib/gr\xfc\xdf.so", "lib/gr\xc3\xbc\xc3\x9f.so"}) {
    CHECK(said(raw, "lib/grüß.so") == "accepted");
  }
  const auto other = [](std::string_view raw) {
    return "entry \"" + printable(raw) + "\": its Unicode Path extra field names another file";
  };
  CHECK(said("a", "a") == "accepted");
  CHECK(said("a", "b") == other("a"));
  CHECK(said("ab", "a") == other("ab")); // nothing in it needed the field
  CHECK(said("safe.so", "ä.so") == "accepted");
  CHECK(said("safe.so", "evil-ä.so") == other("safe.so"));
  CHECK(said("lib/__.so", "lib/ü/.so") == other("lib/__.so"));
  CHECK(said("lib/__/a", "lib/üa") == other("lib/__/a"));
  CHECK(said("ä", "ö", utf8_flag) == other("ä")); // the flag has left nothing open
  CHECK(said("a", "b", 0, 0) == other("a"));
  CHECK(said("gr__", "grüß", 0, 2) == other("gr__")); // readers disagree on unknown versions
  CHECK(said("gr", "gr", 0, 2) == "accepted");
  CHECK(said("a", "../x") == other("a"));
  CHECK(said("a", "") == other("a"));
}

TEST_CASE("names: paths with one meaning") {
  for (const std::string name : {"a", "a/b/c.so", "...", ".hidden", "a..b", "a/.tmpdump", ".tmpdump2",
                                 "d/C:x", "ab:x", "1:x", "with space", "\xc2\x85", "~", "-rf"}) {
    CHECK(path_of(name).value() == name);
  }
  CHECK(path_of("./a/b").value() == "a/b"); // find . | zip -@
  CHECK(path_of("a/b/").value() == "a/b");
  CHECK(path_of("./a/").value() == "a");
  CHECK(path_of("a\\b").value() == "a\\b");                         // on Unix a byte like others
  CHECK(path_of("lib/a\\b", {.made_by = 0}).value() == "lib/a\\b"); // jar on Linux says that it is DOS
  CHECK(path_of(std::string(255, 'x')).value() == std::string(255, 'x'));

  std::string longest;
  while (longest.size() < 4096)
    longest += std::string(127, 'x') + "/";
  longest.back() = 'x';
  CHECK(path_of(longest).value() == longest);
  CHECK(refusal(path_of(longest + "x")) ==
        "entry \"" + printable(longest) + "\": the name is longer than 4096 bytes");
}

TEST_CASE("names: paths without one meaning, or with an evil one") {
  const auto because = [](std::string_view name, std::string_view why) {
    return "entry \"" + printable(name) + "\": " + std::string(why);
  };
  for (const std::string name : {"..", "../a", "a/..", "a/../b", "a/../../b", "./../a", "../"}) {
    CHECK(refused(name) == because(name, "the path has a '..' component"));
  }
  for (const std::string name : {"a//b", "a//", "a/./b", "a/.", ".", "././a", ".//a", "./."}) {
    CHECK(refused(name) == because(name, "the path has an empty or '.' component"));
  }
  for (const std::string name : {"/", "/a", "//a", "/etc/passwd"}) {
    CHECK(refused(name) == because(name, "the path is absolute"));
  }
  for (const std::string name : {".tmpdump", ".tmpdump/", ".tmpdump/manifest", "./.tmpdump/stage/1"}) {
    CHECK(refused(name) == because(name, "'.tmpdump' at the top is reserved for tmpdump's own files"));
  }
  for (const std::uint8_t host : {std::uint8_t{0}, std::uint8_t{10}, std::uint8_t{14}}) {
    CHECK(refused("a\\b", {.made_by = host}) ==
          because("a\\b", "the name contains a backslash and was not made on Unix; separators must be '/'"));
  }
  for (const std::string name : {"C:", "C:x", "c:/x", "z:\\x"}) {
    CHECK(refused(name) == because(name, "the name begins with a drive letter"));
  }
  for (const std::string name : {"line\nbreak", "tab\t", "\x1b[2J", "a\x7f", "Icon\r"}) {
    CHECK(refused(name) == because(name, "the name contains a control character"));
  }
  CHECK(refused("") == because("", "the name is empty"));
  CHECK(refused(std::string("a\0b", 3)) == because(std::string("a\0b", 3), "the name contains NUL"));
  const std::string wide(256, 'x');
  CHECK(refused(wide) == because(wide, "a path component is longer than 255 bytes"));
  CHECK(refused("a/" + wide + "/b") ==
        because("a/" + wide + "/b", "a path component is longer than 255 bytes"));
}

TEST_CASE("names: an archive of the current folder names the folder itself") {
  const auto zip = ZipBuilder().directory(".").directory("./lib").add("./lib/a", "x").build(); // bsdtar
  const auto entries = read_directory(zip.bytes).value().entries;
  REQUIRE(entries.size() == 2);
  CHECK(entries[0].path == "lib");
  CHECK(entries[1].path == "lib/a");
  CHECK(refused(ZipBuilder().directory(".").directory(".")) == "entry \"\": the path occurs twice");
  CHECK(refused(ZipBuilder().add("./", "", {.method = 0, .mode = 0100644U})) == "accepted");
}

TEST_CASE("names: the same path twice") {
  CHECK(refused(ZipBuilder().add("a", "1").add("b", "").add("a", "2")) ==
        "entry \"a\": the path occurs twice");
  CHECK(refused(ZipBuilder().add("a", "1").add("./a", "2")) == "entry \"a\": the path occurs twice");
  CHECK(refused(ZipBuilder().directory("a").directory("a")) == "entry \"a\": the path occurs twice");
  CHECK(refused(ZipBuilder().directory("a").add("a", "1")) == "entry \"a\": the path occurs twice");
  CHECK(refused(ZipBuilder().add("\x81", "1", {.made_by = 0}).add("ü", "2")) ==
        "entry \"ü\": the path occurs twice");
  CHECK(refused(ZipBuilder().add("a", "1").add("A", "2")) == "accepted");
}

TEST_CASE("names: below something that is not a directory") {
  const std::string clash =
      "entry \"a/b\": it lies below \"a\", which is not a directory in the same archive";
  CHECK(refused(ZipBuilder().add("a", "1").add("a/b", "2")) == clash);
  CHECK(refused(ZipBuilder().add("a/b", "2").add("a", "1")) == clash);
  CHECK(refused(ZipBuilder().symlink("a", "lib").add("a/b", "2")) == clash);
  CHECK(refused(ZipBuilder().add("a", "1").directory("a/b")) == clash);
  CHECK(refused(ZipBuilder().add("a", "1").symlink("a/b", "x")) == clash);
  CHECK(refused(ZipBuilder().add("a", "1").add("a/b/c/d", "2")) ==
        "entry \"a/b/c/d\": it lies below \"a\", which is not a directory in the same archive");
  // Names that sort between "a" and "a/b" by their bytes do not hide it.
  CHECK(refused(ZipBuilder().add("a", "1").add("a!", "").add("a-b", "").add("a.b", "").add("a/b", "2")) ==
        clash);

  CHECK(refused(ZipBuilder().directory("a").add("a/b", "2").add("ab", "3").add("a-/b", "4")) == "accepted");
  CHECK(refused(ZipBuilder().add("a/b", "2").directory("a").add("a/c", "")) == "accepted");
  CHECK(refused(ZipBuilder().add("ab", "").add("a/b", "")) == "accepted");
}

TEST_CASE("names: a hostile name cannot forge a log line") {
  CHECK(refused("a\n/../\x1b[2J") == "entry \"a\\x0a/../\\x1b[2J\": the name contains a control character");
}
