// SPDX-License-Identifier: Apache-2.0
// An HTTP client with no manners of its own: it sends the bytes it is given and reports what came, blocking.
#pragma once

#include "base/unique_fd.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct ssl_st;

namespace tmpdump::test {

// How the server left off.
enum class Ending {
  none,       // it did not: the answer was complete and the connection is open
  closed,     // FIN, or with TLS close_notify
  reset,      // RST
  truncated,  // TLS only: FIN without close_notify
  alert,      // TLS only: a fatal alert
  bad_record, // TLS only: a record that nobody can have sealed
  silent,     // nothing for `patience`
};

struct RawResponse {
  unsigned status = 0; // 0: what came was no HTTP answer
  std::string version;
  std::vector<std::pair<std::string, std::string>> headers; // names in lower case
  std::string body;                                         // chunks taken apart
  Ending ending = Ending::none;
  [[nodiscard]] std::string header(std::string_view name) const; // empty: not there
  [[nodiscard]] std::size_t count(std::string_view name) const;
};

class RawClient {
public:
  explicit RawClient(std::uint16_t port);
  // TLS that trusts `ca_pem` alone and wants a certificate for `name`.
  RawClient(std::uint16_t port, const std::string& ca_pem, const std::string& name);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  [[nodiscard]] bool secured() const { return secured_; } // the TLS handshake went well
  [[nodiscard]] Ending ending() const { return ending_; }
  void set_patience(int milliseconds); // for the server's next byte; 10 s at first

  void send(std::string_view bytes);
  // `method` "HEAD" expects no body.
  RawResponse receive(std::string_view method = "GET");
  bool receive_until(std::string_view end); // drops all up to and with `end`; false: it did not come
  std::string receive_all();                // until the server leaves or is silent
  // "METHOD target HTTP/1.1", Host, further header lines ("Range: bytes=0-1\r\n"), and its answer.
  RawResponse ask(const std::string& method, const std::string& target, const std::string& lines = {},
                  const std::string& body = {}, const std::string& host = "127.0.0.1");
  RawResponse get(const std::string& target, const std::string& lines = {}) {
    return ask("GET", target, lines);
  }

private:
  bool read_some(); // appends to received_; false sets ending_
  bool read_secured();
  bool read_socket(std::string& out);
  void write_socket(std::string_view bytes);
  void flush(); // TLS records that are ready to go
  bool need(std::size_t size);

  UniqueFd fd_;
  std::unique_ptr<ssl_st, void (*)(ssl_st*)> ssl_;
  bool secured_ = false;
  std::string received_;
  Ending ending_ = Ending::none;
};

} // namespace tmpdump::test
