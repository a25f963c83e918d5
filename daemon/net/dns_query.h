// SPDX-License-Identifier: Apache-2.0
// One question to the name servers, A and AAAA at once, by c-ares on the io_context: its sockets and its
// timer are waited for as any other, there is no thread and no polling.
#pragma once

#include "net/address_book.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <map>

struct ares_channeldata;
struct ares_addrinfo;

namespace tmpdump::net {

struct DnsAnswer {
  Addresses addresses;
  std::chrono::seconds ttl{0}; // the smallest of the records
};

struct DnsOptions {
  std::string resolv_conf;
  std::string nameservers; // "address:port,..."; empty: those of resolv_conf
  std::chrono::milliseconds timeout{1000};
};

// Shared by all who wait for the same name; gives up when the last of them lets go of it.
class DnsQuery : public std::enable_shared_from_this<DnsQuery> {
public:
  static std::shared_ptr<DnsQuery> start(boost::asio::io_context& context, const std::string& name,
                                         const DnsOptions& options);
  DnsQuery(boost::asio::io_context& context, std::string name);
  ~DnsQuery();
  DnsQuery(const DnsQuery&) = delete;
  DnsQuery& operator=(const DnsQuery&) = delete;

  // Returns when there is an outcome, or earlier when the coroutine is cancelled.
  boost::asio::awaitable<void> wait();
  [[nodiscard]] const std::optional<result<DnsAnswer>>& outcome() const { return outcome_; }

private:
  // One of the two questions.
  struct Family {
    DnsQuery* query = nullptr;
    int family = 0;
    std::optional<int> status; // c-ares' code, once answered
  };
  struct Socket {
    boost::asio::posix::stream_descriptor descriptor;
    bool wants_read = false, wants_write = false, reading = false, writing = false;
    explicit Socket(boost::asio::io_context& context) : descriptor(context) {}
  };

  bool open(const DnsOptions& options);
  void ask();
  void answered(Family& family, int status, ares_addrinfo* found);
  void socket_changed(int fd, bool readable, bool writable);
  void watch(const std::shared_ptr<Socket>& socket, int fd);
  void drive(int readable, int writable);
  void settle();
  void finish();
  void close();
  [[nodiscard]] Failure failure() const;

  boost::asio::io_context& context_;
  std::string name_;
  ares_channeldata* channel_ = nullptr;
  bool closing_ = false, in_grace_ = false;
  std::map<int, std::shared_ptr<Socket>> sockets_; // c-ares owns the descriptors and closes them
  boost::asio::steady_timer retry_;                // when c-ares asks again, or gives up
  boost::asio::steady_timer grace_;                // for the second family, once the first has answered
  boost::asio::steady_timer done_;                 // never expires; cancelled to wake those who wait
  Family families_[2];
  DnsAnswer answer_;
  std::optional<result<DnsAnswer>> outcome_;
};

} // namespace tmpdump::net
