// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3.h"

#include "support/fake_s3/certificate.h"
#include "support/fake_s3/session.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <csignal>
#include <exception>
#include <functional>
#include <future>
#include <set>
#include <thread>

namespace tmpdump::test {
namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// One thread with a loop of its own; a connection stays on the one it was given to.
struct Worker {
  std::set<Session*> sessions; // touched on the worker's thread alone
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work = asio::make_work_guard(context);
  std::thread thread;
};

// Signals are the program's business. Above all SIGPIPE, which sendfile raises where the client has left:
// blocked here, it ends nobody, and the call says EPIPE.
void run(asio::io_context& context) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  context.run();
}

// A fault of the fake itself must not pass for one of the network.
void never_throws(const std::exception_ptr& error) {
  if (error) std::rethrow_exception(error);
}

std::vector<std::string> certificate_names(const FakeS3Options& options) {
  if (!options.tls_names.empty()) return options.tls_names;
  const std::string s3 = "s3." + options.region + ".amazonaws.com";
  // OpenSSL takes no wildcard directly below a top-level name, so *.localhost is no use.
  return {"localhost", "bucket.localhost", "127.0.0.1", "::1", s3, "*." + s3};
}

Validity validity(const FakeS3Options& options) {
  if (options.tls_expired) return {-730, -365};
  return {options.tls_early ? 1 : -1, 30};
}

} // namespace

struct FakeS3::State {
  explicit State(FakeS3Options options);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  void accept(std::size_t turn); // the next connection, for that worker
  asio::awaitable<void> serve(Worker& worker, tcp::socket socket, std::uint64_t number);
  void reset_connections();

  Shared shared;
  ServerIdentity identity;
  std::vector<std::unique_ptr<Worker>> workers;
  std::unique_ptr<tcp::acceptor> acceptor; // on the first worker
  std::uint16_t port = 0;
  std::promise<void> accept_ended;
};

FakeS3::State::State(FakeS3Options options) : shared(std::move(options)) {
  if (shared.options.tls)
    identity =
        make_identity(certificate_names(shared.options), validity(shared.options), shared.options.tls_old);
  for (unsigned i = 0; i < std::max(shared.options.threads, 1U); ++i)
    workers.push_back(std::make_unique<Worker>());
  acceptor = std::make_unique<tcp::acceptor>(
      workers.front()->context,
      tcp::endpoint(asio::ip::make_address(shared.options.address), shared.options.port));
  port = acceptor->local_endpoint().port();
  accept(0);
  for (const auto& worker : workers)
    worker->thread = std::thread(run, std::ref(worker->context));
}

FakeS3::State::~State() {
  // First nothing new, then nothing old; every coroutine runs to its end.
  asio::post(workers.front()->context, [this] { acceptor->close(); });
  accept_ended.get_future().wait();
  reset_connections();
  for (const auto& worker : workers)
    worker->work.reset();
  for (const auto& worker : workers)
    worker->thread.join();
}

void FakeS3::State::accept(std::size_t turn) {
  Worker& worker = *workers[turn];
  acceptor->async_accept(
      worker.context, [this, turn, &worker](const boost::system::error_code& error, tcp::socket socket) {
        if (!acceptor->is_open()) {
          accept_ended.set_value();
          return;
        }
        if (!error) { // else the client gave up meanwhile
          boost::system::error_code ignored;
          socket.set_option(tcp::no_delay(true), ignored);
          const std::uint64_t number = ++shared.accepted;
          shared.accepted.notify_all();
          asio::co_spawn(worker.context, serve(worker, std::move(socket), number), never_throws);
        }
        accept((turn + 1) % workers.size());
      });
}

asio::awaitable<void> FakeS3::State::serve(Worker& worker, tcp::socket socket, std::uint64_t number) {
  Session session(shared,
                  identity.context ? make_tls_stream(std::move(socket), identity.context.get())
                                   : make_plain_stream(std::move(socket)),
                  number);
  worker.sessions.insert(&session);
  co_await session.run();
  worker.sessions.erase(&session);
}

void FakeS3::State::reset_connections() {
  for (const auto& worker : workers)
    asio::post(worker->context, [&sessions = worker->sessions] {
      for (Session* session : sessions)
        session->reset();
    });
}

FakeS3::FakeS3(FakeS3Options options) : state_(std::make_unique<State>(std::move(options))) {}
FakeS3::~FakeS3() = default;

std::uint16_t FakeS3::port() const {
  return state_->port;
}
std::string FakeS3::url() const {
  const std::string& address = state_->shared.options.address;
  const bool bare_v6 = address.find(':') != std::string::npos;
  return (state_->shared.options.tls ? "https://" : "http://") + (bare_v6 ? "[" + address + "]" : address) +
         ":" + std::to_string(state_->port);
}
std::string FakeS3::ca_pem() const {
  return state_->identity.ca_pem;
}

void FakeS3::create_bucket(const std::string& bucket, const std::string& region) {
  state_->shared.objects.create_bucket(bucket, region);
}
void FakeS3::put(const std::string& bucket, const std::string& key, Bytes bytes) {
  state_->shared.objects.put(bucket, key, bytes);
}
void FakeS3::put(const std::string& bucket, const std::string& key, std::string_view text) {
  put(bucket, key, bytes_of(text));
}
void FakeS3::put_file(const std::string& bucket, const std::string& key, const std::string& path) {
  state_->shared.objects.put_file(bucket, key, path);
}
void FakeS3::remove(const std::string& bucket, const std::string& key) {
  state_->shared.objects.remove(bucket, key);
}
std::string FakeS3::etag(const std::string& bucket, const std::string& key) const {
  const auto object = state_->shared.objects.find(bucket, key);
  return object ? object->etag : std::string();
}

void FakeS3::schedule(Fault fault) {
  state_->shared.faults.add(std::move(fault));
}
void FakeS3::schedule(std::vector<Fault> faults) {
  for (Fault& fault : faults)
    schedule(std::move(fault));
}
void FakeS3::clear_faults() {
  state_->shared.faults.clear();
}

std::vector<RequestRecord> FakeS3::requests() const {
  return state_->shared.log.all();
}
bool FakeS3::wait_for_arrived(std::size_t count, std::chrono::milliseconds deadline) const {
  return state_->shared.log.wait_for_arrived(count, deadline);
}
bool FakeS3::wait_for_finished(std::size_t count, std::chrono::milliseconds deadline) const {
  return state_->shared.log.wait_for_finished(count, deadline);
}
void FakeS3::wait_for_connections(std::uint64_t count) const {
  for (auto now = state_->shared.accepted.load(); now < count; now = state_->shared.accepted.load())
    state_->shared.accepted.wait(now);
}
std::uint64_t FakeS3::connections() const {
  return state_->shared.accepted;
}
std::uint64_t FakeS3::open_connections() const {
  return state_->shared.open;
}
void FakeS3::reset_connections() {
  state_->reset_connections();
}
void FakeS3::set_clock_offset(std::chrono::seconds offset) {
  state_->shared.clock_offset = offset.count();
}

} // namespace tmpdump::test
