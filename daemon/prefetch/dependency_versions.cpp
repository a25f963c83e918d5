// SPDX-License-Identifier: Apache-2.0
#include "prefetch/dependency_versions.h"

#include <boost/version.hpp>

#include <ares.h>
#include <openssl/crypto.h>
#include <zlib.h>
#include <zstd.h>

#include <gnu/libc-version.h>
#ifdef TMPDUMP_HAVE_ISAL
#include <isa-l.h>
#endif

namespace tmpdump::prefetch {

std::string dependency_versions() {
  std::string out;
  const auto add = [&out](const char* name, const std::string& version) {
    if (!out.empty()) out.append(", ");
    out.append(name).append(" ").append(version);
  };
  add("Boost", std::to_string(BOOST_VERSION / 100000) + "." + std::to_string(BOOST_VERSION / 100 % 1000) +
                   "." + std::to_string(BOOST_VERSION % 100));
  add("OpenSSL", OpenSSL_version(OPENSSL_VERSION_STRING));
  add("c-ares", ares_version(nullptr));
#ifdef TMPDUMP_HAVE_ISAL
  add("ISA-L", std::to_string(ISAL_MAJOR_VERSION) + "." + std::to_string(ISAL_MINOR_VERSION) + "." +
                   std::to_string(ISAL_PATCH_VERSION));
#endif
  add("zlib", zlibVersion());
  add("zstd", ZSTD_versionString());
  add("glibc", ::gnu_get_libc_version());
  add("GCC", __VERSION__); // whose libstdc++ and libgcc these are
  return out;
}

} // namespace tmpdump::prefetch
