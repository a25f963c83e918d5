# SPDX-License-Identifier: Apache-2.0
# AWS's Lambda emulator, a real function, our extension: in namespaces, so as root or where users may make them.
find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
if(NOT TMPDUMP_SANITIZE AND TARGET tmpdump_java)
  set(e2e ${CMAKE_CURRENT_LIST_DIR})
  add_test(NAME e2e_install COMMAND ${e2e}/install.sh)
  set_tests_properties(e2e_install PROPERTIES LABELS e2e TIMEOUT 1800 FIXTURES_SETUP e2e)
  add_test(NAME e2e_timeline COMMAND Python3::Interpreter -m unittest -q timeline_test WORKING_DIRECTORY ${e2e})
  foreach(story init failure java make snapstart unaware)
    add_test(NAME e2e_${story} COMMAND Python3::Interpreter ${e2e}/${story}_test.py ${PROJECT_BINARY_DIR})
    set_tests_properties(e2e_${story} PROPERTIES
      LABELS e2e TIMEOUT 300 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED e2e)
  endforeach()
  set_tests_properties(e2e_unaware PROPERTIES TIMEOUT 900) # ten starts of a runtime
endif()
