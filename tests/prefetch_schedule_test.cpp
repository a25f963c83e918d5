// SPDX-License-Identifier: Apache-2.0
// The real pipeline against an S3 that breaks by a seeded schedule: every run ends in the right tree, or in a
// clear error that what was drawn explains, in time, with no wrong byte and nothing left running.
//
//   TMPDUMP_SCHEDULES=N        how many (default below; the nightly form is 10000)
//   TMPDUMP_SCHEDULE_FIRST=S   the first one's seed (1)
//   TMPDUMP_SCHEDULE_SEED=S    replays one, and says what it did
//   TMPDUMP_SCHEDULE_PLANT=WHAT:S  "wrong-byte", "hang" or "abort" in schedule S: would it be seen, and be
//   replayed?
#include "schedule_draws.h"

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#include <sanitizer/common_interface_defs.h>
#endif

using namespace tmpdump;
using namespace tmpdump::test;
using std::chrono::milliseconds;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t default_schedules = 60;
#else
constexpr std::uint64_t default_schedules = 500;
#endif

// Of fewer the shares of ends say nothing.
constexpr std::uint64_t enough_for_shares = 50;

// Time is compressed: what are seconds in Lambda are these.
constexpr milliseconds give_up_on_silence{120};
constexpr milliseconds give_up_on_range{600};
constexpr milliseconds keep_names{20};
// Where nothing that was drawn lasts the tree must come, however busy the machine is.
constexpr milliseconds give_up_on_what_passes{20'000};
// No run may take longer, on a machine that is busy with other things too.
constexpr std::chrono::seconds in_time{30};
// And then it hangs.
constexpr unsigned patience = 60; // seconds
// At one range that brings nothing, of all schedules; without a clock. Pauses of 4 ms on average, at least,
// fill give_up_on_range with some 150, hedges bring the most of 10,000 schedules to 214. Ten times the limit:
// 1,500.
constexpr std::uint64_t most_attempts = 600;

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

// What is said of the schedule that does not come to its end: a hang, an abort, a sanitizer's report.
char last_words[160];

void say_last_words() {
  (void)!::write(STDERR_FILENO, last_words, std::strlen(last_words));
}

void on_end(int signal) {
  say_last_words();
  (void)std::signal(signal, SIG_DFL);
  (void)std::raise(signal);
}

void prepare_last_words() {
  (void)std::signal(SIGALRM, on_end);
  (void)std::signal(SIGABRT, on_end);
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  __sanitizer_set_death_callback(say_last_words);
#endif
}

// What schedule_replay_test.py breaks; "": nothing.
std::string planted_in(std::uint64_t seed) {
  const char* const text = std::getenv("TMPDUMP_SCHEDULE_PLANT");
  const std::string plant = text == nullptr ? "" : text;
  const auto colon = plant.find(':');
  if (colon == std::string::npos || plant.substr(colon + 1) != std::to_string(seed)) return {};
  return plant.substr(0, colon);
}

void plant_wrong_byte(const Pipeline& pipeline) {
  for (const auto& [path, node] : pipeline.tree()) {
    if (node.kind != Node::Kind::file || node.content.empty()) continue;
    const std::string file = pipeline.destination() + "/" + path;
    std::filesystem::permissions(file, std::filesystem::perms::owner_write,
                                 std::filesystem::perm_options::add);
    std::fstream(file, std::ios::in | std::ios::out | std::ios::binary)
        .put(static_cast<char>(~node.content[0]));
    return;
  }
}

struct Story {
  std::string told;
  std::string end;            // "the tree", or the error's name
  bool surely = false;        // the tree, nothing else: nothing that breaks was drawn
  std::uint64_t attempts = 0; // at the range that was asked for most often
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

// The archives are good and the disk is large: it is always the other side, and what it did.
void check_error(const Failure& failure, Ends ends, Tls tls, const std::vector<RequestRecord>& gets) {
  CAPTURE(failure.message);
  CHECK_FALSE(failure.message.empty());
  CHECK(failure.message.find('\n') == std::string::npos);
  const auto says = [&](const char* text) { return failure.message.find(text) != std::string::npos; };
  // Gzip that comes out as long as what it encodes passes for an object that was stored so, up to its CRCs.
  const bool passed = std::any_of(gets.begin(), gets.end(), [](const auto& get) {
    return get.fault == "gzip" && (!get.finished || get.body_bytes_sent == get.length);
  });
  if (passed) ends.may(Errc::bad_archive);
  CHECK(ends.errors().contains(failure.code));
  if (failure.code == Errc::bad_archive && !passed) CHECK(says("the object is empty")); // a false 416
  if (to_be_refused(tls) && !ends.lasts()) CHECK(says("certificate"));
}

// An S3 that has another tree: whither redirects lead. Nobody may come.
struct Elsewhere {
  Elsewhere() {
    Dice dice(0);
    server.put("bucket", "lib.zip", random_archive(dice, 3).zip().bytes);
  }
  FakeS3 server;
};

Story play(std::uint64_t seed, const FakeS3& elsewhere, bool told_at_once = false) {
  (void)std::snprintf(last_words, sizeof last_words,
                      "\nschedule %ju did not come to its end; replay: TMPDUMP_SCHEDULE_SEED=%ju "
                      "build/bin/prefetch_schedule_test\n",
                      std::uintmax_t{seed}, std::uintmax_t{seed});
  ::alarm(patience);
  Dice dice(seed);
  Story story;
  const Tls tls = random_tls(dice);
  Ends ends;
  Pipeline pipeline(server_with(tls));
  Surroundings surroundings(dice, pipeline, tls, ends);
  story.told = surroundings.told();
  const Archive archive = random_archive(dice, 1);
  const BuiltZip zip = archive.zip();
  pipeline.holds(zip);
  surroundings.holds(zip);
  std::optional<Archive> after;
  if (dice.once_in(6)) {
    after = random_archive(dice, 2);
    pipeline.s3.schedule(fault::replace_object(after->zip().bytes).on({.skip = 1 + dice.below(5)}));
    story.told += "replace object; ";
    ends.may_change(1);
  }
  const Breakage breakage = break_by_chance(dice, pipeline.s3, all_draws(elsewhere.url()));
  story.told += breakage.told;
  for (const auto& fault : breakage.faults) {
    ends.may(fault);
    // For good, where two servers have the object and this is the only one that knows of it.
    if (surroundings.has_another_server() && fault.new_etag) ends.may(Errc::changed);
  }
  if (surroundings.has_another_server() && after) ends.may(Errc::changed);
  story.surely = ends.surely_the_tree();
  pipeline.network.timeouts = {give_up_on_silence, give_up_on_silence, give_up_on_silence, give_up_on_silence,
                               give_up_on_silence};
  pipeline.network.names_at_least = keep_names;
  pipeline.settings.range_size = (64U << 10U) << dice.below(5);
  pipeline.settings.connections = 1 + static_cast<unsigned>(dice.below(6));
  pipeline.settings.retry = {.base = milliseconds(1),
                             .cap = milliseconds(8),
                             .deadline = ends.lasts() ? give_up_on_range : give_up_on_what_passes};
  pipeline.settings.hedge = {
      .enabled = dice.once_in(2), .directory = milliseconds(10), .data = milliseconds(20)};
  if (dice.once_in(3)) pipeline.settings.window = 2U << 20U;

  if (told_at_once) std::cout << "seed " << seed << ": " << story.told << std::endl;
  INFO("seed " << seed << ": " << story.told << "\nreplay: TMPDUMP_SCHEDULE_SEED=" << seed
               << " build/bin/prefetch_schedule_test");
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = pipeline.fetch();
  const auto took = std::chrono::steady_clock::now() - begin;
  const std::string plant = planted_in(seed);
  if (plant == "wrong-byte") plant_wrong_byte(pipeline);
  if (plant == "abort") std::abort();
  if (plant == "hang") {
    ::alarm(1); // it has come to its end, and nobody need wait for the rest
    ::pause();
  }
  CHECK(took < in_time);
  CHECK(pipeline.ended_quietly());
  CHECK(pipeline.staged().empty());
  const Tree tree = pipeline.tree();
  CHECK(whole(tree, archive, after));
  CHECK(elsewhere.connections() == 0);
  if (to_be_refused(tls)) {
    CHECK_FALSE(outcome);
    CHECK(tree.empty());
    CHECK(pipeline.gets().empty());
  }
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
    story.end = "the tree";
  } else {
    const auto& failure = outcome.error();
    for (const auto& secret : surroundings.secrets())
      CHECK(failure.message.find(secret) == std::string::npos);
    check_error(failure, ends, tls, pipeline.gets());
    story.end = name(failure.code);
    story.told += "-> " + failure.message + " ";
  }
  story.told += "-> " + story.end;
  std::map<std::string, unsigned> struck;
  for (const auto& get : pipeline.gets()) {
    story.attempts = std::max(story.attempts, get.attempt);
    if (!get.fault.empty()) ++struck[get.fault];
  }
  for (const auto& [fault, times] : struck)
    story.told += "; struck by " + fault + " " + std::to_string(times);
  ::alarm(0);
  return story;
}

std::optional<std::uint64_t> number_from(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return std::nullopt;
  return std::stoull(text);
}

} // namespace

