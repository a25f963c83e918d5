# SPDX-License-Identifier: Apache-2.0
# Many more of what is drawn at random: ./dev test --nightly, which is ctest -C nightly -L nightly.
add_test(NAME prefetch_schedule_nightly CONFIGURATIONS nightly COMMAND prefetch_schedule_test)
set_tests_properties(prefetch_schedule_nightly PROPERTIES LABELS nightly TIMEOUT 7200 ENVIRONMENT TMPDUMP_SCHEDULES=10000)
if(NOT TMPDUMP_SANITIZE)
  add_test(NAME bench_invoke_nightly CONFIGURATIONS nightly
    COMMAND ${PROJECT_SOURCE_DIR}/dev bench invoke --quick)
  set_tests_properties(bench_invoke_nightly PROPERTIES LABELS nightly TIMEOUT 1800)
  add_test(NAME soak_nightly CONFIGURATIONS nightly
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/soak_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(soak_nightly PROPERTIES LABELS nightly TIMEOUT 7200 ENVIRONMENT TMPDUMP_SOAK_STARTS=2000)
endif()
