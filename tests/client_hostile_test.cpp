// SPDX-License-Identifier: Apache-2.0
// Manifests that lie: each call ends, with an error or the right answer, and nothing outside is read.
#include "support/client_fixture.h"

#include <fcntl.h>
#include <sstream>
#include <sys/stat.h>

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

std::string content(const std::string& file) {
  std::ostringstream bytes;
  bytes << std::ifstream(file, std::ios::binary).rdbuf();
  return bytes.str();
}

// A new file at the manifest's name, as a writer would put it there.
void replace_manifest(const DestinationFixture& destination, std::string_view bytes) {
  const std::string staged = destination.file(".tmpdump/staged");
  std::ofstream(staged, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  std::filesystem::permissions(staged, std::filesystem::perms(0644));
  std::filesystem::rename(staged, destination.manifest());
}

// In place: nobody has it mapped between two questions.
void write_byte(const DestinationFixture& destination, std::size_t at, char value) {
  const UniqueFd file(::open(destination.manifest().c_str(), O_WRONLY | O_CLOEXEC));
  if (::pwrite(file.get(), &value, 1, static_cast<off_t>(at)) != 1) std::abort();
}

struct Answers {
  int a, b, absent, all;
  bool operator==(const Answers&) const = default;
};

Answers ask(const DestinationFixture& destination) {
  Client client(destination);
  static_cast<void>(client.status());
  static_cast<void>(client.reason());
  return {client.is_there("lib/a.so"), client.is_there(destination.file("lib/b.so")),
          client.is_there("lib/c.so"), client.wait(0)};
}

bool is_refusal(const Answers& answers) {
  const auto refused = [](int code) { return code >= TMPDUMP_NO_DAEMON && code <= TMPDUMP_SYSTEM; };
  return refused(answers.a) && refused(answers.b) && refused(answers.absent) && refused(answers.all);
}

std::string ready_manifest(DestinationFixture& destination) {
  destination.holds("lib/a.so", library_that_needs({"b.so"}));
  destination.holds("lib/b.so", library_that_needs({"a.so"}));
  auto writer = destination.start_listed();
  destination.publish_all(writer);
  writer.ready().value();
  return content(destination.manifest());
}

constexpr Answers right{TMPDUMP_OK, TMPDUMP_OK, TMPDUMP_NOT_IN_ARCHIVE, TMPDUMP_OK};

} // namespace

TEST_CASE("a manifest cut at any length is an error") {
  DestinationFixture destination;
  const std::string whole = ready_manifest(destination);
  replace_manifest(destination, whole);
  REQUIRE(ask(destination) == right);
  for (std::size_t size = whole.size(); size-- > 0;) {
    std::filesystem::resize_file(destination.manifest(), size);
    if (const Answers answers = ask(destination); !is_refusal(answers)) FAIL("size " << size);
  }
}

TEST_CASE("every byte of the immutable part is guarded, and no byte anywhere leads astray") {
  DestinationFixture destination;
  const std::string whole = ready_manifest(destination);
  tmpdump_manifest_header header;
  std::memcpy(&header, whole.data(), sizeof header);
  const auto region = [&](std::size_t at, std::uint64_t begin, std::uint64_t size) {
    return at >= begin && at < begin + size;
  };
  for (std::size_t at = 0; at < whole.size(); ++at) {
    // Text, reserved bytes, and the free part of the needed list carry no structure: one value is enough.
    const bool plain = region(at, 304, 4096 - 304) || region(at, header.needed_offset + 8, 4088);
    for (const int value : {0xff, 0x00, 0x01, 0x80}) {
      if (plain && value != 0xff) continue;
      if (whole[at] == static_cast<char>(value)) continue;
      write_byte(destination, at, static_cast<char>(value));
      const Answers answers = ask(destination);
      const bool located = region(at, offsetof(tmpdump_manifest_header, file_size), 296 + 8 - 224);
      const bool immutable =
          region(at, header.entries_offset, 2 * sizeof(tmpdump_manifest_entry)) ||
          region(at, header.slots_offset, header.slot_count * sizeof(tmpdump_manifest_slot)) ||
          region(at, header.strings_offset, header.strings_size);
      // minor, the upper bytes of the generation and so on are nobody's error
      if (located || immutable || region(at, 0, 10)) {
        if (!is_refusal(answers)) FAIL("byte " << at << " = " << value);
      } else if (region(at, header.progress_offset, 2 * sizeof(tmpdump_manifest_progress)) ||
                 region(at, header.needed_offset, 8)) {
        // A state or a list that changed: the other answers stay right.
        if (answers.absent != TMPDUMP_NOT_IN_ARCHIVE || answers.all != TMPDUMP_OK) FAIL("byte " << at);
        for (const int code : {answers.a, answers.b}) {
          if (code == TMPDUMP_NOT_IN_ARCHIVE) FAIL("byte " << at);
        }
      }
    }
    write_byte(destination, at, whole[at]);
  }
  CHECK(ask(destination) == right);
}

