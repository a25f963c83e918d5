// SPDX-License-Identifier: Apache-2.0
#include "s3/endpoint.h"

#include <algorithm>
#include <array>

namespace tmpdump::s3 {

namespace {

// May the bucket's name stand as one label before S3's host, under its wildcard certificate?
bool is_host_label(std::string_view bucket) {
  if (bucket.size() < 3 || bucket.size() > 63) return false;
  if (bucket.front() == '-' || bucket.back() == '-') return false;
  return std::all_of(bucket.begin(), bucket.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

} // namespace

bool is_region(std::string_view text) {
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

std::string_view dns_suffix(std::string_view region) {
  struct Partition {
    std::string_view prefix, suffix;
  };
  // From AWS's partitions.json, as in every SDK; the first prefix that fits.
  static constexpr std::array partitions{
      Partition{"cn-", "amazonaws.com.cn"},    Partition{"us-isob-", "sc2s.sgov.gov"},
      Partition{"us-isof-", "csp.hci.ic.gov"}, Partition{"us-iso-", "c2s.ic.gov"},
      Partition{"eu-isoe-", "cloud.adc-e.uk"}, Partition{"eusc-", "amazonaws.eu"},
  };
  for (const auto& partition : partitions) {
    if (region.starts_with(partition.prefix)) return partition.suffix;
  }
  return "amazonaws.com";
}

Addressing address(const config::Options& options, const config::S3Uri& uri, std::string_view region) {
  Addressing out;
  if (options.endpoint) {
    out.origin = {options.endpoint->tls, options.endpoint->host, options.endpoint->port};
    out.path = "/" + uri.bucket + "/" + uri.key;
    return out;
  }
  if (region.empty()) region = default_region;
  std::string host = options.fips ? "s3-fips" : "s3";
  if (options.dualstack) host += ".dualstack";
  host.append(".").append(region).append(".").append(dns_suffix(region));
  out.origin = {true, host, 443};
  if (is_host_label(uri.bucket)) {
    out.origin.host = uri.bucket + "." + host;
    out.path = "/" + uri.key;
  } else {
    out.path = "/" + uri.bucket + "/" + uri.key;
  }
  return out;
}

} // namespace tmpdump::s3
