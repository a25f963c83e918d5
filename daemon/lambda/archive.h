// SPDX-License-Identifier: Apache-2.0
// The archive of one function on its way to the destination, with the manifest kept up to date.
#pragma once

#include "base/error.h"
#include "base/trace.h"
#include "config/options.h"
#include "credentials/credentials.h"
#include "lambda/extension.h"
#include "lambda/log.h"
#include "manifest/writer.h"
#include "net/network.h"
#include "output/destination.h"
#include "prefetch/prefetch.h"
#include "s3/object_source.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace tmpdump::lambda {

// Network thread only. Everything passed in outlives it. What is needed for the archive alone, down to TLS,
// lives and ends with it.
class Archive {
public:
  Archive(boost::asio::io_context& context, const config::Options& options, manifest::Writer& manifest,
          const Surroundings& surroundings, const Log& log);
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  // Each file is published in the manifest as it gets to its place. What a predecessor left under the same
  // ETag is kept.
  boost::asio::awaitable<result<prefetch::Summary>> prefetch();
  // Says in the manifest that all is there, and writes the trace.
  result<void> finish(const prefetch::Summary& summary);
  [[nodiscard]] std::uint64_t kept() const { return kept_; }

private:
  void debug(std::string_view event, std::string_view detail) const;
  // Null when nobody wants to know.
  Trace* trace();
  result<void> open_source();
  prefetch::Observer observe();
  result<void> make_way(const manifest::Previous& previous, const std::vector<manifest::ListedEntry>& entries,
                        bool keeps) const;
  result<std::vector<const zip::Entry*>> list(const fetch::ObjectInfo& object,
                                              const zip::Directory& directory,
                                              std::vector<const zip::Entry*> wanted);

  boost::asio::io_context& context_;
  const config::Options& options_;
  manifest::Writer& manifest_;
  const Surroundings& around_;
  const Log& log_;
  Trace trace_;
  std::optional<net::Network> network_; // of its own: with the archive go sessions, roots, names
  std::optional<credentials::Provider> credentials_;
  std::unique_ptr<s3::ObjectSource> source_;
  std::optional<output::Destination> destination_;
  prefetch::Progress progress_;
  const zip::Entry* first_entry_ = nullptr; // of the directory that the manifest lists
  bool listed_ = false;
  std::uint64_t kept_ = 0;
};

} // namespace tmpdump::lambda
