// SPDX-License-Identifier: Apache-2.0
// Signs what it reads: one JSON request a line in, one JSON answer a line out (tests/sigv4_oracle.py drives
// it).
#include "s3/sigv4.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <exception>
#include <iostream>
#include <string>

namespace json = boost::json;
using namespace tmpdump;

namespace {

std::string text(const json::value& object, std::string_view member) {
  return std::string(object.at(json::string_view(member.data(), member.size())).as_string());
}

std::vector<std::pair<std::string, std::string>> pairs(const json::value& list) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const json::value& pair : list.as_array())
    out.emplace_back(std::string(pair.at(0).as_string()), std::string(pair.at(1).as_string()));
  return out;
}

json::object answer(const json::value& in) {
  const std::string method = text(in, "method");
  const std::string host = text(in, "host");
  const std::string path = text(in, "path");
  const std::string payload_hash = text(in, "payload_hash");
  const std::string region = text(in, "region");
  const s3::SigningRequest request{method,      host, path, pairs(in.at("query")), pairs(in.at("headers")),
                                   payload_hash};
  const credentials::Credentials keys{
      text(in, "access_key"), Secret(text(in, "secret_key")), Secret(text(in, "token")), {}};
  const std::chrono::system_clock::time_point now{std::chrono::seconds(in.at("time").as_int64())};
  const s3::SigningScope scope{region};
  const s3::SignedHeaders headers = s3::sign(request, keys, scope, now);
  const Secret query =
      s3::presign(request, keys, scope, now, std::chrono::seconds(in.at("expires").as_int64()));
  return {{"authorization", std::string(headers.authorization.reveal())},
          {"date", headers.amz_date},
          {"content_sha256", headers.content_sha256},
          {"token", std::string(headers.security_token.reveal())},
          {"path", s3::uri_encode(path, true)},
          {"query", std::string(query.reveal())},
          {"canonical", s3::canonical_request(request, keys, headers.amz_date)}};
}

} // namespace

int main() {
  try {
    for (std::string line; std::getline(std::cin, line);)
      std::cout << json::serialize(answer(json::parse(line))) << '\n';
    return std::cout.flush() ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "sigv4_lines: " << error.what() << '\n';
    return 1;
  }
}
