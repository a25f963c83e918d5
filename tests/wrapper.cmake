# SPDX-License-Identifier: Apache-2.0
# The exec wrapper: what it makes of a command, and the program with a real loader and a real JVM.
tmpdump_test(wrapper wrapper_test.cpp tmpdump_wrapper)

# Libraries that really load; an archive's content, so not built with sanitizers.
set(libraries ${CMAKE_CURRENT_BINARY_DIR}/libraries)
function(tmpdump_loadable name source) # [DEFINITION]...
  add_library(${name} SHARED ${source})
  target_compile_definitions(${name} PRIVATE ${ARGN})
  set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY ${libraries}
    BUILD_WITH_INSTALL_RPATH ON INSTALL_RPATH "$ORIGIN")
endfunction()
tmpdump_loadable(leaf preload/leaf.c TEST_ANSWER=42)
tmpdump_loadable(branch preload/branch.c)
target_link_libraries(branch PRIVATE leaf)
tmpdump_loadable(addon preload/addon.c)
target_link_libraries(addon PRIVATE leaf)
set_target_properties(addon PROPERTIES PREFIX "" SUFFIX ".node")

if(NOT TMPDUMP_SANITIZE MATCHES thread) # it has one
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  add_test(NAME wrapper_program COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/wrapper_test.py
    $<TARGET_FILE:exec-wrapper> $<TARGET_FILE:manifest_daemon> ${libraries})
  set_tests_properties(wrapper_program PROPERTIES TIMEOUT 300)
  if(TMPDUMP_SANITIZE)
    set_tests_properties(wrapper_program PROPERTIES LABELS unit)
  endif()
endif()

# The preload shim in programs that know nothing of it.
if(TARGET tmpdump_preload)
  tmpdump_loadable(caller preload/caller.c)
  set_target_properties(caller PROPERTIES INSTALL_RPATH "$ORIGIN/inner")
  tmpdump_loadable(joiner preload/joiner.c)
  add_executable(preload_probe preload/probe.c)
  target_compile_definitions(preload_probe PRIVATE _GNU_SOURCE)
  set_target_properties(preload_probe PROPERTIES SKIP_BUILD_RPATH ON)
  add_executable(preload_static preload/still.c)
  target_link_options(preload_static PRIVATE -static)
  add_test(NAME preload_abi COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/client_abi.py
    $<TARGET_FILE:tmpdump_preload> ${PROJECT_SOURCE_DIR}/client/preload/preload.map)
  add_test(NAME preload COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/preload_test.py
    $<TARGET_FILE:tmpdump_preload> $<TARGET_FILE:manifest_daemon> ${libraries} $<TARGET_FILE:preload_probe>
    $<TARGET_FILE:preload_static>)
  set_tests_properties(preload PROPERTIES TIMEOUT 300)
endif()
