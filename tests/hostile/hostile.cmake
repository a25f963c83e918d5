# SPDX-License-Identifier: Apache-2.0
# `tmpdump fetch` on hostile archives, beside other programs. Everything takes minutes: that is for the night.
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
set(hostile Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/hostile_test.py $<TARGET_FILE:tmpdump>
  --check-table ${PROJECT_SOURCE_DIR}/docs/hostile-archives.md)
if(TMPDUMP_SANITIZE)
  add_test(NAME hostile COMMAND ${hostile} --sanitized --every 20)
  set_tests_properties(hostile PROPERTIES LABELS unit TIMEOUT 900)
else()
  add_test(NAME hostile COMMAND ${hostile} --every 5)
  set_tests_properties(hostile PROPERTIES LABELS hostile TIMEOUT 300)
  add_test(NAME hostile_nightly CONFIGURATIONS nightly COMMAND ${hostile})
  set_tests_properties(hostile_nightly PROPERTIES LABELS nightly TIMEOUT 7200)
endif()
