// SPDX-License-Identifier: Apache-2.0
#include "s3/http_source.h"

#include "s3/endpoint.h"
#include "s3/response.h"
#include "s3/sigv4.h"

#include <array>
#include <deque>

namespace tmpdump::s3 {

using std::chrono::system_clock;

void throw_exception_from_error(const GetFailure& failure, const boost::source_location& where) {
  tmpdump::throw_exception_from_error(failure.failure, where);
}

namespace {

// An error's body is read to the end, so that its connection can be used again, but no further than this.
constexpr std::size_t max_error_body = std::size_t{64} * 1024;

struct Pooled {
  std::unique_ptr<net::Connection> connection;
  net::Origin origin;
  unsigned number = 0;
};

GetFailure transport_failure(Failure failure) {
  const bool retry = !failure.lasting && (failure.code == Errc::network || failure.code == Errc::timeout);
  return {std::move(failure), retry ? Verdict::retry_later : Verdict::fatal, std::nullopt};
}

} // namespace

struct HttpSource::State {
  State(const config::Options& opts, net::Network& net, credentials::Provider& provider, Trace* tracer)
      : options(opts), network(net), credentials(provider), trace(tracer), region(opts.region) {}

  const config::Options& options;
  net::Network& network;
  credentials::Provider& credentials;
  Trace* trace;

  std::string region;                   // as configured, later as S3 tells
  bool redirected = false;              // a redirect is followed once
  system_clock::duration clock_skew{0}; // added to our clock when signing
  // Refused last, and by how many in a row S3 was not satisfied: new ones are asked for once.
  std::shared_ptr<const credentials::Credentials> rejected;
  unsigned rejections = 0;
  std::vector<Pooled> idle; // last in, first out: the warmest window first
  unsigned connections = 0;
  std::uint64_t requests = 0;
  net::Clock::time_point first_connected{};

  std::shared_ptr<const credentials::Credentials> signed_with; // for the trace

  bool renew(const std::shared_ptr<const credentials::Credentials>& sent);
  void note(std::string_view event, Trace::Arguments arguments) const {
    if (trace != nullptr) trace->instant("connections", 0, event, net::Clock::now(), std::move(arguments));
  }
  void note_keys(const std::shared_ptr<const credentials::Credentials>& keys);
  boost::asio::awaitable<attempt_result<Pooled>> acquire(const net::Origin& origin, bool& reused);
  bool closing = false; // nothing is kept any more
  void release(Pooled pooled) {
    if (!closing && pooled.connection->reusable()) idle.push_back(std::move(pooled));
  }
};

// Whether there may be better ones. Several requests may meet the same refusal.
bool HttpSource::State::renew(const std::shared_ptr<const credentials::Credentials>& sent) {
  if (!sent) return false;
  if (sent != rejected) ++rejections;
  rejected = sent;
  return rejections <= 1 && credentials.invalidate(sent);
}

void HttpSource::State::note_keys(const std::shared_ptr<const credentials::Credentials>& keys) {
  if (signed_with && keys != signed_with) {
    note("keys",
         {{"reason", signed_with == rejected ? "the ones before were refused" : "the ones before expire"}});
  }
  signed_with = keys;
}

boost::asio::awaitable<attempt_result<Pooled>> HttpSource::State::acquire(const net::Origin& origin,
                                                                          bool& reused) {
  while (!idle.empty()) {
    Pooled pooled = std::move(idle.back());
    idle.pop_back();
    if (pooled.origin != origin) continue; // the region changed: those are of no use
    reused = true;
    co_return pooled;
  }
  reused = false;
  const unsigned number = connections++;
  const auto started = net::Clock::now();
  auto connected = co_await network.connect(origin);
  if (trace != nullptr) {
    trace->complete("connections", number, "connect", started, net::Clock::now(),
                    {{"to", connected ? (*connected)->peer() : origin.display()},
                     {"outcome", connected ? "connected" : connected.error().message}});
  }
  if (!connected) co_return transport_failure(std::move(connected).error());
  if (first_connected == net::Clock::time_point{}) first_connected = net::Clock::now();
  co_return Pooled{std::move(*connected), origin, number};
}

namespace {

class HttpBody final : public Body {
public:
  HttpBody(std::shared_ptr<HttpSource::State> state, Pooled pooled, std::uint64_t length, std::string range,
           net::Clock::time_point requested, net::Clock::time_point answered)
      : state_(std::move(state)), pooled_(std::move(pooled)), left_(length), length_(length),
        range_(std::move(range)), requested_(requested), answered_(answered) {}
  HttpBody(const HttpBody&) = delete;
  HttpBody& operator=(const HttpBody&) = delete;
  ~HttpBody() override {
    if (state_->trace != nullptr) {
      const auto now = net::Clock::now();
      state_->trace->complete("connections", pooled_.number, "first byte", requested_, answered_,
                              {{"range", range_}});
      state_->trace->complete("connections", pooled_.number, "body", answered_, now,
                              {{"range", range_},
                               {"bytes", std::to_string(length_ - left_)},
                               {"outcome", left_ == 0 ? "whole" : "ended early"}});
    }
    if (left_ == 0) state_->release(std::move(pooled_));
  }

