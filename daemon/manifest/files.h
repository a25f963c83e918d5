// SPDX-License-Identifier: Apache-2.0
// DEST/.tmpdump and the manifest in it, as descriptors and mappings. Refuses what somebody else owns or may
// write.
#pragma once

#include "base/error.h"
#include "base/unique_fd.h"
#include "manifest_view.h"

#include <cstddef>
#include <string>
#include <utility>

namespace tmpdump::manifest {

// Owns a mapping. Not thread-safe, movable.
class Mapping {
public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : base_(std::exchange(other.base_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(base_, other.base_);
    std::swap(size_, other.size_);
    return *this;
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  static result<Mapping> map(int fd, std::size_t size, bool writable);

  [[nodiscard]] void* base() const { return base_; }
  [[nodiscard]] std::size_t size() const { return size_; }

private:
  void* base_ = nullptr;
  std::size_t size_ = 0;
};

struct Directories {
  UniqueFd destination; // O_PATH
  UniqueFd own;         // DEST/.tmpdump, O_PATH
};
// Opens both. No .tmpdump: Errc::not_found.
result<Directories> open_directories(const std::string& destination);

struct MappedManifest {
  Mapping mapping;
  tmpdump_view view{};
};
// An existing manifest, checked. Missing: Errc::not_found; damaged: Errc::io; untrusted: Errc::denied; all of
// them `lasting`, in contrast to a call that failed and says nothing about the file.
result<MappedManifest> map_manifest(int directory, const char* name, bool writable);

struct Claim {
  Directories directories;
  UniqueFd lock;
};
// The daemon's life: makes what is missing (.tmpdump with 0700) and takes the lock in it. Taken: Errc::io,
// somebody else works on the destination. The lock belongs to the open file description (F_OFD_SETLK): no
// other close() in this process releases it, an exec'd child does not inherit it (O_CLOEXEC), and the kernel
// lets go of it when the process dies, however it dies.
result<Claim> claim(const std::string& destination);
// Does anybody hold it?
bool lock_is_held(int directory);

} // namespace tmpdump::manifest
