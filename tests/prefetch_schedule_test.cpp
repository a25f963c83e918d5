// SPDX-License-Identifier: Apache-2.0
// The real pipeline against an S3 that breaks by a seeded schedule: every run ends in the right tree or in a
// clear error, in time, with no wrong byte and nothing left running.
//
//   TMPDUMP_SCHEDULES=N       how many (default below; the nightly form is 10000)
//   TMPDUMP_SCHEDULE_SEED=S   replays one, and says what it did
#include "support/pipeline.h"

#include <cstdlib>
#include <iostream>
#include <random>

using namespace tmpdump;
using namespace tmpdump::test;
using std::chrono::milliseconds;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t default_schedules = 60;
#else
constexpr std::uint64_t default_schedules = 500;
#endif

// Time is compressed: what are seconds in Lambda are these.
constexpr milliseconds give_up_on_silence{120};
constexpr milliseconds give_up_on_range{600};
// No run may take longer, on a machine that is busy with other things too.
constexpr std::chrono::seconds in_time{30};

class Dice {
public:
  explicit Dice(std::uint64_t seed) : engine_(seed) {}
  std::uint64_t below(std::uint64_t limit) { return engine_() % limit; }
  bool once_in(std::uint64_t n) { return below(n) == 0; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }

private:
  std::mt19937_64 engine_; // the same sequence everywhere, by the standard
};

