# SPDX-License-Identifier: Apache-2.0
add_executable(bench_client client_bench.cpp)
target_include_directories(bench_client PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(bench_client PRIVATE tmpdump_client_static tmpdump_manifest tmpdump_flags Threads::Threads)
