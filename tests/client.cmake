# SPDX-License-Identifier: Apache-2.0
# libtmpdump's tests: from C++ (static, with its internals), and from C, Python and Java (the shared library).
foreach(story wait use death hostile threads truncation)
  tmpdump_test(client_${story} client_${story}_test.cpp tmpdump_client_static tmpdump_manifest Threads::Threads)
endforeach()

# The shim's own parts, without what they would interpose.
set(shim ${PROJECT_SOURCE_DIR}/client/preload)
target_sources(client_threads_test PRIVATE ${shim}/shim.c ${shim}/search.c ${shim}/where.c)
set_source_files_properties(${shim}/shim.c ${shim}/search.c ${shim}/where.c PROPERTIES COMPILE_DEFINITIONS _GNU_SOURCE)
target_include_directories(client_threads_test PRIVATE ${PROJECT_SOURCE_DIR}/client ${PROJECT_SOURCE_DIR}/proto)
target_link_options(client_threads_test PRIVATE -Wl,--push-state,--no-as-needed,-l:libdl.so.2,--pop-state)
set_tests_properties(client_threads PROPERTIES ENVIRONMENT "TMPDUMP_DEST=${CMAKE_CURRENT_BINARY_DIR}/shim-destination")

add_executable(manifest_daemon support/manifest_daemon.cpp)
target_link_libraries(manifest_daemon PRIVATE tmpdump_manifest tmpdump_test_main tmpdump_flags)
add_executable(client_c_test client_test.c)
target_link_libraries(client_c_test PRIVATE tmpdump_client tmpdump_flags Threads::Threads)
add_test(NAME client_c COMMAND client_c_test $<TARGET_FILE:manifest_daemon>)
set_tests_properties(client_c PROPERTIES LABELS unit)

# What a process without sanitizers loads cannot be built with them.
if(NOT TMPDUMP_SANITIZE)
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  add_test(NAME client_abi COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/client_abi.py
    $<TARGET_FILE:tmpdump_client> ${PROJECT_SOURCE_DIR}/client/tmpdump.h)
  add_test(NAME client_ctypes COMMAND Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/client_ctypes.py
    $<TARGET_FILE:tmpdump_client> $<TARGET_FILE:manifest_daemon>)
  add_test(NAME client_install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/check.sh
    ${PROJECT_BINARY_DIR} ${CMAKE_INSTALL_LIBDIR} ${CMAKE_C_COMPILER})
  add_test(NAME install COMMAND ${CMAKE_CURRENT_SOURCE_DIR}/install/programs.sh ${PROJECT_BINARY_DIR})
  find_program(TMPDUMP_JAVA java)
  if(TARGET tmpdump_java AND TMPDUMP_JAVA)
    set(classes ${CMAKE_CURRENT_BINARY_DIR}/java)
    add_custom_command(OUTPUT ${classes}/ClientTest.class
      COMMAND ${TMPDUMP_JAVAC} --release 8 -Xlint:-options -encoding UTF-8 -cp ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/tmpdump.jar
        -d ${classes} ${CMAKE_CURRENT_SOURCE_DIR}/java/ClientTest.java
      DEPENDS java/ClientTest.java tmpdump_java ${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/tmpdump.jar VERBATIM)
    add_custom_target(client_java_test ALL DEPENDS ${classes}/ClientTest.class)
    add_test(NAME client_java COMMAND ${TMPDUMP_JAVA} -Xcheck:jni -Dtmpdump.library=$<TARGET_FILE:tmpdump_client>
      -cp ${classes}:${CMAKE_LIBRARY_OUTPUT_DIRECTORY}/tmpdump.jar ClientTest $<TARGET_FILE:manifest_daemon>)
    set_tests_properties(client_java PROPERTIES
      ENVIRONMENT "TMPDUMP_DEST=${CMAKE_CURRENT_BINARY_DIR}/java-destination;LC_ALL=C.UTF-8")
  endif()
endif()

# That each test's end looks for leaks: this one has some.
if(TMPDUMP_SANITIZE MATCHES address)
  add_executable(leaks support/leaks.c)
  target_link_libraries(leaks PRIVATE tmpdump_flags)
  add_test(NAME leaks_are_errors COMMAND leaks)
  set_tests_properties(leaks_are_errors PROPERTIES LABELS unit PASS_REGULAR_EXPRESSION "detected memory leaks")
endif()
