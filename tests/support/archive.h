// SPDX-License-Identifier: Apache-2.0
// An archive that a test describes entry by entry, together with the tree that it must become.
#pragma once

#include "support/tree.h"
#include "support/zip_builder.h"

#include <cstdint>
#include <string>

namespace tmpdump::test {

// Incompressible, and the same for the same seed.
std::string noise(std::size_t size, std::uint64_t seed = 1);
// Compresses to about a quarter.
std::string prose(std::size_t size, std::uint64_t seed = 1);

class Archive {
public:
  Archive& file(const std::string& name, const std::string& content, const ZipOptions& options = {});
  // Stored, so that its bytes lie in the archive as they are.
  Archive& stored(const std::string& name, const std::string& content) {
    return file(name, content, {.method = 0});
  }
  Archive& directory(const std::string& name, mode_t mode = 0755);
  Archive& symlink(const std::string& name, const std::string& target);

  ZipBuilder builder; // for what has no verb here
  [[nodiscard]] BuiltZip zip() const { return builder.build(); }
  [[nodiscard]] Tree tree() const { return with_parents(tree_); }

private:
  Tree tree_;
};

} // namespace tmpdump::test