Archive random_archive(Dice& dice, std::uint64_t variant) {
  Archive archive;
  const auto files = 1 + dice.below(12);
  for (std::uint64_t i = 0; i < files; ++i) {
    const auto size = dice.once_in(4) ? dice.below(1'500'000) : dice.below(80'000);
    const auto seed = 1'000 * variant + i;
    const auto content = dice.once_in(3) ? prose(size, seed) : noise(size, seed);
    ZipOptions options;
    options.method = dice.one_of<std::uint16_t>({0, 8, 8, 93});
    if (dice.once_in(5)) options.descriptor = Descriptor::signed32;
    if (options.method != 0 && size > 200'000 && dice.once_in(2)) options.segment_bytes = 64U << 10U;
    archive.file("lib/" + std::to_string(i), content, options);
  }
  if (dice.once_in(2)) archive.symlink("lib/link", "0");
  return archive;
}

struct Draw {
  const char* name;
  std::function<ScheduledFault(Dice&)> make;
};

// All that a network, a proxy or S3 may do. What gives way to another version of the object is apart.
std::vector<Draw> faults() {
  const auto in_body = [](Dice& dice) { return dice.once_in(4) ? 0 : dice.below(300'000); };
  return {
      {"reset", [=](Dice& d) { return fault::reset(in_body(d)); }},
      {"truncate", [=](Dice& d) { return fault::truncate(in_body(d)); }},
      {"stall", [=](Dice& d) { return fault::stall(in_body(d)); }},
      {"cut header",
       [](Dice& d) {
         return fault::cut_header(d.below(200),
                                  d.one_of<Cut::How>({Cut::How::reset, Cut::How::close, Cut::How::stall}));
       }},
      {"trickle",
       [](Dice& d) {
         return fault::trickle(2'000 + d.below(30'000), std::chrono::microseconds(d.below(3'000)));
       }},
      {"late", [](Dice& d) { return fault::late_first_byte(std::chrono::microseconds(d.below(200'000))); }},
      {"slow down", [](Dice& d) { return d.once_in(4) ? fault::slow_down(0) : fault::slow_down(); }},
      {"internal error", [](Dice&) { return fault::internal_error(); }},
      {"too many requests", [](Dice&) { return fault::too_many_requests(); }},
      {"request timeout", [](Dice&) { return fault::request_timeout(); }},
      {"bad gateway",
       [](Dice& d) {
         return fault::error(d.one_of<unsigned>({502, 503, 504}), "ServiceUnavailable");
       }},
      {"skewed clock", [](Dice&) { return fault::error(403, "RequestTimeTooSkewed"); }},
      {"expired token", [](Dice&) { return fault::error(400, "ExpiredToken"); }},
      {"forbidden", [](Dice&) { return fault::forbidden(); }},
      {"no such key", [](Dice&) { return fault::no_such_key(); }},
      {"client error",
       [](Dice& d) {
         return fault::error(d.one_of<unsigned>({400, 401, 405, 409, 411, 414, 431}), "InvalidRequest");
       }},
      {"precondition failed", [](Dice&) { return fault::precondition_failed(); }},
      {"range not satisfiable", [](Dice&) { return fault::range_not_satisfiable(); }},
      {"region redirect", [](Dice&) { return fault::region_redirect("eu-west-1"); }},
      {"error in 200", [](Dice&) { return fault::error_in_200(); }},
      {"whole body", [](Dice&) { return fault::whole_body(); }},
      {"multipart", [](Dice&) { return fault::multipart(); }},
      {"chunked", [](Dice&) { return fault::chunked(); }},
      {"gzip", [](Dice&) { return fault::gzip_header(); }},
      {"content range",
       [](Dice& d) {
         return fault::wrong_content_range(
             d.one_of<std::string>({"bytes 1-2/3", "bytes 0-0/*", "bytes */5", "garbage", "bytes 5-1/9"}));
       }},
      {"content length", [](Dice& d) { return fault::wrong_content_length(d.once_in(2) ? 1 : -1); }},
      {"duplicate header", [](Dice&) { return fault::duplicate_header("Content-Length", "7"); }},
      {"no content range", [](Dice&) { return fault::remove_header("Content-Range"); }},
      {"HTTP/1.0", [](Dice&) { return fault::http_1_0(); }},
      {"close", [](Dice&) { return fault::connection_close(); }},
      {"unannounced close", [](Dice&) { return fault::unannounced_close(); }},
      {"garbage", [](Dice&) { return fault::garbage(); }},
      {"continue", [](Dice&) { return fault::garbage("HTTP/1.1 100 Continue\r\n\r\n"); }},
      {"connect",
       [](Dice& d) {
         return fault::at_connect(d.one_of<ConnectFault>(
             {ConnectFault::reset, ConnectFault::close, ConnectFault::stall, ConnectFault::garbage}));
       }},
      {"new ETag", [](Dice&) { return fault::new_etag(); }},
      {"wrong ETag", [](Dice&) { return fault::wrong_etag(); }},
  };
}

When random_when(Dice& dice) {
  When when;
  if (dice.once_in(4)) {
    when.first_attempts = 1;
    when.count = forever;
    return when;
  }
  when.skip = dice.below(6);
  when.count = dice.once_in(12) ? forever : 1 + dice.below(3);
  when.every = 1 + dice.below(2);
  return when;
}

struct Story {
  std::string told;
  bool succeeded = false;
};

// What is left of two versions of the archive must be whole files of the one or of the other.
bool whole(const Tree& tree, const Archive& before, const std::optional<Archive>& after) {
  if (!after) return damage(tree, before.tree()).empty();
  for (const auto& [path, node] : tree) {
    const Tree alone{{path, node}};
    if (!damage(alone, before.tree()).empty() && !damage(alone, after->tree()).empty()) return false;
  }
  return true;
}

Story play(std::uint64_t seed, bool told_at_once = false) {
  static const auto all = faults();
  Dice dice(seed);
  Story story;
  FakeS3Options server = signed_only();
  server.tls = dice.once_in(8);
  Pipeline pipeline(server);
  if (server.tls) {
    pipeline.scratch.write("ca.pem", pipeline.s3.ca_pem());
    pipeline.environment["AWS_CA_BUNDLE"] = pipeline.scratch.path("ca.pem");
  }
  const Archive archive = random_archive(dice, 1);
  pipeline.holds(archive);
  std::optional<Archive> after;
  if (dice.once_in(6)) {
    after = random_archive(dice, 2);
    pipeline.s3.schedule(fault::replace_object(after->zip().bytes).on({.skip = 1 + dice.below(5)}));
    story.told += "replace object; ";
  }
  for (auto count = 1 + dice.below(5); count > 0; --count) {
    const auto& draw = dice.one_of(all);
    const When when = random_when(dice);
    pipeline.s3.schedule(draw.make(dice).on(when));
    story.told += std::string(draw.name) + " (skip " + std::to_string(when.skip) + ", every " +
                  std::to_string(when.every) + ", count " + std::to_string(when.count) + "); ";
  }
  pipeline.network.timeouts = {give_up_on_silence, give_up_on_silence, give_up_on_silence, give_up_on_silence,
                               give_up_on_silence};
  pipeline.settings.range_size = (64U << 10U) << dice.below(5);
  pipeline.settings.connections = 1 + static_cast<unsigned>(dice.below(6));
  pipeline.settings.retry = {.base = milliseconds(1), .cap = milliseconds(8), .deadline = give_up_on_range};
  pipeline.settings.hedge = {
      .enabled = dice.once_in(2), .directory = milliseconds(10), .data = milliseconds(20)};
  if (dice.once_in(3)) pipeline.settings.window = 2U << 20U;

  if (told_at_once) std::cout << "seed " << seed << ": " << story.told << std::endl;
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = pipeline.fetch();
  const auto took = std::chrono::steady_clock::now() - begin;
  INFO("seed " << seed << ": " << story.told);
  CHECK(took < in_time);
  CHECK(pipeline.ended_quietly());
  CHECK(pipeline.staged().empty());
  const Tree tree = pipeline.tree();
  CHECK(whole(tree, archive, after));
  story.succeeded = outcome.has_value();
  if (outcome) {
    const bool first = difference(tree, archive.tree()).empty();
    // Files of the first version that the second does not have may stay.
    const auto second = [&] {
      Tree rest = tree;
      for (const auto& [path, node] : archive.tree()) {
        if (after->tree().count(path) == 0) rest.erase(path);
      }
      return difference(rest, after->tree()).empty();
    };
    CHECK((first || (after && second())));
    story.told += "-> the tree";
  } else {
    const auto& failure = outcome.error();
    CHECK_FALSE(failure.message.empty());
    CHECK(failure.message.find('\n') == std::string::npos);
    CHECK(failure.message.find("pipeline/secret+key") == std::string::npos);
    CHECK(failure.message.find("pipeline-session-token") == std::string::npos);
    // The archives are good and the disk is large: it is always the other side.
    const bool blames = failure.code == Errc::network || failure.code == Errc::timeout ||
                        failure.code == Errc::denied || failure.code == Errc::not_found ||
                        failure.code == Errc::changed ||
                        failure.message.find("the object is empty") != std::string::npos; // a false 416
    CAPTURE(failure.message);
    CHECK(blames);
    story.told += "-> " + std::string(name(failure.code)) + ": " + failure.message;
  }
  return story;
}

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::stoull(text);
}

} // namespace

TEST_CASE("schedules of faults end in the right tree or in a clear error") {
  if (const auto seed = number_from("TMPDUMP_SCHEDULE_SEED")) {
    std::cout << play(*seed, true).told << '\n';
    return;
  }
  const auto schedules = number_from("TMPDUMP_SCHEDULES").value_or(default_schedules);
  std::uint64_t succeeded = 0;
  for (std::uint64_t seed = 1; seed <= schedules; ++seed)
    succeeded += play(seed).succeeded ? 1U : 0U;
  std::cout << schedules << " schedules: " << succeeded << " ended in the tree, " << schedules - succeeded
            << " in an error\n";
  // Most faults pass; were it otherwise, the schedules would test nothing but errors.
  CHECK(succeeded * 2 > schedules);
  CHECK(succeeded < schedules);
}
