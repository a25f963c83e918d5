// SPDX-License-Identifier: Apache-2.0
// Buckets and objects. Every object is a file descriptor (a memfd, or a file on disk), so that one way of
// sending serves all. Thread-safe; an Object never changes, a new version is a new Object.
#pragma once

#include "base/bytes.h"
#include "base/unique_fd.h"

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace tmpdump::test {

struct Object {
  UniqueFd fd;
  std::uint64_t size = 0;
  std::string etag; // with quotes
  std::time_t last_modified = 0;
};

struct ObjectName {
  std::string key;
  std::uint64_t size = 0;
  std::string etag;
  std::time_t last_modified = 0;
};

class ObjectStore {
public:
  // `root` not empty: buckets are its folders, objects the files below them, seen as they are on disk now.
  ObjectStore(std::string root, std::string default_region);

  void create_bucket(const std::string& bucket, const std::string& region);
  void put(const std::string& bucket, const std::string& key, Bytes bytes);
  void put_file(const std::string& bucket, const std::string& key, const std::string& path);
  void remove(const std::string& bucket, const std::string& key);
  void new_etag(const std::string& bucket, const std::string& key); // the same bytes as a new version

  [[nodiscard]] bool read_only() const { return !root_.empty(); }
  [[nodiscard]] std::optional<std::string> region_of(const std::string& bucket) const; // none: no such bucket
  [[nodiscard]] std::shared_ptr<const Object> find(const std::string& bucket, const std::string& key) const;
  [[nodiscard]] std::vector<std::string> buckets() const;
  [[nodiscard]] std::vector<ObjectName> list(const std::string& bucket) const; // by key, in byte order

private:
  struct Bucket {
    std::string region;
    std::map<std::string, std::shared_ptr<const Object>> objects;
  };
  void install(const std::string& bucket, const std::string& key, std::shared_ptr<const Object> object);
  [[nodiscard]] std::string path_of(const std::string& bucket, const std::string& key) const;

  const std::string root_;
  const std::string default_region_;
  mutable std::mutex mutex_;
  std::map<std::string, Bucket> buckets_; // guarded by mutex_
  std::uint64_t versions_ = 0;            // guarded by mutex_; makes ETags of new_etag() differ
};

} // namespace tmpdump::test
