// SPDX-License-Identifier: Apache-2.0
#include "support/pipeline.h"

#include "credentials/credentials.h"
#include "s3/http_source.h"
#include "support/run.h"

#include <boost/asio/post.hpp>

#include <filesystem>
#include <thread>

namespace tmpdump::test {
namespace {

constexpr const char* access_key = "AKIDPIPELINE";
constexpr const char* secret_key = "pipeline/secret+key";
constexpr const char* session_token = "pipeline-session-token";

} // namespace

FakeS3Options signed_only() {
  FakeS3Options options;
  options.credentials = {
      {.access_key = access_key, .secret_key = secret_key, .session_token = session_token}};
  return options;
}

Pipeline::Pipeline(FakeS3Options server) : s3(std::move(server)) {
  environment = {{"AWS_ENDPOINT_URL_S3", s3.url()},    {"AWS_REGION", "us-east-1"},
                 {"AWS_ACCESS_KEY_ID", access_key},    {"AWS_SECRET_ACCESS_KEY", secret_key},
                 {"AWS_SESSION_TOKEN", session_token}, {"TMPDUMP_URI", "s3://bucket/lib.zip"},
                 {"TMPDUMP_DEST", destination()}};
  s3.create_bucket("bucket");
  network.user_agent = "tmpdump-test";
  network.hosts_file = "/dev/null";
  network.nameservers = "127.0.0.1:9"; // discard: nothing is asked by accident
  network.timeouts = {ample, ample, ample, ample, ample};
  settings.decoders = 2;
  settings.range_size = mib;
  settings.retry = {.base = fetch::milliseconds(1), .cap = fetch::milliseconds(8), .deadline = ample};
  settings.hedge.enabled = false;
}

Pipeline::~Pipeline() {
  // So that they can be removed by whoever is not root.
  namespace fs = std::filesystem;
  std::error_code ignored;
  if (!fs::is_directory(destination(), ignored)) return;
  for (const auto& entry : fs::recursive_directory_iterator(destination(), ignored)) {
    if (entry.is_directory() && !entry.is_symlink())
      fs::permissions(entry.path(), fs::perms::owner_all, fs::perm_options::add, ignored);
  }
}

void Pipeline::holds(const Archive& archive) {
  holds(archive.zip());
}

std::uint64_t Pipeline::bytes_asked() const {
  std::uint64_t sum = 0;
  for (const auto& get : gets())
    sum += get.length;
  return sum;
}

Pipeline::Outcome Pipeline::fetch() {
  return *fetch_and_cancel([] { return false; });
}

std::optional<Pipeline::Outcome> Pipeline::fetch_and_cancel_after(const std::function<void()>& wait) {
  bool due = false; // changed and read on the loop's thread
  beside = [&](boost::asio::io_context& context) {
    return std::make_shared<std::jthread>([&] {
      wait();
      boost::asio::post(context, [&] { due = true; });
    });
  };
  auto outcome = fetch_and_cancel([&] { return due; });
  beside = nullptr;
  return outcome;
}

std::optional<Pipeline::Outcome> Pipeline::fetch_and_cancel(const std::function<bool()>& when) {
  boost::asio::io_context context{1};
  std::shared_ptr<void> other;
  if (beside) other = beside(context);
  const auto options = config::parse_options(
      [this](std::string_view name) -> std::optional<std::string> {
        const auto found = environment.find(std::string(name));
        return found == environment.end() ? std::nullopt : std::optional(found->second);
      },
      overrides);
  if (!options) return options.error();
  network.ca_bundle = options->ca_bundle;
  settings.connections = options->connections ? options->connections : settings.connections;
  settings.max_entries = options->max_entries;
  if (options->max_size) settings.max_size = options->max_size;
  const auto opened = output::Destination::open(options->destination);
  if (!opened) return opened.error();

  net::Network net(context, network);
  credentials::Provider provider(*options, net);
  s3::HttpSource source(*options, net, provider, &trace);
  prefetch::Progress progress;
  std::optional<Outcome> outcome;
  {
    Running<Outcome> running(
        context, prefetch::prefetch(context, source, *opened, settings, observer, progress, &trace));
    running.run_until([&] { return running.done() || when(); });
    if (!running.done()) running.cancel();
    try {
      outcome = running.get();
    } catch (const boost::system::system_error& error) {
      if (error.code() != boost::asio::error::operation_aborted) throw;
    }
    if (outcome && !*outcome && outcome->error().code == Errc::cancelled) outcome.reset();
  }
  other.reset();
  context.poll();
  quiet_ = context.stopped();
  context.restart();
  context.run();
  staged_ = scratch.list("dest/.tmpdump/stage");
  std::erase(staged_, "lock");
  opened->clean_up();
  return outcome;
}

} // namespace tmpdump::test
