// SPDX-License-Identifier: Apache-2.0
// Every status from 400 to 599, with every kind of body, once and always: ends in what is promised, after as
// many attempts as are promised. What that is stands here once more, from SECURITY.md's table and what AWS's
// SDKs retry (https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html; botocore's
// _retry.json has 509).
#include "support/pipeline.h"

#include <atomic>
#include <set>
#include <sstream>
#include <thread>

using namespace tmpdump;
using namespace tmpdump::test;

namespace {

enum class Says { nothing, access_denied, slow_down, garbage };

std::string body_of(Says says) {
  const auto document = [](const std::string& code) {
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code +
           "</Code><Message>As you hear</Message><RequestId>R</RequestId></Error>";
  };
  switch (says) {
  case Says::nothing:
    break;
  case Says::access_denied:
    return document("AccessDenied");
  case Says::slow_down:
    return document("SlowDown");
  case Says::garbage: {
    static constexpr char garbage[] = "<Error><Code>SlowDown</Kode><Code\0>\xff&&<<]]>";
    return std::string(garbage, sizeof garbage - 1) + std::string(3'000, '<');
  }
  }
  return {};
}

struct Answer {
  unsigned status = 0;
  Says says = Says::nothing;
  bool always = false;
};

std::string told(const Answer& answer) {
  static const char* const words[] = {"nothing", "AccessDenied", "SlowDown", "garbage"};
  return std::to_string(answer.status) + " that says " + words[static_cast<int>(answer.says)] +
         (answer.always ? ", always" : ", once");
}

struct Promise {
  std::optional<Errc> error; // nullopt: the tree
  bool repeated = false;     // what was answered so is asked for again
};

Promise promised(const Answer& answer) {
  static const std::set<unsigned> retried{408, 429, 500, 502, 503, 504, 509};
  switch (answer.status) {
  case 412: // the object changes: starts over
    if (answer.always) return {Errc::changed, true};
    return {std::nullopt, true};
  case 416: // to the tail: there is nothing to ask for
    return {Errc::bad_archive, false};
  default:
    break;
  }
  if (retried.contains(answer.status) || answer.says == Says::slow_down) {
    if (answer.always)
      return {Errc::network, true}; // not "denied" or "missing", which a function may live with
    return {std::nullopt, true};
  }
  if (answer.status == 401 || answer.status == 403) return {Errc::denied, false};
  if (answer.status == 404) return {Errc::not_found, false};
  return {Errc::network, false};
}

// Who is always refused is refused without more ado at first, then asked to come again later than there is
// time: so the end comes after a count, and no clock decides.
constexpr std::uint64_t attempts = 6;
constexpr const char* too_late = "Retry-After: 10\r\n";
constexpr fetch::milliseconds deadline{9'000};
constexpr std::uint64_t new_starts = 3; // as SECURITY.md says

// What is wrong; "": it is as promised.
std::string judge(const Answer& answer, const Archive& archive, const BuiltZip& zip) {
  Pipeline pipeline;
  pipeline.holds(zip);
  pipeline.settings.connections = 1; // the tail alone is asked for until it is there
  if (answer.always) pipeline.settings.retry.deadline = deadline;
  const std::string body = body_of(answer.says);
  const auto refusal = [&](const std::string& headers) {
    return fault::garbage("HTTP/1.1 " + std::to_string(answer.status) +
                          " Reason\r\nConnection: close\r\nContent-Type: application/xml\r\n" + headers +
                          "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  pipeline.s3.schedule(refusal("").on({.count = answer.always ? attempts - 1 : 1}));
  if (answer.always) pipeline.s3.schedule(refusal(too_late).on(every_request()));
  const auto outcome = pipeline.fetch();
  const auto promise = promised(answer);
  const auto gets = pipeline.gets();

  std::ostringstream wrong;
  const auto check = [&](bool good, const char* what) {
    if (!good) wrong << told(answer) << ": " << what << '\n';
  };
  check(outcome.has_value() == !promise.error, "another end");
  if (outcome) {
    check(difference(pipeline.tree(), archive.tree()).empty(), "not the tree");
  } else {
    check(outcome.error().code == promise.error, "another error");
    check(outcome.error().message.find("s3://bucket/lib.zip") == 0, "an error that does not say of what");
    check(outcome.error().message.find_first_of("\n\xff") == std::string::npos, "more than a line");
    check(pipeline.tree().empty(), "something is there");
  }
  if (!promise.repeated) {
    check(gets.size() == 1, "asked for again");
  } else if (answer.always) {
    check(gets.size() == (answer.status == 412 ? 1 + new_starts : attempts), "asked for more often, or less");
  } else {
    check(gets.size() > 1, "not asked for again");
  }
  check(pipeline.staged().empty() && pipeline.ended_quietly(), "something is left");
  if (!outcome && !wrong.str().empty()) wrong << "    " << outcome.error().message << '\n';
  return wrong.str();
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t one_in = 7; // not 8, of which each status has: all statuses, and in turn all bodies
#else
constexpr std::size_t one_in = 1;
#endif

std::vector<Answer> all_answers() {
  std::vector<Answer> all;
  for (unsigned status = 400; status < 600; ++status) {
    for (const Says says : {Says::nothing, Says::access_denied, Says::slow_down, Says::garbage}) {
      for (const bool always : {false, true})
        all.push_back({status, says, always});
    }
  }
  return all;
}

} // namespace

TEST_CASE("every refusal ends in what is promised, after as many attempts as are promised") {
  Archive archive;
  archive.file("lib/a.so", prose(20'000, 1)).stored("b", noise(3'000, 2));
  const BuiltZip zip = archive.zip();
  const auto answers = all_answers();
  REQUIRE(answers.size() == 1'600);
  std::vector<std::string> wrong(answers.size());
  std::atomic<std::size_t> next{0};
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < 4; ++i) {
      workers.emplace_back([&] {
        for (auto at = next.fetch_add(one_in); at < answers.size(); at = next.fetch_add(one_in))
          wrong[at] = judge(answers[at], archive, zip);
      });
    }
  }
  std::string all;
  for (const auto& one : wrong)
    all += one;
  INFO(all);
  CHECK(all.empty());
}
