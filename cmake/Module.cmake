# tmpdump_module(NAME SOURCES...): the static library tmpdump_NAME of daemon/NAME.
# Headers are included as "NAME/file.h"; ctest's include_direction checks that includes point one way.
function(tmpdump_module name)
  add_library(tmpdump_${name} STATIC ${ARGN})
  target_include_directories(tmpdump_${name} PUBLIC ${PROJECT_SOURCE_DIR}/daemon ${PROJECT_SOURCE_DIR}/proto)
  target_link_libraries(tmpdump_${name} PRIVATE tmpdump_flags)
endfunction()

# tmpdump_program(NAME SOURCES...): an executable in build/bin, static in the release preset, installed.
function(tmpdump_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE tmpdump_flags)
  if(TMPDUMP_STATIC)
    target_link_options(${name} PRIVATE -static)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