  boost::asio::awaitable<attempt_result<std::size_t>> read(MutableBytes out) override {
    if (left_ == 0) co_return std::size_t{0};
    if (out.size() > left_) out = out.first(left_);
    auto got = co_await pooled_.connection->read_body(out, state_->network.timeouts().progress);
    if (!got) co_return transport_failure(std::move(got).error());
    if (*got == 0) {
      co_return transport_failure(
          {Errc::network, "the body ended " + std::to_string(left_) + " bytes early"});
    }
    left_ -= *got;
    co_return *got;
  }

private:
  std::shared_ptr<HttpSource::State> state_;
  Pooled pooled_;
  std::uint64_t left_;
  std::uint64_t length_;
  std::string range_;
  net::Clock::time_point requested_, answered_;
};

struct Prepared {
  net::Origin origin;
  net::Request request;
  std::shared_ptr<const credentials::Credentials> credentials; // null: not signed
  Secret signature = {};                                       // empty: not signed
};

boost::asio::awaitable<result<Prepared>> prepare(HttpSource::State& state, const GetRequest& get) {
  Prepared out;
  out.request.headers.push_back({"Range", range_header(get)});
  // Ranges of a recoded representation would be useless.
  out.request.headers.push_back({"Accept-Encoding", "identity"});
  if (!get.if_match.empty()) out.request.headers.push_back({"If-Match", get.if_match});

  if (const auto* http = std::get_if<config::HttpUri>(&state.options.source)) {
    out.origin = {http->tls, http->host, http->port};
    out.request.target = http->path;
    if (!http->query.empty()) out.request.target.append("?").append(http->query.reveal());
    co_return out;
  }
  const auto& uri = std::get<config::S3Uri>(state.options.source);
  const auto where = address(state.options, uri, state.region);
  out.origin = where.origin;
  out.request.target = uri_encode(where.path, true);
  if (state.options.no_sign_request) co_return out;

  TMPDUMP_CO_TRY(out.credentials, co_await state.credentials.get());
  if (!out.credentials) co_return out;
  state.note_keys(out.credentials);
  const std::string host = where.origin.host_header();
  SigningRequest signing;
  signing.host = host;
  signing.path = where.path;
  signing.payload_hash = empty_payload_hash;
  signing.headers.emplace_back("range", range_header(get));
  if (!get.if_match.empty()) signing.headers.emplace_back("if-match", get.if_match);
  const std::string_view region = state.region.empty() ? default_region : std::string_view(state.region);
  const auto signature =
      sign(signing, *out.credentials, {region, "s3"}, system_clock::now() + state.clock_skew);
  out.request.headers.push_back({"x-amz-date", signature.amz_date});
  out.request.headers.push_back({"x-amz-content-sha256", signature.content_sha256});
  if (!signature.security_token.empty()) {
    out.request.headers.push_back(
        {"x-amz-security-token", std::string(signature.security_token.reveal()), true});
  }
  const std::string_view authorization = signature.authorization.reveal();
  out.request.headers.push_back({"Authorization", std::string(authorization), true});
  out.signature = Secret(std::string(authorization.substr(authorization.rfind('=') + 1)));
  co_return out;
}

// What a server has heard and nobody else may.
std::vector<std::string_view> secrets_of(const HttpSource::State& state, const Prepared& sent) {
  if (const auto* http = std::get_if<config::HttpUri>(&state.options.source)) return {http->query.reveal()};
  if (!sent.credentials) return {};
  return {sent.credentials->access_key_id, sent.credentials->session_token.reveal(), sent.signature.reveal()};
}

// S3, and what stands in front of it, may find an error when it has announced success already. An object of
// S3 has an ETag, whatever its type.
bool is_error_document(const HttpSource::State& state, const net::ResponseHead& head) {
  const auto type = head.header("content-type");
  return std::holds_alternative<config::S3Uri>(state.options.source) && !head.header("etag") && type &&
         type->starts_with("application/xml");
}

struct ErrorBody {
  std::string text;
  bool broken = false; // the connection ended within it
};

// The body of an error answer, as far as it is of use. Afterwards the connection may be reusable.
boost::asio::awaitable<ErrorBody> read_error_body(net::Connection& connection,
                                                  std::chrono::milliseconds progress) {
  ErrorBody body;
  std::array<std::byte, 4096> buffer; // NOLINT(cppcoreguidelines-pro-type-member-init)
  while (body.text.size() < max_error_body) {
    const auto got = co_await connection.read_body(buffer, progress);
    body.broken = !got;
    if (!got || *got == 0) break;
    body.text.append(text_of(Bytes(buffer).first(*got)));
  }
  co_return body;
}

std::string arn_of(const config::Options& options) {
  const auto* uri = std::get_if<config::S3Uri>(&options.source);
  return uri == nullptr ? "" : "arn:aws:s3:::" + printable(uri->bucket + "/" + uri->key, 1200);
}

// What a person can do about a refusal that no retry mends.
Failure final_failure(const HttpSource::State& state, const std::string& object, unsigned status,
                      const ErrorDocument& document) {
  const std::string server = document.code.empty()
                                 ? "HTTP " + std::to_string(status)
                                 : "HTTP " + std::to_string(status) + " " + printable(document.code) +
                                       (document.message.empty() ? "" : ": " + printable(document.message));
  const bool s3 = std::holds_alternative<config::S3Uri>(state.options.source);
  const bool is_signed = s3 && !state.options.no_sign_request;
  if (is_signed && (document.code == "SignatureDoesNotMatch" || document.code == "InvalidAccessKeyId" ||
                    document.code == "InvalidToken")) {
    return {Errc::denied, object + ": the credentials were refused (" + server +
                              "); check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"};
  }
  switch (status) {
  case 404:
    if (document.code == "NoSuchBucket") {
      return {Errc::not_found,
              object + ": no such bucket (" + server + "); check the bucket's name and region"};
    }
    return {Errc::not_found,
            object + ": no such object (" + server + "); upload the archive or correct TMPDUMP_URI"};
  case 401:
  case 403: {
    if (!s3) {
      return {Errc::denied,
              object + ": access denied (" + server + "); a presigned URL may have expired: make a new one"};
    }
    if (state.options.no_sign_request) {
      return {Errc::denied,
              object + ": access denied (" + server + "); the object is not public: sign the request"};
    }
    return {Errc::denied, object + ": access denied (" + server + "); allow s3:GetObject on " +
                              arn_of(state.options) +
                              " (without s3:ListBucket a missing object is answered with 403 too)"};
  }
  default:
    break;
  }
  if (document.code == "ExpiredToken" || document.code == "TokenRefreshRequired") {
    return {Errc::denied, object + ": the credentials have expired (" + server + "); get new ones"};
  }
  return {Errc::network, object + ": unexpected answer (" + server + ")"};
}

} // namespace

namespace {

// Decides what an answer that is neither 200 nor 206 means, and repairs what can be repaired.
GetFailure interpret_refusal(HttpSource::State& state, const std::string& object,
                             const net::ResponseHead& head, const ErrorDocument& document,
                             const Prepared& sent, std::string_view sent_region) {
  GetFailure out{final_failure(state, object, head.status, document), Verdict::fatal, std::nullopt};
  if (const auto wish = head.header("retry-after")) out.retry_after = parse_retry_after(*wish);

  // A bucket that lives in another region: 301 PermanentRedirect, 307 TemporaryRedirect, or 400
  // AuthorizationHeaderMalformed; the region stands in a header or in the document.
  const bool wrong_region = head.status == 301 || head.status == 307 || head.status == 308 ||
                            document.code == "AuthorizationHeaderMalformed" ||
                            document.code == "IllegalLocationConstraintException";
  if (wrong_region && std::holds_alternative<config::S3Uri>(state.options.source)) {
    const auto header = head.header("x-amz-bucket-region");
    std::string region = header ? std::string(*header) : document.region;
    if (!is_region(region)) region.clear(); // the keys' next host is not for a server to choose
    if (!region.empty() && region == state.region && region != sent_region) {
      out.verdict = Verdict::retry_now; // another request has learned it meanwhile
    } else if (!region.empty() && region != sent_region && !state.redirected) {
      state.redirected = true;
      state.note("region", {{"from", std::string(sent_region)}, {"to", region}});
      state.region = region;
      state.idle.clear();
      out.verdict = Verdict::retry_now;
    } else {
      out.failure = {Errc::network, object + ": the bucket is in region '" + printable(region) +
                                        "', which was followed once already; set AWS_REGION"};
      if (region.empty()) {
        out.failure.message = object + ": redirected (HTTP " + std::to_string(head.status) +
                              ") without naming the bucket's region; set AWS_REGION";
      }
    }
    return out;
  }
  if (wrong_region || head.status == 302 || head.status == 303) {
    const bool s3 = std::holds_alternative<config::S3Uri>(state.options.source);
    out.failure = {Errc::network, object + ": redirected (HTTP " + std::to_string(head.status) +
                                      "), which is not followed; " +
                                      (s3 ? "check the endpoint" : "use the URL that it leads to")};
    return out;
  }
  if (head.status == 412) {
    out.failure = {Errc::changed, object + ": the object was replaced while it was read"};
    out.verdict = Verdict::changed;
    return out;
  }
  if (head.status == 416) {
    out.failure = {Errc::bad_archive, object + ": the object ends before the requested range"};
    out.verdict = Verdict::out_of_range;
    return out;
  }
  if ((document.code == "ExpiredToken" || document.code == "InvalidToken" ||
       document.code == "TokenRefreshRequired") &&
      state.renew(sent.credentials)) {
    out.verdict = Verdict::retry_now;
    return out;
  }
  if (document.code == "RequestTimeTooSkewed" || document.code == "RequestExpired") {
    const auto date = head.header("date");
    if (const auto server_time = date ? parse_http_date(*date) : std::nullopt) {
      state.clock_skew = *server_time - system_clock::now();
      out.verdict =
          Verdict::retry_later; // not retry_now: a server that insists must not be asked in a tight loop
      return out;
    }
  }
  if (is_retryable(head.status, document.code)) {
    out.verdict = Verdict::retry_later;
    out.failure.code = Errc::network;
  }
  return out;
}

} // namespace

HttpSource::HttpSource(const config::Options& options, net::Network& network,
                       credentials::Provider& credentials, Trace* trace)
    : state_(std::make_shared<State>(options, network, credentials, trace)) {}
HttpSource::~HttpSource() = default;

boost::asio::awaitable<attempt_result<GetResponse>> HttpSource::get(GetRequest request) {
  const auto state = state_; // the coroutine may outlive *this by a cancelled read
  const std::string sent_region(state->region.empty() ? default_region : std::string_view(state->region));
  auto prepared = co_await prepare(*state, request);
  if (!prepared) co_return transport_failure(std::move(prepared).error());
  const net::SecretsWipedAtEnd wiped(prepared->request); // also where it is never sent

  bool reused = false;
  auto acquired = co_await state->acquire(prepared->origin, reused);
  if (!acquired) co_return std::move(acquired).error();
  Pooled pooled = std::move(*acquired);

  ++state->requests;
  const auto requested = net::Clock::now();
  auto head = co_await pooled.connection->request(prepared->request, state->network.timeouts().first_byte);
  net::wipe_secrets(prepared->request);
  const auto answered = net::Clock::now();
  if (!head) {
    auto failure = transport_failure(std::move(head).error());
    // The server may close an idle connection at any time: that says nothing about the server's health.
    if (reused && failure.failure.code == Errc::network) failure.verdict = Verdict::retry_now;
    co_return failure;
  }
  if ((head->status != 200 && head->status != 206) || is_error_document(*state, *head)) {
    const auto body = co_await read_error_body(*pooled.connection, state->network.timeouts().progress);
    const auto document = without_secrets(parse_error_document(body.text), secrets_of(*state, *prepared));
    auto failure = interpret_refusal(*state, display(), *head, document, *prepared, sent_region);
    // The reason, had it come, might have been one that asking again mends.
    if (body.broken && failure.verdict == Verdict::fatal) failure.verdict = Verdict::retry_later;
    if (state->trace != nullptr) {
      state->trace->complete("connections", pooled.number, "refused", requested, answered,
                             {{"range", range_header(request)}, {"status", std::to_string(head->status)}});
    }
    state->release(std::move(pooled));
    co_return failure;
  }
  state->rejections = 0;
  auto extent = check_extent(*head, request);
  if (!extent) {
    auto failure = std::move(extent).error();
    failure.failure = failure.failure.within(display());
    co_return failure;
  }
  GetResponse response;
  response.offset = extent->offset;
  response.length = extent->length;
  response.object_size = extent->object_size;
  response.connection = pooled.number;
  if (const auto etag = head->header("etag")) response.etag = *etag;
  // A weak validator names no bytes (RFC 9110 8.8.1) and must not go into If-Match.
  if (response.etag.starts_with("W/")) response.etag.clear();
  if (!request.if_match.empty() && response.etag != request.if_match) {
    co_return GetFailure{{Errc::changed, display() + ": answered with another version than asked for"},
                         Verdict::changed,
                         std::nullopt};
  }
  response.body = std::make_unique<HttpBody>(state, std::move(pooled), extent->length, range_header(request),
                                             requested, answered);
  co_return response;
}

void HttpSource::close_idle() {
  state_->closing = true;
  state_->idle.clear();
}
std::string HttpSource::display() const {
  return config::display(state_->options.source);
}
std::uint64_t HttpSource::requests() const {
  return state_->requests;
}
std::uint64_t HttpSource::connections() const {
  return state_->connections;
}

std::chrono::steady_clock::time_point HttpSource::first_connected() const {
  return state_->first_connected;
}

} // namespace tmpdump::s3
