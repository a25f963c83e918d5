// SPDX-License-Identifier: Apache-2.0
#include "net/dns_query.h"

#include "net/await.h"

#include <boost/asio/ip/tcp.hpp>

#include <ares.h>

#include <algorithm>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace tmpdump::net {
namespace {

namespace asio = boost::asio;

// How long the other family's answer may lag behind the first (RFC 8305 section 3, "Resolution Delay").
constexpr std::chrono::milliseconds resolution_delay{50};

std::optional<asio::ip::address> address_of(const ares_addrinfo_node& node) {
  if (node.ai_family == AF_INET && node.ai_addrlen >= sizeof(sockaddr_in)) {
    sockaddr_in in{};
    std::memcpy(&in, node.ai_addr, sizeof in);
    return asio::ip::address_v4(ntohl(in.sin_addr.s_addr));
  }
  if (node.ai_family == AF_INET6 && node.ai_addrlen >= sizeof(sockaddr_in6)) {
    sockaddr_in6 in{};
    std::memcpy(&in, node.ai_addr, sizeof in);
    asio::ip::address_v6::bytes_type bytes;
    std::copy(std::begin(in.sin6_addr.s6_addr), std::end(in.sin6_addr.s6_addr), bytes.begin());
    return asio::ip::address_v6(bytes, in.sin6_scope_id);
  }
  return std::nullopt;
}

bool is_no_such_name(int status) {
  return status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_ENONAME;
}

} // namespace

std::shared_ptr<DnsQuery> DnsQuery::start(asio::io_context& context, const std::string& name,
                                          const DnsOptions& options) {
  auto query = std::make_shared<DnsQuery>(context, name);
  if (query->open(options)) query->ask();
  return query;
}

DnsQuery::DnsQuery(asio::io_context& context, std::string name)
    : context_(context), name_(std::move(name)), retry_(context), grace_(context),
      done_(context, Clock::time_point::max()), families_{{this, AF_INET6, {}}, {this, AF_INET, {}}} {}

DnsQuery::~DnsQuery() {
  close();
}

asio::awaitable<void> DnsQuery::wait() {
  const auto self = shared_from_this();
  if (!outcome_) (void)co_await done_.async_wait(as_codes);
}

