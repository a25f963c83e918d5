// SPDX-License-Identifier: Apache-2.0
// S3's answers, without any network: a request in, an answer out.
#pragma once

#include "support/fake_s3.h"
#include "support/fake_s3/http.h"
#include "support/fake_s3/objects.h"
#include "support/fake_s3/range.h"

#include <ctime>
#include <string>

namespace tmpdump::test {

// What a request is about; bucket or key may be empty.
struct Address {
  std::string bucket;
  std::string key;
  std::string region; // that the host names; empty: an endpoint of no region
};
// Path style for every host but BUCKET.s3[.-]REGION.amazonaws.com and BUCKET.localhost.
Address address_of(const Request& request);

Answer error_answer(const ErrorAnswer& error, const std::string& resource);

// An object, or the part of it that `range` says.
Answer object_answer(std::shared_ptr<const Object> object, const ResolvedRange& range);

// ListBuckets and ListObjectsV2.
Answer list_buckets(const ObjectStore& objects);
Answer list_objects(const ObjectStore& objects, const std::string& bucket, const HeaderList& query);

class Service {
public:
  Service(ObjectStore& objects, const FakeS3Options& options) : objects_(objects), options_(options) {}

  // `now` is the server's clock. Framing, Date and the like are added by the caller. `whole`: Range is not
  // looked at, though its signature is.
  [[nodiscard]] Answer answer(const Request& request, std::time_t now, bool whole) const;

private:
  [[nodiscard]] std::optional<ErrorAnswer> admit(const Request& request, const Address& address,
                                                 std::time_t now) const;
  [[nodiscard]] Answer answer_bucket(const Request& request, const Address& address) const;
  [[nodiscard]] Answer answer_object(const Request& request, const Address& address, bool whole) const;
  [[nodiscard]] Answer put_object(const Request& request, const Address& address) const;

  ObjectStore& objects_;
  const FakeS3Options& options_;
};

} // namespace tmpdump::test
