// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/service.h"

#include "support/fake_s3/auth.h"
#include "support/fake_s3/aws_chunked.h"

#include <algorithm>

namespace tmpdump::test {
namespace {

// Any of the entity tags of If-Match, or '*' (RFC 9110 section 13.1.1: strong comparison).
bool if_match_holds(std::string_view header, const std::string& etag) {
  while (!header.empty()) {
    const auto comma = std::min(header.find(','), header.size());
    std::string_view tag = header.substr(0, comma);
    header.remove_prefix(std::min(comma + 1, header.size()));
    while (!tag.empty() && tag.front() == ' ')
      tag.remove_prefix(1);
    while (!tag.empty() && tag.back() == ' ')
      tag.remove_suffix(1);
    // S3 also takes the tag without its quotes.
    if (tag == "*" || tag == etag || '"' + std::string(tag) + '"' == etag) return true;
  }
  return false;
}

// [BUCKET.]s3[-fips][.dualstack][.REGION] and the older [BUCKET.]s3-REGION. The bucket may hold dots.
void read_aws_host(std::string_view name, Address& address) {
  std::size_t end = name.size();
  std::string region;
  for (;;) {
    const auto dot = name.substr(0, end).rfind('.');
    const auto begin = dot == std::string_view::npos ? 0 : dot + 1;
    const std::string_view label = name.substr(begin, end - begin);
    if (label == "s3" || label.starts_with("s3-")) {
      if (region.empty() && label != "s3" && label != "s3-fips") region = label.substr(3);
      address.region = region.empty() ? "us-east-1" : region; // the global endpoint
      address.bucket = name.substr(0, dot == std::string_view::npos ? 0 : dot);
      return;
    }
    if (dot == std::string_view::npos) return;
    if (label != "dualstack") region = label;
    end = dot;
  }
}

ErrorAnswer not_implemented(const std::string& what) {
  return {.status = 501, .code = "NotImplemented", .message = "This fake does not know " + what};
}

// Parameters that select another operation than GetObject and PutObject.
std::optional<std::string> foreign_parameter(const HeaderList& query) {
  for (const auto& [name, value] : query)
    if (!name.starts_with("X-Amz-") && !name.starts_with("response-") && name != "x-id") return name;
  return std::nullopt;
}

} // namespace

Address address_of(const Request& request) {
  Address address;
  std::string host = lower(request.header("host").value_or(""));
  // A port, but not the colons of an IPv6 literal.
  if (const auto colon = host.rfind(':'); colon != std::string::npos && host.find(']', colon) == host.npos)
    host.erase(colon);
  const std::string path = percent_decode(request.raw_path());
  const std::string below = path.starts_with('/') ? path.substr(1) : path;

  constexpr std::string_view aws = ".amazonaws.com";
  constexpr std::string_view local = ".localhost";
  if (host.ends_with(aws)) {
    read_aws_host(std::string_view(host).substr(0, host.size() - aws.size()), address);
  } else if (host.ends_with(local)) {
    address.bucket = host.substr(0, host.size() - local.size());
  }
  if (!address.bucket.empty()) {
    address.key = below;
  } else {
    const auto slash = std::min(below.find('/'), below.size());
    address.bucket = below.substr(0, slash);
    address.key = slash < below.size() ? below.substr(slash + 1) : "";
  }
  return address;
}

Answer object_answer(std::shared_ptr<const Object> object, const ResolvedRange& range) {
  Answer answer;
  const std::uint64_t size = object->size;
  answer.headers = {{"Last-Modified", http_date(object->last_modified)},
                    {"ETag", object->etag},
                    {"Accept-Ranges", "bytes"},
                    {"Content-Type", "binary/octet-stream"}};
  Segment segment{.text = "", .object = std::move(object), .offset = 0, .length = size};
  if (range.kind == ResolvedRange::Kind::part) {
    answer.status = 206;
    segment.offset = range.first;
    segment.length = range.length;
    answer.set("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                    std::to_string(range.first + range.length - 1) + "/" +
                                    std::to_string(size));
  }
  if (segment.length > 0) answer.body.push_back(std::move(segment));
  return answer;
}

std::optional<ErrorAnswer> Service::admit(const Request& request, const Address& address,
                                          std::time_t now) const {
  const auto [signature, error] = read_signature(request);
  if (error) return error;

  // An endpoint of no region, such as 127.0.0.1, stands for whichever region the client signs for.
  const std::string home = objects_.region_of(address.bucket).value_or(options_.region);
  std::string asked = address.region.empty() ? signature.region : address.region;
  if (asked.empty()) asked = options_.region;
  if (home != asked)
    return ErrorAnswer{.status = options_.other_region,
                       .code = options_.other_region == 307 ? "TemporaryRedirect" : "PermanentRedirect",
                       .message = "The bucket you are attempting to access must be addressed using the "
                                  "specified endpoint. Please send all future requests to this endpoint.",
                       .headers = {{"x-amz-bucket-region", home}},
                       .details = {{"Endpoint", address.bucket + ".s3." + home + ".amazonaws.com"},
                                   {"Bucket", address.bucket}}};
  if (options_.credentials.empty()) return std::nullopt;
  return check_signature(request, signature, options_.credentials, home, now);
}

Answer Service::answer(const Request& request, std::time_t now, bool whole) const {
  const Address address = address_of(request);
  const std::string resource = percent_decode(request.raw_path());
  const auto fail = [&](const ErrorAnswer& error) { return error_answer(error, resource); };
  if (request.method != "GET" && request.method != "HEAD" && request.method != "PUT")
    return fail({.status = 405,
                 .code = "MethodNotAllowed",
                 .message = "The specified method is not allowed against this resource."});
  if (const auto error = admit(request, address, now)) return fail(*error);
  if (address.bucket.empty()) return list_buckets(objects_);
  if (address.key.empty()) return answer_bucket(request, address);
  if (!objects_.region_of(address.bucket))
    return fail({.status = 404, .code = "NoSuchBucket", .details = {{"BucketName", address.bucket}}});
  if (const auto parameter = foreign_parameter(query_of(request)))
    return fail(not_implemented("the parameter '" + *parameter + "'"));
  return request.method == "PUT" ? put_object(request, address) : answer_object(request, address, whole);
}

Answer Service::answer_bucket(const Request& request, const Address& address) const {
  const auto region = objects_.region_of(address.bucket);
  const auto fail = [&](const ErrorAnswer& error) { return error_answer(error, "/" + address.bucket); };
  if (request.method == "PUT") {
    if (objects_.read_only()) return fail({.status = 403, .code = "AccessDenied"});
    if (!region) objects_.create_bucket(address.bucket, options_.region);
    Answer created;
    created.set("Location", "/" + address.bucket);
    return created;
  }
  if (!region)
    return fail({.status = 404, .code = "NoSuchBucket", .details = {{"BucketName", address.bucket}}});
  if (request.method == "HEAD") {
    Answer exists;
    exists.set("x-amz-bucket-region", *region);
    return exists;
  }
  const HeaderList query = query_of(request);
  if (find(query, "location")) {
    Answer location;
    location.set("Content-Type", "application/xml");
    // us-east-1 is the empty constraint.
    location.body.push_back({.text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<LocationConstraint "
                                     "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">" +
                                     (*region == "us-east-1" ? std::string() : xml_escape(*region)) +
                                     "</LocationConstraint>",
                             .object = nullptr});
    return location;
  }
  if (find(query, "list-type") != "2") return fail(not_implemented("this request to a bucket"));
  return list_objects(objects_, address.bucket, query);
}

Answer Service::answer_object(const Request& request, const Address& address, bool whole) const {
  const std::string resource = "/" + address.bucket + "/" + address.key;
  const auto object = objects_.find(address.bucket, address.key);
  if (!object)
    return error_answer({.status = 404, .code = "NoSuchKey", .details = {{"Key", address.key}}}, resource);
  const auto if_match = request.header("if-match");
  if (if_match && !if_match_holds(*if_match, object->etag))
    return error_answer({.status = 412, .code = "PreconditionFailed", .details = {{"Condition", "If-Match"}}},
                        resource);
  ResolvedRange range;
  const auto header = request.header("range");
  if (header && !whole) range = resolve_range(*header, object->size);
  if (range.kind == ResolvedRange::Kind::unsatisfiable)
    return error_answer(
        {.status = 416,
         .code = "InvalidRange",
         .headers = {{"Content-Range", "bytes */" + std::to_string(object->size)}},
         .details = {{"RangeRequested", *header}, {"ActualObjectSize", std::to_string(object->size)}}},
        resource);
  return object_answer(object, range);
}

Answer Service::put_object(const Request& request, const Address& address) const {
  const std::string resource = "/" + address.bucket + "/" + address.key;
  if (objects_.read_only()) return error_answer({.status = 403, .code = "AccessDenied"}, resource);
  std::string bytes = request.body;
  if (request.header("x-amz-content-sha256").value_or("").starts_with("STREAMING-")) {
    auto decoded = decode_aws_chunked(request.body);
    if (!decoded)
      return error_answer(
          {.status = 400, .code = "IncompleteBody", .message = "The request body terminated unexpectedly"},
          resource);
    bytes = std::move(*decoded);
  }
  objects_.put(address.bucket, address.key, bytes_of(bytes));
  Answer stored;
  const auto object = objects_.find(address.bucket, address.key);
  stored.set("ETag", object ? object->etag : "");
  return stored;
}

} // namespace tmpdump::test
