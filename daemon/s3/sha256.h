// SPDX-License-Identifier: Apache-2.0
// The two primitives of Signature Version 4, from OpenSSL.
#pragma once

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace tmpdump::s3 {

using Digest = std::array<unsigned char, 32>;

inline std::string_view view(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

// SHA-256 and HMAC over one reused OpenSSL context: a context and a fetch per call would cost more than the
// hashing (OpenSSL 3). A failure here is a broken libcrypto or no memory: nothing could be signed, ever.
class Hasher {
public:
  Hasher() : context_(EVP_MD_CTX_new()) { require(context_ != nullptr); }
  Hasher(const Hasher&) = delete;
  Hasher& operator=(const Hasher&) = delete;
  ~Hasher() { EVP_MD_CTX_free(context_); } // overwrites its state

  Digest sha256(std::string_view first, std::string_view second = {}) {
    static const EVP_MD* const implementation = fetch();
    Digest digest;
    require(implementation != nullptr && EVP_DigestInit_ex2(context_, implementation, nullptr) == 1 &&
            EVP_DigestUpdate(context_, first.data(), first.size()) == 1 &&
            EVP_DigestUpdate(context_, second.data(), second.size()) == 1 &&
            EVP_DigestFinal_ex(context_, digest.data(), nullptr) == 1);
    return digest;
  }

  // RFC 2104, with a block of 64 bytes.
  Digest hmac(std::string_view key, std::string_view text) {
    Digest short_key;
    if (key.size() > block_size) {
      short_key = sha256(key);
      key = view(short_key);
    }
    std::array<char, block_size> pad{};
    std::copy(key.begin(), key.end(), pad.begin());
    for (char& byte : pad)
      byte = static_cast<char>(byte ^ 0x36);
    const Digest inner = sha256({pad.data(), pad.size()}, text);
    for (char& byte : pad)
      byte = static_cast<char>(byte ^ 0x36 ^ 0x5c);
    const Digest outer = sha256({pad.data(), pad.size()}, view(inner));
    OPENSSL_cleanse(pad.data(), pad.size());
    return outer;
  }

private:
  static constexpr std::size_t block_size = 64; // bytes, FIPS 180-4
  // The first use of libcrypto in most runs. The machine's openssl.cnf is not ours: see net/tls_context.cpp.
  static const EVP_MD* fetch() {
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, nullptr);
    return EVP_MD_fetch(nullptr, "SHA256", nullptr);
  }
  static void require(bool worked) {
    if (worked) return;
    (void)std::fputs("tmpdump: libcrypto cannot compute SHA-256\n", stderr);
    std::abort();
  }
  EVP_MD_CTX* context_;
};

} // namespace tmpdump::s3
