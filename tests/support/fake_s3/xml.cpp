// SPDX-License-Identifier: Apache-2.0
// The XML documents of S3: errors and listings.
#include "support/fake_s3/service.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace tmpdump::test {
namespace {

constexpr std::string_view xml_head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
constexpr std::string_view name_space = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

std::string element(std::string_view name, std::string_view text) {
  return std::string("<")
      .append(name)
      .append(">")
      .append(xml_escape(text))
      .append("</")
      .append(name)
      .append(">");
}

std::string usual_message(const std::string& code) {
  static const std::map<std::string, std::string> messages = {
      {"AccessDenied", "Access Denied"},
      {"InternalError", "We encountered an internal error. Please try again."},
      {"InvalidRange", "The requested range is not satisfiable"},
      {"NoSuchBucket", "The specified bucket does not exist"},
      {"NoSuchKey", "The specified key does not exist."},
      {"PreconditionFailed", "At least one of the pre-conditions you specified did not hold"},
      {"RequestTimeout",
       "Your socket connection to the server was not read from or written to within the timeout period."},
      {"SlowDown", "Please reduce your request rate."},
      {"TemporaryRedirect", "Please re-send this request to the specified temporary endpoint."},
      {"TooManyRequests", "Please reduce your request rate."},
  };
  const auto found = messages.find(code);
  return found == messages.end() ? code : found->second;
}

Answer document(std::string text) {
  Answer answer;
  answer.set("Content-Type", "application/xml");
  answer.body.push_back({.text = std::move(text), .object = nullptr});
  return answer;
}

} // namespace

Answer error_answer(const ErrorAnswer& error, const std::string& resource) {
  std::string text = std::string(xml_head) + "<Error>" + element("Code", error.code) +
                     element("Message", error.message.empty() ? usual_message(error.code) : error.message);
  for (const auto& [name, value] : error.details)
    text += element(name, value);
  text += element("Resource", resource) + "</Error>";
  Answer answer = document(std::move(text));
  answer.status = error.status;
  answer.headers.insert(answer.headers.end(), error.headers.begin(), error.headers.end());
  return answer;
}

Answer list_buckets(const ObjectStore& objects) {
  std::string text = std::string(xml_head) + "<ListAllMyBucketsResult" + std::string(name_space) +
                     "><Owner><ID>fake</ID></Owner><Buckets>";
  for (const std::string& bucket : objects.buckets())
    text += "<Bucket>" + element("Name", bucket) + element("CreationDate", iso8601_date(0)) + "</Bucket>";
  return document(text + "</Buckets></ListAllMyBucketsResult>");
}

Answer list_objects(const ObjectStore& objects, const std::string& bucket, const HeaderList& query) {
  const auto parameter = [&](std::string_view name) { return find(query, name).value_or(""); };
  const std::string prefix = parameter("prefix");
  const std::string delimiter = parameter("delimiter");
  const bool url_encoded = parameter("encoding-type") == "url";
  const auto shown = [&](const std::string& key) { return url_encoded ? percent_encode(key, true) : key; };
  // A continuation token is the last name that was shown; S3's is opaque too.
  const std::string after = std::max(parameter("start-after"), parameter("continuation-token"));
  std::size_t limit = 1000;
  const std::string asked_limit = parameter("max-keys");
  std::from_chars(asked_limit.data(), asked_limit.data() + asked_limit.size(), limit);
  limit = std::min<std::size_t>(limit, 1000);

  std::string contents;
  std::set<std::string> common;
  std::string last;
  std::size_t count = 0;
  bool truncated = false;
  for (const ObjectName& object : objects.list(bucket)) {
    if (!object.key.starts_with(prefix)) continue;
    const auto cut = delimiter.empty() ? std::string::npos : object.key.find(delimiter, prefix.size());
    const std::string name =
        cut == std::string::npos ? object.key : object.key.substr(0, cut + delimiter.size());
    if (name <= after || common.contains(name)) continue;
    if (count == limit) {
      truncated = true;
      break;
    }
    ++count;
    last = name;
    if (cut != std::string::npos) {
      common.insert(name);
      continue;
    }
    contents += "<Contents>" + element("Key", shown(object.key)) +
                element("LastModified", iso8601_date(object.last_modified)) + element("ETag", object.etag) +
                element("Size", std::to_string(object.size)) + element("StorageClass", "STANDARD") +
                "</Contents>";
  }
  std::string text = std::string(xml_head) + "<ListBucketResult" + std::string(name_space) + ">" +
                     element("Name", bucket) + element("Prefix", shown(prefix)) +
                     element("KeyCount", std::to_string(count)) + element("MaxKeys", std::to_string(limit)) +
                     element("IsTruncated", truncated ? "true" : "false");
  if (!delimiter.empty()) text += element("Delimiter", shown(delimiter));
  if (url_encoded) text += element("EncodingType", "url");
  if (truncated) text += element("NextContinuationToken", last);
  text += contents;
  for (const std::string& name : common)
    text += "<CommonPrefixes>" + element("Prefix", shown(name)) + "</CommonPrefixes>";
  return document(text + "</ListBucketResult>");
}

} // namespace tmpdump::test
