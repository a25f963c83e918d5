// SPDX-License-Identifier: Apache-2.0
// How far a wait goes depends on what a program is about to do with the name; preload_test.py has the calls.
#include "support/client_fixture.h"

using namespace tmpdump;
using test::Client;
using test::DestinationFixture;
using test::library_that_needs;

namespace {

int look(Client& client, const std::string& path, tmpdump_use use) {
  return tmpdump_client_wait_use(&client.raw(), path.c_str(), use, 0);
}

} // namespace

TEST_CASE("a name, its file, its load") {
  DestinationFixture destination;
  destination.holds_link("lib/a.so", "a.so.1");
  destination.holds("lib/a.so.1", library_that_needs({"b.so"}));
  destination.holds("lib/b.so", library_that_needs({}));
  auto writer = destination.start_listed();
  Client client(destination);
  const auto codes = [&] {
    return std::vector<int>{
        look(client, "lib/a.so", TMPDUMP_USE_NAME), look(client, "lib/a.so", TMPDUMP_USE_FILE),
        look(client, "lib/a.so", TMPDUMP_USE_LIST), look(client, "lib/a.so", TMPDUMP_USE_LOAD)};
  };
  constexpr int no = TMPDUMP_TIMEOUT, yes = TMPDUMP_OK;
  CHECK(codes() == std::vector<int>{no, no, no, no});
  destination.publish(writer, "lib/a.so");
  CHECK(codes() == std::vector<int>{yes, no, no, no});
  destination.publish(writer, "lib/a.so.1");
  CHECK(codes() == std::vector<int>{yes, yes, yes, no});
  CHECK(writer.wanted(destination.index("lib/b.so")));
  destination.publish(writer, "lib/b.so");
  CHECK(codes() == std::vector<int>{yes, yes, yes, yes});
}

TEST_CASE("through directories that are links of the archive") {
  DestinationFixture destination;
  destination.holds_link("a", "b");
  destination.holds_link("b", "lib"); // which has no entry
  destination.holds_link("c", "real");
  destination.holds_link("d", "c");
  destination.holds_link("loop", "pool");
  destination.holds_link("pool", "loop");
  destination.holds("lib/x.so", library_that_needs({}));
  destination.holds("real/x.so", library_that_needs({}));
  destination.holds("other", "");
  auto writer = destination.start_listed();
  Client client(destination);
  for (const char* path : {"a/x.so", "c/x.so", "d/x.so", "loop/x.so"})
    CHECK(look(client, path, TMPDUMP_USE_FILE) == TMPDUMP_TIMEOUT);
  for (const char* name : {"a", "b", "c", "d", "loop", "pool", "lib/x.so", "real/x.so"})
    destination.publish(writer, name);
  // Where the target is no entry the listing cannot tell: everything has to be there.
  for (const char* path : {"a/x.so", "c/x.so", "d/x.so"})
    CHECK(look(client, path, TMPDUMP_USE_FILE) == TMPDUMP_TIMEOUT);
  CHECK(look(client, "loop/x.so", TMPDUMP_USE_FILE) != TMPDUMP_TIMEOUT); // the kernel says ELOOP
  CHECK(look(client, "loop", TMPDUMP_USE_FILE) == TMPDUMP_OK);
  destination.publish(writer, "other");
  writer.ready().value();
  for (const char* path : {"a/x.so", "c/x.so", "d/x.so"})
    CHECK(look(client, path, TMPDUMP_USE_FILE) == TMPDUMP_OK);
}

TEST_CASE("a link to a directory without an entry is not there before the directory is") {
  DestinationFixture destination;
  destination.holds_link("b", "lib");
  destination.holds_link("sub/top", "..");
  destination.holds_link("dangling", "li");
  destination.holds("lib/x", "1");
  destination.holds("other", "1");
  auto writer = destination.start_listed();
  Client client(destination);
  for (const char* name : {"b", "sub/top", "dangling"})
    destination.publish(writer, name);
  const auto uses = {TMPDUMP_USE_FILE, TMPDUMP_USE_LIST, TMPDUMP_USE_LOAD};
  CHECK(look(client, "b", TMPDUMP_USE_NAME) == TMPDUMP_OK);
  CHECK(look(client, "dangling", TMPDUMP_USE_FILE) == TMPDUMP_OK); // it leads nowhere, and always will
  for (const auto use : uses) {
    CHECK(look(client, "b", use) == TMPDUMP_TIMEOUT);
    CHECK(look(client, "sub/top", use) == TMPDUMP_TIMEOUT);
  }
  for (const char* name : {"lib/x", "other"})
    destination.publish(writer, name);
  writer.ready().value();
  for (const auto use : uses) {
    CHECK(look(client, "b", use) == TMPDUMP_OK);
    CHECK(look(client, "sub/top", use) == TMPDUMP_OK);
  }
}

