// SPDX-License-Identifier: Apache-2.0
// The project's one error vocabulary. Every function that can fail returns result<T>; exceptions do not cross
// a module's border. A Failure carries a sentence for a person: what failed, on which object, what to do.
#pragma once

#include <boost/system/result.hpp>

#include <stdexcept>
#include <string>
#include <string_view>

namespace tmpdump {

// Each value says when it occurs; the command line's exit status and the extension's errorType derive from
// it.
enum class Errc {
  usage = 1,   // a bad option, argument, or environment variable; the message names it
  not_found,   // the bucket, the key, or the local file does not exist
  denied,      // 401, 403, no credentials, or file permissions
  bad_archive, // the archive is corrupt, hostile, or uses what we refuse; the message names the entry
  changed,     // the object's ETag changed while it was read (HTTP 412), more often than we follow
  network,     // DNS, connect, TLS, HTTP, or a response that contradicts the request, after all retries
  timeout,     // a deadline passed
  no_space,    // the destination cannot hold the archive, or --max-size forbids it
  io,          // a local system call failed
  cancelled,   // SHUTDOWN, SIGTERM, or the caller's cancellation
};

struct Failure {
  Errc code = Errc::io;
  std::string message;  // one line, no trailing full stop, no secrets, control characters escaped
  bool lasting = false; // of what is asked again otherwise (network, timeout): it would end the same way

  // "context: message", for callers that know more than the place that failed.
  [[nodiscard]] Failure within(std::string_view context) const {
    return {code, std::string(context).append(": ").append(message), lasting};
  }
};

template <class T>
using result = boost::system::result<T, Failure>;

// Stable, short name of a code, e.g. "BadArchive": used as the suffix of Lambda's errorType and in JSON.
std::string_view name(Errc code);

// Exit status of the programs: 1 failed, 2 usage, 3 not found, 4 archive is bad, 5 denied.
int exit_status(Errc code);

// "open '/tmp/x': No space left on device" with the code that fits the errno (ENOSPC and EDQUOT: no_space,
// ENOENT: not_found, EACCES and EPERM: denied, else io).
Failure system_failure(std::string_view what, int error_number);

// For what failed on this machine while the source was well: "missing" and "denied" are then not the
// archive's, which a caller may tolerate, and become Errc::io.
Failure local(Failure failure);

// Escapes control and format characters (proto/printable.h), quotes, backslashes, and bytes that are not
// valid UTF-8 as \xNN, so that a hostile name cannot forge log lines, turn their direction or move a
// terminal's cursor. Long input is cut to `limit` bytes + "...".
std::string printable(std::string_view text, std::size_t limit = 256);

// Called by boost::system::result<T, Failure>::value() on a failure (found by ADL).
[[noreturn]] void throw_exception_from_error(const Failure& failure, const boost::source_location& where);

// Thrown only by the function above.
class FailureException : public std::runtime_error {
public:
  explicit FailureException(const Failure& failure)
      : std::runtime_error(failure.message), code_(failure.code) {}
  [[nodiscard]] Errc code() const { return code_; }

private:
  Errc code_;
};

// Returns early with the failure, else binds or discards the value:
//   TMPDUMP_TRY(auto size, read_size(fd));      TMPDUMP_CHECK(check(entry));
#define TMPDUMP_CONCAT_(a, b) a##b
#define TMPDUMP_CONCAT(a, b) TMPDUMP_CONCAT_(a, b)
#define TMPDUMP_TRY_(kw, tmp, declaration, ...)                                                              \
  auto tmp = (__VA_ARGS__);                                                                                  \
  if (!(tmp).has_value()) kw std::move(tmp).error();                                                         \
  declaration = std::move(*(tmp))
#define TMPDUMP_CHECK_(kw, tmp, ...)                                                                         \
  if (auto tmp = (__VA_ARGS__); !(tmp).has_value()) kw std::move(tmp).error()
#define TMPDUMP_TRY(declaration, ...)                                                                        \
  TMPDUMP_TRY_(return, TMPDUMP_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TMPDUMP_CHECK(...) TMPDUMP_CHECK_(return, TMPDUMP_CONCAT(check_result_, __LINE__), __VA_ARGS__)
// The same inside coroutines.
#define TMPDUMP_CO_TRY(declaration, ...)                                                                     \
  TMPDUMP_TRY_(co_return, TMPDUMP_CONCAT(try_result_, __LINE__), declaration, __VA_ARGS__)
#define TMPDUMP_CO_CHECK(...) TMPDUMP_CHECK_(co_return, TMPDUMP_CONCAT(check_result_, __LINE__), __VA_ARGS__)

} // namespace tmpdump
