// SPDX-License-Identifier: Apache-2.0
#include "support/fake_s3/objects.h"

#include "base/error.h"
#include "support/fake_s3/digest.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/stat.h>

namespace tmpdump::test {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(system_failure(what, errno).message);
}

// Files are not read to be named: inode, size and time of change tell versions apart.
std::shared_ptr<const Object> open_object(const std::string& path) {
  auto object = std::make_shared<Object>();
  object->fd = UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status {};
  if (!object->fd || ::fstat(object->fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return nullptr;
  object->size = static_cast<std::uint64_t>(status.st_size);
  object->last_modified = status.st_mtim.tv_sec;
  object->etag = '"' + std::to_string(status.st_ino) + '-' + std::to_string(status.st_mtim.tv_sec) + '.' +
                 std::to_string(status.st_mtim.tv_nsec) + '-' + std::to_string(status.st_size) + '"';
  return object;
}

bool stays_below(const std::string& relative) {
  if (relative.empty() || relative.front() == '/' || relative.find('\0') != std::string::npos) return false;
  return std::ranges::none_of(fs::path(relative),
                              [](const fs::path& part) { return part == ".." || part == "."; });
}

} // namespace

ObjectStore::ObjectStore(std::string root, std::string default_region)
    : root_(std::move(root)), default_region_(std::move(default_region)) {}

std::string ObjectStore::path_of(const std::string& bucket, const std::string& key) const {
  if (root_.empty() || !stays_below(bucket) || bucket.find('/') != std::string::npos) return {};
  if (key.empty()) return root_ + "/" + bucket;
  return stays_below(key) ? root_ + "/" + bucket + "/" + key : std::string();
}

void ObjectStore::create_bucket(const std::string& bucket, const std::string& region) {
  const std::lock_guard lock(mutex_);
  buckets_[bucket].region = region.empty() ? default_region_ : region;
}

void ObjectStore::install(const std::string& bucket, const std::string& key,
                          std::shared_ptr<const Object> object) {
  const std::lock_guard lock(mutex_);
  Bucket& place = buckets_[bucket];
  if (place.region.empty()) place.region = default_region_;
  place.objects[key] = std::move(object);
}

void ObjectStore::put(const std::string& bucket, const std::string& key, Bytes bytes) {
  auto object = std::make_shared<Object>();
  object->fd = UniqueFd(::memfd_create("fake-s3-object", MFD_CLOEXEC));
  if (!object->fd) fail("memfd_create");
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::write(object->fd.get(), bytes.data() + done, bytes.size() - done);
    if (n <= 0) fail("write to a memfd");
    done += static_cast<std::size_t>(n);
  }
  object->size = bytes.size();
  object->etag = '"' + md5_hex(text_of(bytes)) + '"';
  object->last_modified = std::time(nullptr);
  install(bucket, key, std::move(object));
}

void ObjectStore::put_file(const std::string& bucket, const std::string& key, const std::string& path) {
  auto object = open_object(path);
  if (!object) fail("open '" + printable(path) + "'");
  install(bucket, key, std::move(object));
}

void ObjectStore::remove(const std::string& bucket, const std::string& key) {
  const std::lock_guard lock(mutex_);
  buckets_[bucket].objects.erase(key);
}

void ObjectStore::new_etag(const std::string& bucket, const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto place = buckets_.find(bucket);
  if (place == buckets_.end()) return;
  const auto found = place->second.objects.find(key);
  if (found == place->second.objects.end()) return;
  auto changed = std::make_shared<Object>();
  changed->fd = UniqueFd(::fcntl(found->second->fd.get(), F_DUPFD_CLOEXEC, 0));
  if (!changed->fd) fail("duplicate a descriptor");
  changed->size = found->second->size;
  changed->last_modified = std::time(nullptr);
  changed->etag = "\"version-" + std::to_string(++versions_) + "\"";
  found->second = std::move(changed);
}

std::optional<std::string> ObjectStore::region_of(const std::string& bucket) const {
  if (read_only()) {
    const std::string path = path_of(bucket, "");
    std::error_code error;
    return !path.empty() && fs::is_directory(path, error) ? std::optional(default_region_) : std::nullopt;
  }
  const std::lock_guard lock(mutex_);
  const auto found = buckets_.find(bucket);
  return found == buckets_.end() ? std::nullopt : std::optional(found->second.region);
}

std::shared_ptr<const Object> ObjectStore::find(const std::string& bucket, const std::string& key) const {
  if (key.empty()) return nullptr;
  if (read_only()) {
    const std::string path = path_of(bucket, key);
    return path.empty() ? nullptr : open_object(path);
  }
  const std::lock_guard lock(mutex_);
  const auto place = buckets_.find(bucket);
  if (place == buckets_.end()) return nullptr;
  const auto found = place->second.objects.find(key);
  return found == place->second.objects.end() ? nullptr : found->second;
}

std::vector<std::string> ObjectStore::buckets() const {
  std::vector<std::string> names;
  if (read_only()) {
    for (const auto& entry : fs::directory_iterator(root_))
      if (entry.is_directory()) names.push_back(entry.path().filename());
  } else {
    const std::lock_guard lock(mutex_);
    for (const auto& [bucket_name, bucket] : buckets_)
      names.push_back(bucket_name);
  }
  std::ranges::sort(names);
  return names;
}

std::vector<ObjectName> ObjectStore::list(const std::string& bucket) const {
  std::vector<ObjectName> names;
  if (read_only()) {
    const std::string top = path_of(bucket, "");
    if (top.empty()) return names;
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      const auto object = open_object(entry.path());
      if (object)
        names.push_back({entry.path().string().substr(top.size() + 1), object->size, object->etag,
                         object->last_modified});
    }
  } else {
    const std::lock_guard lock(mutex_);
    const auto place = buckets_.find(bucket);
    if (place == buckets_.end()) return names;
    for (const auto& [key, object] : place->second.objects)
      names.push_back({key, object->size, object->etag, object->last_modified});
  }
  std::ranges::sort(names, {}, &ObjectName::key);
  return names;
}

} // namespace tmpdump::test