TEST_CASE("through a link to a directory that has an entry only its own file is waited for") {
  DestinationFixture destination;
  std::vector<manifest::ListedEntry> listing{
      {.path = "lib", .kind = zip::Kind::directory, .mode = 0755, .size = 0, .crc = 0},
      {.path = "lib64", .kind = zip::Kind::symlink, .mode = 0777, .size = 3, .crc = 0},
      {.path = "lib/x", .kind = zip::Kind::file, .mode = 0644, .size = 1, .crc = 0},
      {.path = "other", .kind = zip::Kind::file, .mode = 0644, .size = 1, .crc = 0}};
  auto writer = destination.start();
  writer.set_listing("", listing).value();
  Client client(destination);
  std::filesystem::create_directory(destination.file("lib"));
  std::filesystem::create_symlink("lib", destination.file("lib64"));
  std::ofstream(destination.file("lib/x")) << "x";
  writer.publish(0).value();
  writer.publish(1).value();
  CHECK(look(client, "lib64/x", TMPDUMP_USE_FILE) == TMPDUMP_TIMEOUT);
  CHECK(look(client, "lib64/y", TMPDUMP_USE_FILE) == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(look(client, "lib64", TMPDUMP_USE_FILE) == TMPDUMP_OK);
  CHECK(look(client, "lib64", TMPDUMP_USE_LIST) == TMPDUMP_TIMEOUT);
  writer.publish(2).value();
  for (const auto use : {TMPDUMP_USE_NAME, TMPDUMP_USE_FILE, TMPDUMP_USE_LIST, TMPDUMP_USE_LOAD})
    CHECK(look(client, "lib64/x", use) == TMPDUMP_OK);
  CHECK(look(client, "lib64", TMPDUMP_USE_LIST) == TMPDUMP_OK);
}

TEST_CASE("the destination itself, and directories that only their files imply") {
  DestinationFixture destination;
  destination.holds("python/pkg/a", "1");
  destination.holds("python/pkg/b", "1");
  destination.holds("top", "1");
  auto writer = destination.start();
  Client client(destination);
  const std::string& top = destination.path();
  CHECK(look(client, top, TMPDUMP_USE_LIST) == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(look(client, "pyth", TMPDUMP_USE_LIST) == TMPDUMP_TIMEOUT);
  writer.set_listing("", destination.listing()).value();
  CHECK(look(client, top, TMPDUMP_USE_FILE) == TMPDUMP_OK);
  CHECK(look(client, top, TMPDUMP_USE_LOAD) == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(look(client, top, TMPDUMP_USE_LIST) == TMPDUMP_TIMEOUT);
  CHECK(look(client, "python", TMPDUMP_USE_FILE) == TMPDUMP_TIMEOUT);
  CHECK(look(client, "pyth", TMPDUMP_USE_FILE) == TMPDUMP_NOT_IN_ARCHIVE);
  destination.publish(writer, "python/pkg/b");
  CHECK(look(client, "python", TMPDUMP_USE_FILE) == TMPDUMP_OK);
  CHECK(look(client, "python/pkg", TMPDUMP_USE_NAME) == TMPDUMP_OK);
  CHECK(look(client, "python/pkg", TMPDUMP_USE_LIST) == TMPDUMP_TIMEOUT);
  destination.publish(writer, "python/pkg/a");
  CHECK(look(client, top + "/python/pkg/", TMPDUMP_USE_LIST) == TMPDUMP_OK);
  CHECK(look(client, top + "/", TMPDUMP_USE_LIST) == TMPDUMP_TIMEOUT);
  CHECK_FALSE(writer.wanted(destination.index("top")));
  destination.publish(writer, "top");
  CHECK(look(client, top, TMPDUMP_USE_LIST) == TMPDUMP_OK);
  writer.ready().value();
  CHECK(look(client, "python", TMPDUMP_USE_LIST) == TMPDUMP_NOT_IN_ARCHIVE); // nothing can come any more
}

TEST_CASE("what the archive holds is known without a wait") {
  DestinationFixture destination;
  destination.holds("a", "1");
  auto writer = destination.start();
  Client client(destination);
  CHECK(tmpdump_client_holds(&client.raw(), "a") == TMPDUMP_TIMEOUT);
  writer.set_listing("", destination.listing()).value();
  CHECK(tmpdump_client_holds(&client.raw(), "a") == TMPDUMP_OK);
  CHECK(tmpdump_client_holds(&client.raw(), "b") == TMPDUMP_NOT_IN_ARCHIVE);
  CHECK(tmpdump_client_holds(&client.raw(), "/a") == TMPDUMP_NOT_IN_ARCHIVE);
  Client nobodys(destination.file("nowhere"));
  CHECK(tmpdump_client_holds(&nobodys.raw(), "a") == TMPDUMP_NO_DAEMON);
}
