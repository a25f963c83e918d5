// SPDX-License-Identifier: Apache-2.0
// Compresses one segment (proto/packed.md).
#pragma once

#include "base/bytes.h"
#include "base/error.h"
#include "zip/directory.h"

#include <memory>
#include <vector>

namespace tmpdump::pack {

using Buffer = std::vector<std::byte>;

// Used by one thread at a time. Deterministic: the same input gives the same bytes, whatever came before.
class Codec {
public:
  virtual ~Codec() = default;
  // `last`: of the file's segments; the only one of a file is its last.
  virtual result<Buffer> compress(Bytes segment, bool last) = 0;
};

// zstd: levels 1 to 22; deflate: 1 to 12 (libdeflate's).
std::unique_ptr<Codec> make_codec(zip::Method method, int level);

// Turns a whole deflate stream into one that another can follow: takes BFINAL off its last block and ends it
// at a byte with an empty stored block. Fails for what is no whole deflate stream.
result<void> make_continuable(Buffer& stream);

} // namespace tmpdump::pack
