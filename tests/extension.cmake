# SPDX-License-Identifier: Apache-2.0
# The program tmpdump-prefetch against a scripted Extensions API and an S3 on loopback.
tmpdump_test(prefetch_cancel prefetch_cancel_test.cpp support/pipeline.cpp support/archive.cpp support/tree.cpp
  tmpdump_prefetch tmpdump_fake_s3 tmpdump_zip_builder)

if(NOT TMPDUMP_SANITIZE)
  find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
  # As the static one, but with a libc whose clock a test can move.
  add_executable(prefetch_dynamic ${PROJECT_SOURCE_DIR}/daemon/lambda/main.cpp)
  target_link_libraries(prefetch_dynamic PRIVATE tmpdump_lambda tmpdump_flags)
  add_library(clock_jump MODULE support/clock_jump.c)
  set_target_properties(clock_jump PROPERTIES PREFIX "")
  target_link_libraries(clock_jump PRIVATE tmpdump_flags)
  add_executable(fault_injector faults/injector.c)
  target_link_libraries(fault_injector PRIVATE tmpdump_flags)
  foreach(story extension faults idle places reinit secrets snapstart soak trust waiters)
    add_test(NAME ${story}
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/${story}_test.py ${PROJECT_BINARY_DIR})
    set_tests_properties(${story} PROPERTIES LABELS extension TIMEOUT 300 SKIP_RETURN_CODE 77)
  endforeach()
  if(TMPDUMP_STATIC)
    add_test(NAME hardening
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/hardening_test.py ${PROJECT_BINARY_DIR})
    add_test(NAME static
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/static_test.py ${PROJECT_BINARY_DIR})
    set_tests_properties(static PROPERTIES LABELS extension TIMEOUT 300 SKIP_RETURN_CODE 77)
  endif()
else()
  # The program with sanitizers in the same stories. What is around it (origin, the waiters' library) is the release build's:
  # Python loads no library that was built with them. Its end looks for leaks, and has the time for it: leaks_test.py.
  find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
  target_sources(tmpdump-prefetch PRIVATE ${CMAKE_CURRENT_LIST_DIR}/support/time_for_leaks.c)
  foreach(story extension faults idle places reinit snapstart soak trust waiters)
    add_test(NAME ${story}
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/${story}_test.py ${PROJECT_SOURCE_DIR}/build)
    set_tests_properties(${story} PROPERTIES LABELS unit TIMEOUT 900 SKIP_RETURN_CODE 77
      ENVIRONMENT "TMPDUMP_SANITIZED=$<TARGET_FILE:tmpdump-prefetch>")
  endforeach()
  if(TMPDUMP_SANITIZE MATCHES address)
    add_library(forgets MODULE support/forgets.c) # without sanitizers: what loads it has them
    set_target_properties(forgets PROPERTIES PREFIX "")
    add_test(NAME leaks
      COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/leaks_test.py ${PROJECT_SOURCE_DIR}/build)
    set_tests_properties(leaks PROPERTIES LABELS unit TIMEOUT 300
      ENVIRONMENT "TMPDUMP_SANITIZED=$<TARGET_FILE:tmpdump-prefetch>;TMPDUMP_FORGETS=$<TARGET_FILE:forgets>")
  endif()
endif()