TEST_CASE("a list of needed files that points outside is damage, not a read") {
  DestinationFixture destination;
  std::string bytes = ready_manifest(destination);
  tmpdump_manifest_header header;
  std::memcpy(&header, bytes.data(), sizeof header);
  auto* progress = reinterpret_cast<tmpdump_manifest_progress*>(bytes.data() + header.progress_offset);
  auto* needed = reinterpret_cast<std::uint32_t*>(bytes.data() + header.needed_offset);
  const auto code_with = [&](std::uint32_t first, std::uint32_t count, std::uint32_t element) {
    needed[0] = element;
    progress[0].needed_first = first;
    progress[0].needed_count = count;
    // Made by somebody who knows the check.
    progress[0].needed_check =
        first < 16 && count < 16 ? tmpdump_manifest_needed_check(first, count, needed + first) : 0;
    replace_manifest(destination, bytes);
    Client client(destination);
    return client.is_there("lib/a.so");
  };
  CHECK(code_with(0, 1, 1) == TMPDUMP_OK);
  CHECK(code_with(0, 1, 2) == TMPDUMP_BAD_MANIFEST);
  CHECK(code_with(0, 1, UINT32_MAX) == TMPDUMP_BAD_MANIFEST);
  CHECK(code_with(header.needed_capacity, 1, 1) == TMPDUMP_BAD_MANIFEST);
  CHECK(code_with(UINT32_MAX, 1, 1) == TMPDUMP_BAD_MANIFEST);
  CHECK(code_with(1, UINT32_MAX - 1, 1) == TMPDUMP_BAD_MANIFEST);
}

TEST_CASE("a generation that calls itself superseded, for ever, is an error and not a loop") {
  DestinationFixture destination;
  std::string bytes = ready_manifest(destination);
  auto* header = reinterpret_cast<tmpdump_manifest_header*>(bytes.data());
  header->state = TMPDUMP_STATE_SUPERSEDED;
  replace_manifest(destination, bytes);
  CHECK(Client(destination).wait() == TMPDUMP_BAD_MANIFEST);
  CHECK(Client(destination).status().state == 0);
  header->state = TMPDUMP_STATE_READY;
  reinterpret_cast<tmpdump_manifest_progress*>(bytes.data() + header->progress_offset)->state =
      TMPDUMP_ENTRY_SUPERSEDED;
  replace_manifest(destination, bytes);
  CHECK(Client(destination).wait_file("lib/a.so") == TMPDUMP_BAD_MANIFEST);
}

TEST_CASE("a slot table without an empty slot ends the search all the same") {
  DestinationFixture destination;
  std::string bytes = ready_manifest(destination);
  auto* header = reinterpret_cast<tmpdump_manifest_header*>(bytes.data());
  auto* slots = reinterpret_cast<tmpdump_manifest_slot*>(bytes.data() + header->slots_offset);
  for (std::uint32_t i = 0; i < header->slot_count; ++i)
    slots[i] = {.tag = 0, .entry = UINT32_MAX};
  tmpdump_view view{};
  tmpdump_view_open(&view, bytes.data(), bytes.size()); // fills the bounds, refuses the hash
  header->listing_hash = tmpdump_manifest_listing_hash(&view, header);
  replace_manifest(destination, bytes);
  CHECK(Client(destination).is_there("lib/a.so") == TMPDUMP_NOT_IN_ARCHIVE);
}

TEST_CASE("the versions' rules: another major is refused, a later minor is welcome") {
  DestinationFixture destination;
  std::string bytes = ready_manifest(destination);
  auto* header = reinterpret_cast<tmpdump_manifest_header*>(bytes.data());
  header->minor = 9;
  replace_manifest(destination, bytes);
  CHECK(ask(destination) == right);
  header->major = 2;
  replace_manifest(destination, bytes);
  CHECK(Client(destination).wait() == TMPDUMP_VERSION);
}

