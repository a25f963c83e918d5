# SPDX-License-Identifier: Apache-2.0
# Many more of what is drawn at random: ./dev test --nightly, which is ctest -C nightly -L nightly.
add_test(NAME prefetch_schedule_nightly CONFIGURATIONS nightly COMMAND prefetch_schedule_test)
set_tests_properties(prefetch_schedule_nightly PROPERTIES LABELS nightly TIMEOUT 7200 ENVIRONMENT TMPDUMP_SCHEDULES=10000)
if(NOT TMPDUMP_SANITIZE)
  add_test(NAME bench_invoke_nightly CONFIGURATIONS nightly
    COMMAND ${PROJECT_SOURCE_DIR}/dev bench invoke --quick)
  set_tests_properties(bench_invoke_nightly PROPERTIES LABELS nightly TIMEOUT 1800)
  add_test(NAME faults_nightly CONFIGURATIONS nightly
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/faults_test.py ${PROJECT_BINARY_DIR} --all)
  set_tests_properties(faults_nightly PROPERTIES LABELS nightly TIMEOUT 7200 SKIP_RETURN_CODE 77)
  # At the level that README's command has, and the layer's programs compiled a second time.
  add_test(NAME e2e_make_nightly CONFIGURATIONS nightly
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/e2e/make_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(e2e_make_nightly PROPERTIES LABELS nightly TIMEOUT 1800 FIXTURES_REQUIRED e2e ENVIRONMENT TMPDUMP_NIGHTLY=1)
  if(TEST layer_make)
    add_test(NAME layer_nightly CONFIGURATIONS nightly
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/layer_test.py ${PROJECT_BINARY_DIR} ${layers})
    set_tests_properties(layer_nightly PROPERTIES LABELS nightly TIMEOUT 3600 FIXTURES_REQUIRED layer ENVIRONMENT TMPDUMP_REBUILD=all)
  endif()
  add_test(NAME soak_nightly CONFIGURATIONS nightly
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/soak_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(soak_nightly PROPERTIES LABELS nightly TIMEOUT 7200 ENVIRONMENT TMPDUMP_SOAK_STARTS=2000)
endif()
find_program(TMPDUMP_VALGRIND valgrind) # tools/install-packages nightly
if(TMPDUMP_VALGRIND AND NOT TMPDUMP_SANITIZE)
  # As the released one, but with a libc that valgrind knows.
  add_executable(tmpdump_dynamic ${PROJECT_SOURCE_DIR}/daemon/cli/main.cpp ${PROJECT_SOURCE_DIR}/pack/command_line.cpp)
  target_include_directories(tmpdump_dynamic SYSTEM PRIVATE ${TMPDUMP_CLI11_INCLUDE})
  target_link_libraries(tmpdump_dynamic PRIVATE tmpdump_cli tmpdump_pack tmpdump_flags)
  add_test(NAME memcheck_nightly CONFIGURATIONS nightly
    COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/faults/memcheck.py ${PROJECT_BINARY_DIR} ${TMPDUMP_VALGRIND})
  set_tests_properties(memcheck_nightly PROPERTIES LABELS nightly TIMEOUT 600)
endif()
