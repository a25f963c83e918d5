// SPDX-License-Identifier: Apache-2.0
// Which host serves a bucket and how the key is written into the path. Pure.
// Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/VirtualHosting.html,
// .../dual-stack-endpoints.html, https://docs.aws.amazon.com/general/latest/gr/s3.html
#pragma once

#include "config/options.h"
#include "net/network.h"

#include <string>
#include <string_view>

namespace tmpdump::s3 {

struct Addressing {
  net::Origin origin;
  std::string path; // decoded: "/key" or, in path style, "/bucket/key"
};

// `region` empty means us-east-1, whose endpoint answers for buckets elsewhere with their region.
// A custom endpoint, a bucket whose name has dots (its host would not match S3's wildcard certificate) and a
// bucket whose name is no DNS label use path style; all others virtual-hosted style.
Addressing address(const config::Options& options, const config::S3Uri& uri, std::string_view region);

// Could it be a region's name? Before it becomes a part of a host's name.
bool is_region(std::string_view text);

// DNS suffix of the partition that a region belongs to: "amazonaws.com", "amazonaws.com.cn", ...
std::string_view dns_suffix(std::string_view region);

inline constexpr std::string_view default_region = "us-east-1";

} // namespace tmpdump::s3