TEST_CASE("schedules of faults end in the right tree or in a clear error") {
  prepare_last_words();
  const Elsewhere elsewhere;
  if (const auto seed = number_from("TMPDUMP_SCHEDULE_SEED")) {
    std::cout << play(*seed, elsewhere.server, true).told << '\n';
    return;
  }
  const auto schedules = number_from("TMPDUMP_SCHEDULES").value_or(default_schedules);
  const auto first = number_from("TMPDUMP_SCHEDULE_FIRST").value_or(1);
  std::map<std::string, std::uint64_t> ends;
  std::uint64_t attempts = 0, sure = 0;
  for (std::uint64_t seed = first; seed < first + schedules; ++seed) {
    const Story story = play(seed, elsewhere.server);
    ++ends[story.end];
    sure += story.surely ? 1 : 0;
    attempts = std::max(attempts, story.attempts);
  }
  std::cout << schedules << " schedules from seed " << first << " on ended in:";
  for (const auto& [end, count] : ends)
    std::cout << ' ' << end << ' ' << count << ',';
  std::cout << " and nothing else; " << sure << " could end in nothing but the tree; at most " << attempts
            << " attempts at one range\n";
  CHECK(attempts < most_attempts);
  if (schedules < enough_for_shares) return;
  // Were it otherwise, the schedules would test nothing but errors, or none, or take any of them.
  CHECK(sure * 4 > schedules);
  CHECK(ends["the tree"] * 5 > schedules * 2);
  CHECK(ends["the tree"] < schedules);
}
