# SPDX-License-Identifier: Apache-2.0
# pack/: its pure parts, and the program as a person on a build machine uses it.
tmpdump_test(pack_parts pack/parts_test.cpp pack/zip_writer_test.cpp tmpdump_pack tmpdump_zip_builder tmpdump_zip_reader ZLIB::ZLIB
  tmpdump::zstd)
target_compile_definitions(pack_parts_test PRIVATE TMPDUMP_JAVACPP_LOG="${CMAKE_CURRENT_LIST_DIR}/pack/javacpp_debug.log")

find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
foreach(story pack archive)
  add_test(NAME pack_${story} COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/pack/${story}_test.py)
  set_tests_properties(pack_${story} PROPERTIES TIMEOUT 600 LABELS unit
    ENVIRONMENT "TMPDUMP_PROGRAM=$<TARGET_FILE:tmpdump>;TMPDUMP_ORIGIN=$<TARGET_FILE:tmpdump-origin>")
endforeach()
if(NOT TMPDUMP_SANITIZE) # whose shadow memory counts
  add_test(NAME pack_memory COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/pack/memory_test.py)
  set_tests_properties(pack_memory PROPERTIES TIMEOUT 300 LABELS system
    ENVIRONMENT "TMPDUMP_PROGRAM=$<TARGET_FILE:tmpdump>;TMPDUMP_ORIGIN=$<TARGET_FILE:tmpdump-origin>")
endif()
