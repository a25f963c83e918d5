# tmpdump_module(NAME SOURCES...): the static library tmpdump_NAME of daemon/NAME.
# Headers are included as "NAME/file.h"; ctest's include_direction checks that includes point one way.
function(tmpdump_module name)
  add_library(tmpdump_${name} STATIC ${ARGN})
  target_include_directories(tmpdump_${name} PUBLIC ${PROJECT_SOURCE_DIR}/daemon ${PROJECT_SOURCE_DIR}/proto)
  target_link_libraries(tmpdump_${name} PRIVATE tmpdump_flags)
endfunction()

# tmpdump_link_inputs(TARGET): the linker writes down what it read, from which tools/layer knows the parts of others.
function(tmpdump_link_inputs target)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/link-inputs)
  target_link_options(${target} PRIVATE -Wl,--dependency-file=${PROJECT_BINARY_DIR}/link-inputs/${target}.d)
endfunction()

# tmpdump_program(NAME SOURCES...): an executable in build/bin, static in the release preset, installed.
function(tmpdump_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE tmpdump_flags)
  if(TMPDUMP_STATIC)
    # Position-independent: addresses are the kernel's choice. And exceptions find their tables by binary search, where
    # the start-up file of a merely static program registers .eh_frame as a whole, which the first exception then
    # sorts: some 10 ms of the network thread, and 300 KB for good. Relative relocations are packed: 600 KB less.
    target_link_options(${name} PRIVATE -static-pie -Wl,-z,pack-relative-relocs)
    tmpdump_link_inputs(${name})
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
