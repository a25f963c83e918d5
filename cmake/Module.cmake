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
    # A static program's start-up file registers .eh_frame as a whole, which the first exception then sorts: some 10 ms
    # of the network thread, and 300 KB for good. With the table in the file and those calls left out (the references
    # are weak, and nothing has the wrapped names) it is looked up as in a dynamic program.
    target_link_options(${name} PRIVATE -static -Wl,--eh-frame-hdr
      -Wl,--wrap=__register_frame_info -Wl,--wrap=__deregister_frame_info)
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
