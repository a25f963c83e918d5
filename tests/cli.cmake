# SPDX-License-Identifier: Apache-2.0
# `tmpdump wait` and `tmpdump status`: their texts, and the program beside a daemon that obeys the test. `tmpdump fetch`
# beside an origin.
tmpdump_test(cli_status cli_status_test.cpp tmpdump_cli Boost::json)
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME cli_wait_status COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/cli_wait_status_test.py
  $<TARGET_FILE:tmpdump> $<TARGET_FILE:manifest_daemon>)
set_tests_properties(cli_wait_status PROPERTIES TIMEOUT 300 LABELS unit)
add_test(NAME cli_fetch COMMAND ${tmpdump_python} ${CMAKE_CURRENT_SOURCE_DIR}/cli_fetch_test.py
  $<TARGET_FILE:tmpdump> $<TARGET_FILE:tmpdump-origin>)
set_tests_properties(cli_fetch PROPERTIES TIMEOUT 300 LABELS unit)
