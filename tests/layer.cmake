# SPDX-License-Identifier: Apache-2.0
# The layer: what is in it, that a function needs nothing else, the templates that publish and use it; the documents.
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)

# What tools/layer takes from a build.
if(TARGET tmpdump_preload AND TARGET tmpdump_java)
  add_custom_target(layer_parts DEPENDS tmpdump tmpdump-prefetch exec-wrapper tmpdump_client tmpdump_preload tmpdump_java)
endif()

# For arm64 under qemu: where bytes and atomics could differ. ./dev arm64 runs all that are C++.
if(CMAKE_CROSSCOMPILING)
  set(chosen base cpu zip decode elf_needed manifest client_wait client_use client_death client_hostile sigv4 wrapper)
  list(TRANSFORM chosen APPEND _test OUTPUT_VARIABLE programs)
  add_custom_target(arm64_tests DEPENDS ${programs})
  set_property(TEST ${chosen} APPEND PROPERTY LABELS arm64)
  set_tests_properties(${chosen} PROPERTIES TIMEOUT 900)
  get_property(all DIRECTORY PROPERTY BUILDSYSTEM_TARGETS)
  list(FILTER all INCLUDE REGEX "_test$")
  add_custom_target(arm64_all DEPENDS ${all} variant_x86-64)

  # The origin is this machine's own, from the release build.
  # (By its path: of a target ctest would think that it is to be emulated too.)
  add_test(NAME arm64_fetch COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/arm64_fetch_test.py
    ${PROJECT_SOURCE_DIR}/build/bin/tmpdump-origin ${PROJECT_BINARY_DIR} ${TMPDUMP_QEMU})
  set_tests_properties(arm64_fetch PROPERTIES LABELS arm64 TIMEOUT 300)
  # The shim under qemu beside a daemon of this machine: they share a manifest's memory. A program that another one starts
  # would not run under qemu, and Python and a JVM are this machine's.
  add_dependencies(arm64_tests tmpdump_preload preload_probe preload_static leaf branch caller)
  add_test(NAME arm64_preload COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_LIST_DIR}/preload_test.py
    $<TARGET_FILE:tmpdump_preload> ${PROJECT_SOURCE_DIR}/build/bin/manifest_daemon ${libraries}
    ${PROJECT_BINARY_DIR}/bin/preload_probe ${PROJECT_BINARY_DIR}/bin/preload_static
    WaitTest SearchTest TransparentTest FailureTest ProcessTest.test_many_threads ProcessTest.test_a_forked_child)
  set_tests_properties(arm64_preload PROPERTIES LABELS arm64 TIMEOUT 600
    ENVIRONMENT "TMPDUMP_EMULATOR=${TMPDUMP_QEMU} -L /usr/aarch64-linux-gnu")
  return()
endif()

if(TMPDUMP_STATIC AND TARGET tmpdump_java)
  set(layers x86_64)
  if(CMAKE_HOST_SYSTEM_PROCESSOR STREQUAL x86_64)
    list(APPEND layers arm64) # from build/layer-arm64, which ./dev test and ./dev layer make
  else()
    set(layers arm64)
  endif()
  add_test(NAME layer_make COMMAND ${PROJECT_SOURCE_DIR}/tools/layer ${layers})
  set_tests_properties(layer_make PROPERTIES LABELS layer TIMEOUT 300 FIXTURES_SETUP layer)
  add_test(NAME layer COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/layer_test.py ${PROJECT_BINARY_DIR} ${layers})
  set_tests_properties(layer PROPERTIES LABELS layer TIMEOUT 600 FIXTURES_REQUIRED layer)
  add_test(NAME e2e_layer COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/e2e/layer_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(e2e_layer PROPERTIES LABELS e2e TIMEOUT 300 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED "e2e;layer")

  add_test(NAME deploy_install COMMAND ${PROJECT_SOURCE_DIR}/tools/python-venv deploy)
  set_tests_properties(deploy_install PROPERTIES LABELS deploy TIMEOUT 1800 FIXTURES_SETUP deploy)
  add_test(NAME deploy COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/deploy/deploy_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(deploy PROPERTIES LABELS deploy TIMEOUT 600 FIXTURES_REQUIRED "deploy;layer")

  add_test(NAME docs COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/docs_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(docs PROPERTIES LABELS docs TIMEOUT 300 ENVIRONMENT "TMPDUMP_PYTHON=${TMPDUMP_PYTHON}")
  add_test(NAME workflows COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/workflows_test.py)
  set_tests_properties(workflows PROPERTIES LABELS docs TIMEOUT 900)
endif()