bool DnsQuery::open(const DnsOptions& options) {
  std::string resolv_conf = options.resolv_conf; // c-ares copies it, but takes a char*
  char lookups[] = "b";                          // name servers alone; the hosts file is ours
  ares_options init{};
  init.timeout = static_cast<int>(std::clamp<std::int64_t>(options.timeout.count(), 1, 60'000));
  init.tries = 2;
  init.lookups = lookups;
  init.resolvconf_path = resolv_conf.data();
  init.sock_state_cb_data = this;
  init.sock_state_cb = [](void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<DnsQuery*>(self)->socket_changed(fd, readable != 0, writable != 0);
  };
  int status = ares_init_options(&channel_, &init,
                                 ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                     ARES_OPT_RESOLVCONF | ARES_OPT_SOCK_STATE_CB);
  if (status != ARES_SUCCESS) channel_ = nullptr;
  if (status == ARES_SUCCESS && !options.nameservers.empty()) {
    status = ares_set_servers_ports_csv(channel_, options.nameservers.c_str());
  }
  if (status == ARES_SUCCESS) return true;
  outcome_ = Failure{Errc::network, "resolve '" + printable(name_) + "': cannot set up the resolver from '" +
                                        printable(options.resolv_conf) + "': " + ares_strerror(status)};
  return false;
}

void DnsQuery::ask() {
  ares_addrinfo_hints hints{};
  hints.ai_flags = ARES_AI_NOSORT; // sorting would connect a socket to each address
  hints.ai_socktype = SOCK_STREAM;
  for (Family& family : families_) {
    hints.ai_family = family.family;
    const auto on_answer = [](void* arg, int status, int /*timeouts*/, ares_addrinfo* found) {
      auto& asked = *static_cast<Family*>(arg);
      asked.query->answered(asked, status, found);
      ares_freeaddrinfo(found);
    };
    ares_getaddrinfo(channel_, name_.c_str(), nullptr, &hints, on_answer, &family);
  }
  drive(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

// Called by c-ares, from within drive(), ask(), or close().
void DnsQuery::answered(Family& family, int status, ares_addrinfo* found) {
  if (closing_) return;
  family.status = status;
  if (status != ARES_SUCCESS || found == nullptr) return;
  int ttl = answer_.addresses.empty() ? 86'400 : static_cast<int>(answer_.ttl.count());
  for (const auto* node = found->nodes; node != nullptr; node = node->ai_next) {
    const auto address = address_of(*node);
    if (!address) continue;
    if (std::find(answer_.addresses.begin(), answer_.addresses.end(), *address) != answer_.addresses.end())
      continue;
    answer_.addresses.push_back(*address);
    ttl = std::min(ttl, node->ai_ttl);
  }
  for (const auto* alias = found->cnames; alias != nullptr; alias = alias->next) {
    ttl = std::min(ttl, alias->ttl);
  }
  answer_.ttl = std::chrono::seconds(std::max(ttl, 0));
}

// Called by c-ares when it opens, uses, or is about to close a socket.
void DnsQuery::socket_changed(int fd, bool readable, bool writable) {
  auto at = sockets_.find(fd);
  if (!readable && !writable) {
    if (at == sockets_.end()) return;
    at->second->descriptor
        .release(); // takes it out of the reactor; pending waits end, the descriptor stays open
    sockets_.erase(at);
    return;
  }
  if (at == sockets_.end()) {
    auto socket = std::make_shared<Socket>(context_);
    boost::system::error_code refused;
    socket->descriptor.assign(fd, refused);
    if (refused) return; // no reactor, no answer: the timer ends the query
    at = sockets_.emplace(fd, std::move(socket)).first;
  }
  at->second->wants_read = readable;
  at->second->wants_write = writable;
  watch(at->second, fd);
}

void DnsQuery::watch(const std::shared_ptr<Socket>& socket, int fd) {
  using Wait = asio::posix::stream_descriptor::wait_type;
  const auto arm = [&](bool Socket::*wanted, bool Socket::*waiting, Wait direction) {
    if (!((*socket).*wanted) || (*socket).*waiting) return;
    (*socket).*waiting = true;
    // The weak pointer to the socket tells a wait on a descriptor that has been released, and perhaps reused.
    socket->descriptor.async_wait(direction, [self = weak_from_this(), seen = std::weak_ptr(socket), waiting,
                                              fd, direction](boost::system::error_code ec) {
      const auto query = self.lock();
      const auto same = seen.lock();
      if (ec || !query || !same) return;
      (*same).*waiting = false;
      const bool read = direction == Wait::wait_read;
      query->drive(read ? fd : ARES_SOCKET_BAD, read ? ARES_SOCKET_BAD : fd);
      if (!query->outcome_ && same->descriptor.is_open()) query->watch(same, fd);
    });
  };
  arm(&Socket::wants_read, &Socket::reading, Wait::wait_read);
  arm(&Socket::wants_write, &Socket::writing, Wait::wait_write);
}

void DnsQuery::drive(int readable, int writable) {
  if (channel_ == nullptr) return;
  ares_process_fd(channel_, readable, writable);
  settle();
  if (outcome_) return;
  timeval storage{};
  const timeval* wait = ares_timeout(channel_, nullptr, &storage);
  if (wait == nullptr) return;
  // One millisecond more: c-ares looks at its own clock, and finds nothing due a moment too early.
  retry_.expires_after(std::chrono::seconds(wait->tv_sec) + std::chrono::microseconds(wait->tv_usec) +
                       std::chrono::milliseconds(1));
  retry_.async_wait([self = weak_from_this()](boost::system::error_code ec) {
    const auto query = self.lock();
    if (!ec && query) query->drive(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  });
}

// Ends the query when both families have answered, or one has and the other is late.
void DnsQuery::settle() {
  if (outcome_) return;
  const bool first = families_[0].status.has_value(), second = families_[1].status.has_value();
  if (first && second) return finish();
  if (answer_.addresses.empty() || std::exchange(in_grace_, true)) return;
  grace_.expires_after(resolution_delay);
  grace_.async_wait([self = weak_from_this()](boost::system::error_code ec) {
    const auto query = self.lock();
    if (!ec && query && !query->outcome_) query->finish();
  });
}

void DnsQuery::finish() {
  if (answer_.addresses.empty()) {
    outcome_ = failure();
  } else {
    outcome_ = std::move(answer_);
  }
  done_.cancel();
  close();
}

void DnsQuery::close() {
  closing_ = true;
  retry_.cancel();
  grace_.cancel();
  if (channel_ != nullptr)
    ares_destroy(std::exchange(channel_, nullptr)); // calls socket_changed() for each socket
  sockets_.clear();
}

Failure DnsQuery::failure() const {
  const std::string what = "resolve '" + printable(name_) + "': ";
  const int v6 = families_[0].status.value_or(ARES_ETIMEOUT),
            v4 = families_[1].status.value_or(ARES_ETIMEOUT);
  if (v4 == ARES_ETIMEOUT || v6 == ARES_ETIMEOUT) {
    return {Errc::timeout, what + "no name server answered; check /etc/resolv.conf and the network"};
  }
  if (is_no_such_name(v4) && is_no_such_name(v6)) {
    return {Errc::network, what + "no such host; check the bucket's region and endpoint"};
  }
  return {Errc::network, what + "the name server failed: " + ares_strerror(is_no_such_name(v4) ? v6 : v4)};
}

} // namespace tmpdump::net