TEST_CASE("somebody else's manifest is not believed") {
  DestinationFixture destination;
  const std::string bytes = ready_manifest(destination);
  SECTION("writable by others") {
    std::filesystem::permissions(destination.manifest(), std::filesystem::perms(0666));
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
  }
  SECTION("in a directory that is writable by others") {
    std::filesystem::permissions(destination.file(".tmpdump"), std::filesystem::perms(0777));
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
  }
  SECTION("a symbolic link, a directory, or a pipe") {
    std::filesystem::rename(destination.manifest(), destination.file("elsewhere"));
    std::filesystem::create_symlink(destination.file("elsewhere"), destination.manifest());
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
    std::filesystem::remove(destination.manifest());
    std::filesystem::create_directory(destination.manifest());
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
    std::filesystem::remove(destination.manifest());
    REQUIRE(::mkfifo(destination.manifest().c_str(), 0644) == 0);
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
  }
  SECTION("owned by another user") {
    if (::geteuid() != 0) return;
    REQUIRE(::chown(destination.manifest().c_str(), 65534, 65534) == 0);
    CHECK(Client(destination).wait() == TMPDUMP_UNTRUSTED);
  }
  SECTION("and ours to another user: .tmpdump is closed to him, and he hears so") {
    if (::geteuid() != 0) return;
    std::filesystem::permissions(destination.path(), std::filesystem::perms(0755));
    test::Process another([&](const test::Process::Cues&) {
      if (::setresuid(65534, 65534, 65534) != 0) return 100;
      return Client(destination).wait(0);
    });
    CHECK(another.result() == TMPDUMP_UNTRUSTED);
    // Who becomes another after it has attached.
    test::Process changed([&](const test::Process::Cues&) {
      Client client(destination);
      if (client.wait(0) != TMPDUMP_OK || ::setresuid(65534, 65534, 65534) != 0) return 100;
      tmpdump_report report{};
      report.size = sizeof report;
      return tmpdump_client_status(&client.raw(), &report);
    });
    CHECK(changed.result() == TMPDUMP_UNTRUSTED);
  }
}

TEST_CASE("a destination that can be none is an answer, and not a crash") {
  DestinationFixture destination;
  ready_manifest(destination);
  const std::string good = destination.path();
  std::filesystem::create_symlink("loop", destination.file("loop"));
  std::ofstream(destination.file("file")) << "x";
  const std::string names[] = {std::string(5000, 'x'),
                               "/" + std::string(4094, 'x'),

                               good + "/../" + std::string(300, 'y'),
                               destination.file("loop"),
                               destination.file("file"),
                               "\n\x1b[2J",
                               "/proc/self/fd",
                               "/dev/null",
                               "..",
                               "%s%n",
                               good + "/.tmpdump"};
  for (const auto& name : names) {
    Client client(name);
    INFO(name.substr(0, 60));
    CHECK(client.wait(0) >= TMPDUMP_NO_DAEMON);
    CHECK(client.is_there("lib/a.so") != TMPDUMP_OK);
    CHECK(client.is_there("/usr/lib/libc.so.6") == TMPDUMP_NOT_IN_ARCHIVE);
    static_cast<void>(client.status());
  }
  CHECK(Client(good + "///").is_there("lib/a.so") == TMPDUMP_OK);
  CHECK(Client(good + "/lib/..").is_there("lib/a.so") == TMPDUMP_OK);
}

TEST_CASE("a path that can be none is an answer, and not a crash") {
  DestinationFixture destination;
  ready_manifest(destination);
  Client client(destination);
  for (const std::string& name :
       {std::string(5000, 'a'), std::string(4095, '/'), std::string("../../../etc/passwd"),
        destination.path() + "/../../etc/passwd", std::string(".tmpdump/manifest"),
        std::string("lib/a.so/../../.."), std::string("\xff\xfe"), std::string("%s%n"),
        std::string("lib/") + std::string(4000, '.')}) {
    INFO(name.substr(0, 60));
    const int code = client.is_there(name);
    CHECK((code == TMPDUMP_NOT_IN_ARCHIVE || code == TMPDUMP_INVALID));
  }
}

TEST_CASE("a reason from a stranger cannot forge a log line") {
  DestinationFixture destination;
  auto writer = destination.start();
  writer.fail({Errc::io, "x"});
  std::string bytes = content(destination.manifest());
  auto* header = reinterpret_cast<tmpdump_manifest_header*>(bytes.data());
  const std::string forged = "a\nb\x1b[2J \u202egpj \u00fc \xff \xe2\x80";
  std::memcpy(header->reason, forged.data(), forged.size());
  header->reason_size = static_cast<std::uint32_t>(forged.size());
  replace_manifest(destination, bytes);
  CHECK(Client(destination).reason() == "a?b?[2J ???gpj \u00fc ? ??");
  header->reason_size = UINT32_MAX;
  replace_manifest(destination, bytes);
  CHECK(Client(destination).reason().size() == sizeof header->reason);
}
