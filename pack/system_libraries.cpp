// SPDX-License-Identifier: Apache-2.0
// Sources, since no image could be looked into here: the packages that docker-library/official-images names
// for the images amazonlinux:2 and :2023; the package list of public.ecr.aws/lambda/python:3.12 (AL2023) in
// amazonlinux/amazon-linux-2023, issue 585, of which the part to "libblkid" was seen; outputs of ldd in
// Lambda in awslabs/aws-lambda-cpp, pull request 210 (AL2023), and lambgeo/docker-lambda, issue 34 (AL2: no
// libcurl and libxml2 in the managed runtimes, though the image has them); and the contents of the packages
// as Fedora, which AL2023 comes from, has them. What none of them shows is unsure.
#include "pack/system_libraries.h"

#include <algorithm>
#include <array>

namespace tmpdump::pack {

namespace {

constexpr auto yes = Presence::yes, no = Presence::no, unsure = Presence::unsure;

struct Row {
  std::string_view name;
  SystemLibrary library;
};

constexpr std::string_view jvm = "the Java runtime brings it";

constexpr std::array rows{
    // glibc: 2.26, 2.34
    Row{"ld-linux-x86-64.so.2", {yes, yes, {}}},
    Row{"ld-linux-aarch64.so.1", {yes, yes, {}}},
    Row{"libc.so.6", {yes, yes, {}}},
    Row{"libm.so.6", {yes, yes, {}}},
    Row{"libdl.so.2", {yes, yes, {}}},
    Row{"libpthread.so.0", {yes, yes, {}}},
    Row{"librt.so.1", {yes, yes, {}}},
    Row{"libutil.so.1", {yes, yes, {}}},
    Row{"libresolv.so.2", {yes, yes, {}}},
    Row{"libanl.so.1", {yes, yes, {}}},
    Row{"libmvec.so.1", {yes, yes, {}}},
    Row{"libthread_db.so.1", {yes, yes, {}}},
    Row{"libnsl.so.1", {unsure, no, "a package of its own since AL2023"}},
    Row{"libcrypt.so.1", {yes, unsure, "AL2023 has libcrypt.so.2"}},
    Row{"libcrypt.so.2", {no, yes, {}}},
    // GCC: 7.3, 11
    Row{"libgcc_s.so.1", {yes, yes, {}}},
    Row{"libstdc++.so.6", {yes, yes, "AL2's ends at GLIBCXX_3.4.24, AL2023's at 3.4.29"}},
    Row{"libgomp.so.1", {unsure, unsure, {}}},
    Row{"libatomic.so.1", {no, unsure, {}}},
    // others
    Row{"libz.so.1", {yes, yes, {}}},
    Row{"libcrypto.so.10", {yes, no, "OpenSSL 1.0.2"}},
    Row{"libssl.so.10", {yes, no, "OpenSSL 1.0.2"}},
    Row{"libcrypto.so.3", {no, yes, "OpenSSL 3"}},
    Row{"libssl.so.3", {no, yes, "OpenSSL 3"}},
    Row{"libcurl.so.4", {unsure, yes, "AL2: in the image, missing in managed runtimes"}},
    Row{"libxml2.so.2", {unsure, unsure, "AL2: in the image, missing in managed runtimes"}},
    Row{"libbz2.so.1", {unsure, yes, {}}},
    Row{"libexpat.so.1", {unsure, unsure, {}}},
    Row{"libffi.so.6", {unsure, no, {}}},
    Row{"libffi.so.8", {no, unsure, {}}},
    Row{"libglib-2.0.so.0", {unsure, yes, {}}},
    Row{"liblzma.so.5", {unsure, unsure, {}}},
    Row{"libuuid.so.1", {unsure, unsure, {}}},
    Row{"libzstd.so.1", {no, unsure, {}}},
    Row{"libjvm.so", {yes, yes, jvm}},
    Row{"libjava.so", {yes, yes, jvm}},
    Row{"libjawt.so", {unsure, unsure, jvm}},
};

} // namespace

SystemLibrary system_library(std::string_view name) {
  const auto* const found =
      std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.name == name; });
  return found == rows.end() ? SystemLibrary{} : found->library;
}

std::string_view to_string(Presence presence) {
  switch (presence) {
  case Presence::yes:
    return "yes";
  case Presence::no:
    return "no";
  case Presence::unsure:
    return "unsure";
  }
  return "no";
}

} // namespace tmpdump::pack
