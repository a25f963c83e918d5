# SPDX-License-Identifier: Apache-2.0
# bench_preload build/lib/libtmpdump-preload.so build/bin/exec-wrapper
if(TARGET tmpdump_preload)
  add_executable(bench_preload preload_bench.cpp)
  target_link_libraries(bench_preload PRIVATE tmpdump_manifest tmpdump_flags)
  add_dependencies(bench_preload tmpdump_preload exec-wrapper)
endif()
