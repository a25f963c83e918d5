# Not Catch2's: it reads an archive, and interleaves the engines.
add_executable(bench_inflate inflate_bench.cpp)
target_link_libraries(bench_inflate PRIVATE tmpdump_decode tmpdump_zip ${deflate_LIBRARY} tmpdump_flags)
