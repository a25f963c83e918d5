# SPDX-License-Identifier: Apache-2.0
# The templates, linted and deployed into moto's AWS.
if(NOT TMPDUMP_SANITIZE)
  find_package(Python3 3.10 REQUIRED COMPONENTS Interpreter)
  add_test(NAME deploy_install COMMAND ${PROJECT_SOURCE_DIR}/tools/python-venv deploy)
  set_tests_properties(deploy_install PROPERTIES LABELS deploy TIMEOUT 1800 FIXTURES_SETUP deploy)
  add_test(NAME deploy COMMAND Python3::Interpreter ${CMAKE_CURRENT_LIST_DIR}/deploy/deploy_test.py ${PROJECT_BINARY_DIR})
  set_tests_properties(deploy PROPERTIES LABELS deploy TIMEOUT 600 FIXTURES_REQUIRED deploy)
endif()
