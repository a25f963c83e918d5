// SPDX-License-Identifier: Apache-2.0
// A name server on a loopback UDP port that knows what the test tells it.
#pragma once

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace tmpdump::test {

struct DnsRecord {
  std::vector<std::string> v4 = {}, v6 = {};
  std::uint32_t ttl = 60;
  bool ignore_v4 = false, ignore_v6 = false; // questions that get no answer at all
  unsigned rcode = 0;
};

class DnsServer {
public:
  explicit DnsServer(boost::asio::io_context& context);
  ~DnsServer();
  DnsServer(const DnsServer&) = delete;
  DnsServer& operator=(const DnsServer&) = delete;

  std::map<std::string, DnsRecord>& records(); // names that are not in it do not exist
  [[nodiscard]] std::string address() const;   // "127.0.0.1:port"
  [[nodiscard]] int questions() const;
  void garbage(std::string answer); // send this in place of every answer
  // Answers to questions, instead of records(): by their number (from 1).
  void script(std::function<DnsRecord(int question)> answers);

private:
  struct State;
  std::shared_ptr<State> state_;
};

} // namespace tmpdump::test
