// SPDX-License-Identifier: Apache-2.0
// bench_link: a link with the rates and latencies that one Lambda function sees, before an S3 server. Whoever
// started it talks to it in lines: it prints "listening ADDRESS:PORT"; "reset SEED" begins a run and is
// answered by "ok"; "counters" by one JSON object; the end of its input ends it.
#include "session.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include <CLI/CLI.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <unistd.h>

namespace {

namespace asio = boost::asio;
using asio::awaitable;
using tcp = asio::ip::tcp;
using tmpdump::bench::Counters;
using tmpdump::bench::Link;
using tmpdump::bench::Shape;

struct Arguments {
  std::string upstream, listen = "127.0.0.1:0", certificate, key;
  double connection_mb = 0, burst_mb_s = 0, burst_mb = 0, sustained_mb_s = 0;
  double latency_ms = 0, tail_ms = 0, tail_share = 0;
};

tcp::endpoint endpoint_of(const std::string& text) {
  const auto colon = text.rfind(':');
  if (colon == std::string::npos) throw std::runtime_error("'" + text + "': expected ADDRESS:PORT");
  return {asio::ip::make_address(text.substr(0, colon)),
          static_cast<unsigned short>(std::stoul(text.substr(colon + 1)))};
}

Shape shape_of(const Arguments& arguments) {
  const auto microseconds = [](double ms) { return std::chrono::microseconds(static_cast<long>(ms * 1000)); };
  Shape shape;
  shape.connection_rate = arguments.connection_mb * 1e6;
  shape.burst_rate = arguments.burst_mb_s * 1e6;
  shape.burst_bytes = static_cast<std::uint64_t>(arguments.burst_mb * 1e6);
  shape.sustained_rate = arguments.sustained_mb_s * 1e6;
  shape.latency = microseconds(arguments.latency_ms);
  shape.tail_latency = microseconds(arguments.tail_ms);
  shape.tail_share = arguments.tail_share;
  return shape;
}

struct FreeContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using Tls = std::unique_ptr<SSL_CTX, FreeContext>;

Tls tls_of(const Arguments& arguments) {
  if (arguments.certificate.empty()) return {};
  Tls tls(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate_chain_file(tls.get(), arguments.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(tls.get(), arguments.key.c_str(), SSL_FILETYPE_PEM) != 1) {
    throw std::runtime_error("cannot use '" + arguments.certificate + "' with '" + arguments.key + "'");
  }
  return tls;
}

// A session that breaks is the client's business (killed, or done with a range); only what is no network
// error is told.
void report(const std::exception_ptr& error) {
  if (!error) return;
  try {
    std::rethrow_exception(error);
  } catch (const boost::system::system_error&) {
  } catch (const std::exception& e) {
    (void)std::fprintf(stderr, "bench_link: %s\n", e.what());
  }
}

awaitable<void> accept_all(tcp::acceptor& acceptor, Link& link) {
  for (;;) {
    auto socket = co_await acceptor.async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor.get_executor(), serve(std::move(socket), link), report);
  }
}

std::string json(const Counters& counters) {
  std::ostringstream out;
  out << R"({"connections": )" << counters.connections << R"(, "requests": )" << counters.requests
      << R"(, "gets": )" << counters.gets << R"(, "bytes": )" << counters.bytes << "}";
  return out.str();
}

std::string answer(const std::string& line, Link& link) {
  std::istringstream words(line);
  std::string verb;
  std::uint64_t seed = 0;
  words >> verb >> seed;
  if (verb == "counters") return json(link.counters);
  if (verb != "reset") return "unknown: " + line;
  link.shaper.reset(seed);
  link.counters = {};
  return "ok";
}

awaitable<void> obey(asio::posix::stream_descriptor& input, Link& link) {
  std::string text;
  for (;;) {
    boost::system::error_code error;
    const std::size_t size = co_await asio::async_read_until(
        input, asio::dynamic_buffer(text), '\n', asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return;
    std::cout << answer(text.substr(0, size - 1), link) << std::endl;
    text.erase(0, size);
  }
}

void run(const Arguments& arguments) {
  asio::io_context context(1);
  const Tls tls = tls_of(arguments);
  Link link{endpoint_of(arguments.upstream), tls.get(), tmpdump::bench::Shaper(shape_of(arguments)), {}};
  tcp::acceptor acceptor(context, endpoint_of(arguments.listen));
  std::cout << "listening " << acceptor.local_endpoint() << std::endl;
  asio::posix::stream_descriptor input(context, ::dup(STDIN_FILENO));
  asio::co_spawn(context, accept_all(acceptor, link), report);
  asio::co_spawn(context, obey(input, link), [&](const std::exception_ptr& error) {
    report(error);
    context.stop();
  });
  context.run();
}

} // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("A shaped link before an S3 server; MB are 10^6 bytes, 0 means no limit", "bench_link");
  app.add_option("--upstream", arguments.upstream, "ADDRESS:PORT of the server")->required();
  app.add_option("--listen", arguments.listen, "ADDRESS:PORT; port 0: any");
  app.add_option("--certificate", arguments.certificate, "PEM file: clients speak TLS");
  app.add_option("--key", arguments.key, "PEM file of its key");
  app.add_option("--connection-mb-s", arguments.connection_mb, "Rate of each connection, MB/s");
  app.add_option("--burst-mb-s", arguments.burst_mb_s, "Rate of all connections at first, MB/s");
  app.add_option("--burst-mb", arguments.burst_mb, "So many MB");
  app.add_option("--sustained-mb-s", arguments.sustained_mb_s, "Rate of all connections after that, MB/s");
  app.add_option("--latency-ms", arguments.latency_ms, "From a request to its answer's first byte");
  app.add_option("--tail-ms", arguments.tail_ms, "The same for some answers");
  app.add_option("--tail-share", arguments.tail_share, "How many of them, 0 to 1");
  CLI11_PARSE(app, argc, argv);
  (void)std::signal(SIGPIPE, SIG_IGN);
  try {
    run(arguments);
  } catch (const std::exception& error) {
    (void)std::fprintf(stderr, "bench_link: %s\n", error.what());
    return 1;
  }
  return 0;
}
