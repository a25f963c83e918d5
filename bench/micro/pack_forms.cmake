# SPDX-License-Identifier: Apache-2.0
# bench_pack_forms LEVEL FILE...: what other ways of packing would give (bench/README.md)
add_executable(bench_pack_forms pack_forms.cpp)
target_link_libraries(bench_pack_forms PRIVATE tmpdump::zstd tmpdump_flags)
