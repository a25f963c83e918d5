// SPDX-License-Identifier: Apache-2.0
// From an archive in S3 to a tree in a directory, when nothing goes wrong. What goes wrong on the way is in
// prefetch_network_test.cpp and prefetch_object_test.cpp, what is wrong with archives in
// prefetch_archive_test.cpp.
#include "prefetch/decode_stage.h"
#include "s3/sigv4.h"
#include "support/pipeline.h"

#include <future>
#include <mutex>
#include <set>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

Archive many_kinds() {
  Archive archive;
  archive.directory("lib", 0755)
      .file("lib/liba.so", prose(700'000, 1), {.method = 8, .mode = 0100755U})
      .file("lib/libb.so", noise(300'000, 2), {.method = 8, .mode = 0100555U})
      .file("lib/libz.so", prose(900'000, 3), {.method = 93})
      .stored("lib/raw.bin", noise(400'000, 4))
      .file("empty", "", {.method = 0})
      .file("empty.z", "", {.method = 8})
      .file("streamed", prose(50'000, 5), {.descriptor = Descriptor::signed32})
      .file("streamed64", prose(50'000, 6), {.zip64 = true, .descriptor = Descriptor::signed64})
      .file("bare", prose(50'000, 7), {.descriptor = Descriptor::plain32})
      .file("zip64", prose(50'000, 8), {.zip64 = true})
      .file("secret", "x", {.mode = 0100400U})
      .file("f\xC3\xBCr/alle/tief.txt", "deep", {.flags = 1U << 11U})
      .symlink("lib/libc.so", "liba.so")
      .symlink("lib/up", "../empty")
      .directory("empty directory", 0750)
      .directory("closed", 0555)
      .file("closed/inside", prose(5'000, 9))
      .directory("closed/deeper", 0500)
      .file("closed/deeper/still", "there");
  return archive;
}

} // namespace

TEST_CASE("an archive of many kinds of entries becomes the tree that it describes") {
  Pipeline pipeline;
  const Archive archive = many_kinds();
  pipeline.holds(archive);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
  CHECK(pipeline.staged().empty());
  CHECK(pipeline.ended_quietly());
  CHECK_FALSE(pipeline.scratch.exists("dest/.tmpdump"));

  const prefetch::Summary& summary = *outcome;
  CHECK(summary.etag == pipeline.s3.etag("bucket", "lib.zip"));
  CHECK(summary.archive_size == archive.zip().bytes.size());
  CHECK(summary.files == 14);
  CHECK(summary.directories == 4);
  CHECK(summary.symlinks == 2);
  std::uint64_t unpacked = 0;
  for (const auto& [path, node] : archive.tree())
    unpacked += node.content.size();
  CHECK(summary.unpacked == unpacked);
  CHECK(summary.restarts == 0);
  CHECK(summary.retries == 0);
  CHECK(summary.requests == pipeline.gets().size());
  CHECK(summary.connections == pipeline.s3.connections());
  CHECK(summary.started <= summary.first_byte);
  CHECK(summary.first_byte <= summary.directory_known);
  CHECK(summary.directory_known <= summary.first_file);
  CHECK(summary.first_file <= summary.ready);
}

TEST_CASE("what is there already is replaced, closed directories too") {
  Pipeline pipeline;
  const Archive archive = many_kinds();
  pipeline.holds(archive);
  REQUIRE(pipeline.fetch());
  pipeline.scratch.write("dest/empty", "no longer");
  for (int round = 0; round < 3; ++round) {
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
}

TEST_CASE("closed directories are filled again by who is not root, in whatever order they come") {
  Pipeline pipeline;
  Archive archive;
  archive.file("late/file", "in front of its directory")
      .file("late/deep/file", "deeper")
      .directory("late/deep", 0500)
      .directory("late", 0555)
      .directory("early", 0555)
      .file("early/file", "behind its directory");
  pipeline.holds(archive);
  const NotRoot user(pipeline.scratch);
  for (int round = 0; round < 2; ++round) {
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
}

TEST_CASE("every entry is told once, when it is in its place") {
  Pipeline pipeline;
  const Archive archive = many_kinds();
  pipeline.holds(archive);
  std::mutex mutex;
  std::multiset<std::string> told;
  std::size_t wanted = 0;
  bool in_place = true;
  pipeline.observer.directory =
      [&](const fetch::ObjectInfo& info, const zip::Directory& directory,
          std::vector<const zip::Entry*> entries) -> result<std::vector<const zip::Entry*>> {
    CHECK(info.size == archive.zip().bytes.size());
    CHECK(directory.entries.size() == entries.size());
    wanted = entries.size();
    return entries;
  };
  pipeline.observer.published = [&](const zip::Entry& entry) -> result<void> {
    const std::lock_guard lock(mutex);
    told.insert(entry.path);
    in_place = in_place && pipeline.scratch.exists("dest/" + entry.path);
    return {};
  };
  REQUIRE(pipeline.fetch());
  CHECK(in_place);
  CHECK(told.size() == wanted);
  CHECK(told.size() == 20);
  CHECK(std::set<std::string>(told.begin(), told.end()).size() == told.size());
}

TEST_CASE("an archive without entries is no error") {
  Pipeline pipeline;
  pipeline.holds(Archive());
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->files == 0);
  CHECK(pipeline.tree().empty());
}

TEST_CASE("a small archive comes whole with the first request") {
  Pipeline pipeline;
  Archive small;
  small.file("a", prose(100'000)).symlink("b", "a");
  pipeline.holds(small);
  pipeline.settings.connections = 1;
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(difference(pipeline.tree(), small.tree()).empty());
  REQUIRE(pipeline.gets().size() == 1);
  CHECK(pipeline.gets()[0].range == "bytes=-131072");
  CHECK(outcome->received == small.zip().bytes.size());
}

TEST_CASE("a directory that is longer than the tail costs one more request") {
  Pipeline pipeline;
  Archive archive;
  const std::string name = std::string(200, 'n') + '/' + std::string(200, 'n'); // 450 bytes of directory each
  for (int i = 0; i < 500; ++i)
    archive.file(name + std::to_string(i), "content " + std::to_string(i), {.method = 0});
  const BuiltZip zip = archive.zip();
  REQUIRE(zip.directory_size > fetch::tail_length);
  pipeline.holds(zip);
  // With a filter nothing is speculative, so that the directory alone is asked for.
  pipeline.settings.wanted = [](const zip::Entry&) { return false; };
  const auto none = pipeline.fetch();
  REQUIRE(none);
  CHECK(none->files == 0);
  REQUIRE(pipeline.gets().size() == 2);
  CHECK(pipeline.gets()[1].first_byte == zip.directory);
  CHECK(pipeline.gets()[1].length == zip.bytes.size() - fetch::tail_length - zip.directory);

  pipeline.settings.wanted = {};
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("three thousand small files") {
  Pipeline pipeline;
  Archive archive;
  for (unsigned i = 0; i < 3'000; ++i) {
    const std::string name = "d" + std::to_string(i % 37) + "/f" + std::to_string(i);
    archive.file(name, prose(i % 700, i), {.method = static_cast<std::uint16_t>(i % 3 == 0 ? 0 : 8)});
  }
  pipeline.holds(archive);
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  CHECK(outcome->files == 3'000);
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("one large file comes in many ranges over many connections") {
  static const Archive archive = Archive().stored("large.so", noise(40 * mib)); // for all sections
  Pipeline pipeline;
  pipeline.holds(archive);
  SECTION("as many connections as it deserves") {
    const auto outcome = pipeline.fetch();
    REQUIRE(outcome);
    CHECK(outcome->received >= outcome->archive_size);
    CHECK(pipeline.s3.connections() > 1);
  }
  SECTION("one, if told so") {
    pipeline.settings.connections = 1;
    REQUIRE(pipeline.fetch());
    CHECK(pipeline.s3.connections() == 1);
  }
  SECTION("one decoder and ranges that do not fit the buffers") {
    pipeline.settings.decoders = 1;
    pipeline.settings.range_size = 3 * mib + 12'345;
    REQUIRE(pipeline.fetch());
  }
  SECTION("a window of 2 MiB: the network waits for the decoders, nobody for ever") {
    pipeline.settings.window = 2 * mib;
    REQUIRE(pipeline.fetch());
  }
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
  // Every later range is pinned to the version that the first answer brought.
  for (const auto& get : pipeline.gets()) {
    if (get.first_byte >= 23 * mib && get.range != "bytes=-131072")
      CHECK(get.if_match == pipeline.s3.etag("bucket", "lib.zip"));
  }
}

TEST_CASE("a small window, many entries, large ones first and last") {
  Pipeline pipeline;
  Archive archive;
  archive.stored("first", noise(9 * mib, 1));
  for (unsigned i = 0; i < 40; ++i)
    archive.file("middle/" + std::to_string(i), prose(300'000, i));
  archive.file("last", noise(12 * mib, 2), {.method = 93});
  pipeline.holds(archive);
  pipeline.settings.window = 2 * mib;
  pipeline.settings.range_size = 512 * kib;
  REQUIRE(pipeline.fetch());
  CHECK(difference(pipeline.tree(), archive.tree()).empty());
}

TEST_CASE("a filter fetches what it wants and little else") {
  Pipeline pipeline;
  Archive archive;
  archive.stored("front", noise(6 * mib, 1))
      .stored("lib/wanted", noise(100'000, 2))
      .stored("back", noise(6 * mib, 3));
  pipeline.holds(archive);
  pipeline.settings.wanted = [](const zip::Entry& entry) { return entry.path == "lib/wanted"; };
  const auto outcome = pipeline.fetch();
  REQUIRE(outcome);
  Tree expected = archive.tree();
  expected.erase("front");
  expected.erase("back");
  CHECK(difference(pipeline.tree(), expected).empty());
  CHECK(outcome->files == 1);
  REQUIRE(pipeline.gets().size() == 2);
  CHECK(pipeline.gets()[0].range == "bytes=-131072"); // nothing speculative
  CHECK(pipeline.gets()[1].first_byte == archive.zip().entries[1].local_header);
  CHECK(pipeline.gets()[1].length == 100'000 + 30 + 10);
}

TEST_CASE("TLS, the authority out of AWS_CA_BUNDLE") {
  FakeS3Options server = signed_only();
  server.tls = true;
  Pipeline pipeline(server);
  const Archive archive = many_kinds();
  pipeline.holds(archive);
  SECTION("trusted") {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
  }
}

TEST_CASE("a certificate that is refused is refused at once: nothing is asked, and the message says why") {
  FakeS3Options server = signed_only();
  server.tls = true;
  std::string reason;
  SECTION("an authority that nobody trusts") {
    reason = "set AWS_CA_BUNDLE";
  }
  SECTION("expired") {
    server.tls_expired = true;
    reason = "certificate has expired; check this machine's clock";
  }
  SECTION("not valid yet") {
    server.tls_early = true;
    reason = "certificate is not yet valid; check this machine's clock";
  }
  SECTION("another host's") {
    server.tls_names = {"s3.example.org"};
    reason = "it was made for another host";
  }
  Pipeline pipeline(server);
  pipeline.holds(many_kinds());
  if (reason != "set AWS_CA_BUNDLE") {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
  }
  pipeline.settings.retry.deadline = fetch::milliseconds(500); // else this waits for a minute where it fails
  const auto outcome = pipeline.fetch();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Errc::network);
  CAPTURE(outcome.error().message);
  CHECK(outcome.error().message.find(reason) != std::string::npos);
  CHECK(outcome.error().message.find("gave up") == std::string::npos);
  CHECK(pipeline.s3.connections() <= fetch::max_default_connections); // one a range of the first round
  CHECK(pipeline.gets().empty());
  CHECK(pipeline.tree().empty());
}

TEST_CASE("public objects and presigned URLs") {
  const Archive archive = many_kinds();
  SECTION("without a signature") {
    Pipeline pipeline{FakeS3Options{}};
    pipeline.holds(archive);
    pipeline.overrides.no_sign_request = true;
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
    for (const auto& get : pipeline.gets())
      CHECK(get.signed_how == SignedHow::not_signed);
  }
  SECTION("presigned") {
    Pipeline pipeline;
    pipeline.holds(archive);
    const credentials::Credentials keys{pipeline.environment.at("AWS_ACCESS_KEY_ID"),
                                        Secret(pipeline.environment.at("AWS_SECRET_ACCESS_KEY")),
                                        Secret(pipeline.environment.at("AWS_SESSION_TOKEN")),
                                        {}};
    const std::string host = pipeline.s3.url().substr(std::string("http://").size());
    s3::SigningRequest request;
    request.host = host;
    request.path = "/bucket/lib.zip";
    const Secret query =
        s3::presign(request, keys, {"us-east-1"}, std::chrono::system_clock::now(), std::chrono::hours(1));
    pipeline.overrides.source = pipeline.s3.url() + "/bucket/lib.zip?" + std::string(query.reveal());
    REQUIRE(pipeline.fetch());
    CHECK(difference(pipeline.tree(), archive.tree()).empty());
    for (const auto& get : pipeline.gets())
      CHECK(get.signed_how == SignedHow::presigned);
  }
}

TEST_CASE("the trace shows the whole run and no secret") {
  Pipeline pipeline;
  pipeline.holds(many_kinds());
  pipeline.s3.schedule(fault::reset(1000).on(nth_get(1)));
  pipeline.s3.schedule(fault::slow_down().on(nth_get(2)));
  REQUIRE(pipeline.fetch());
  pipeline.s3.schedule(fault::forbidden().on(every_request()));
  const auto refused = pipeline.fetch();
  REQUIRE_FALSE(refused);
  const std::string told = pipeline.trace.json() + refused.error().message;
  for (const char* expected : {"connections", "decoders", "ranges", "connect", "first byte", "body",
                               "refused", "retry", "lib/liba.so"})
    CHECK(told.find(expected) != std::string::npos);
  for (const std::string& secret :
       {pipeline.environment.at("AWS_SECRET_ACCESS_KEY"), pipeline.environment.at("AWS_SESSION_TOKEN"),
        std::string("Signature="), std::string("X-Amz-"), std::string("Credential=")})
    CHECK(told.find(secret) == std::string::npos);
}

TEST_CASE("a stage whose input ends too early fails instead of waiting") {
  ScratchDirectory scratch;
  const auto destination = output::Destination::open(scratch.path("dest"));
  REQUIRE(destination);
  zip::Entry entry;
  entry.path = "lib/x.so";
  entry.size = entry.compressed_size = 100;
  entry.region_end = 200;
  std::promise<result<void>> ended;
  std::vector<std::byte> memory(50);
  const auto chunk = std::make_shared<fetch::Chunk>();
  prefetch::DecodeStage stage(
      2, {nullptr, [&](result<void> outcome) { ended.set_value(std::move(outcome)); }, nullptr}, nullptr);
  stage.set_entries({&entry}, *destination, 0);
  const std::size_t first = GENERATE(0U, 10U);
  if (first > 0) stage.add({chunk, 0, Bytes(memory).first(first)});
  stage.input_ended();
  const auto outcome = ended.get_future().get();
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().message.find("lib/x.so") != std::string::npos);
}

TEST_CASE("among what can be decoded a long chain goes first, then what the archive has first") {
  ScratchDirectory scratch;
  const auto destination = output::Destination::open(scratch.path("dest"));
  REQUIRE(destination);
  Archive archive;
  archive.file("first.so", prose(1'000));
  archive.file("second.so", prose(90'000));
  archive.file("long.so", prose(300'000));
  archive.file("last.so", prose(50'000));
  const auto zip = archive.zip();
  const auto directory =
      zip::parse_directory(bytes_of(zip.directory_bytes()),
                           {zip.directory, zip.directory_size, zip.entries.size(), 0}, zip.bytes.size(), {});
  REQUIRE(directory);
  std::vector<const zip::Entry*> entries;
  for (const auto& entry : directory->entries)
    entries.push_back(&entry);
  std::vector<std::string> order;
  std::promise<result<void>> ended;
  prefetch::DecodeStage stage(1, // so that what comes first is seen
                              {[&](const zip::Entry& entry) -> result<void> {
                                 order.push_back(entry.path);
                                 return {};
                               },
                               [&](result<void> outcome) { ended.set_value(std::move(outcome)); }, nullptr},
                              nullptr);
  // All of it before the entries are known: then all of them are ready at once.
  stage.add({std::make_shared<fetch::Chunk>(), 0, bytes_of(zip.bytes)});
  stage.set_entries(entries, *destination, 100'000);
  REQUIRE(ended.get_future().get());
  CHECK(order == std::vector<std::string>{"long.so", "first.so", "second.so", "last.so"});
}
