# tmpdump_module(NAME SOURCES...): the static library tmpdump_NAME of daemon/NAME.
# Headers are included as "NAME/file.h"; ctest's include_direction checks that includes point one way.
function(tmpdump_module name)
  add_library(tmpdump_${name} STATIC ${ARGN})
  target_include_directories(tmpdump_${name} PUBLIC ${PROJECT_SOURCE_DIR}/daemon ${PROJECT_SOURCE_DIR}/proto)
  target_link_libraries(tmpdump_${name} PRIVATE tmpdump_flags)
endfunction()

# tmpdump_link_inputs(TARGET), of a static program: the linker writes down what it read, from which tools/layer knows the parts
# of others, and what was in it. TMPDUMP_STATIC_LINK_OPTIONS says where a cross compiler finds the other machine's.
function(tmpdump_link_inputs target)
  set(inputs ${PROJECT_BINARY_DIR}/link-inputs/${target})
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/link-inputs)
  target_link_options(${target} PRIVATE ${TMPDUMP_STATIC_LINK_OPTIONS} -Wl,--dependency-file=${inputs}.d)
  add_custom_command(TARGET ${target} POST_BUILD WORKING_DIRECTORY ${PROJECT_BINARY_DIR} VERBATIM
    COMMAND ${CMAKE_COMMAND} -DINPUTS=${inputs}.d -DOUTPUT=${inputs}.sha256 -P ${PROJECT_SOURCE_DIR}/cmake/RecordDigests.cmake)
endfunction()

# Not every linker of Debian 12 can pack relative relocations: the one for arm64 cannot.
include(CheckLinkerFlag)
check_linker_flag(CXX -Wl,--fatal-warnings,-z,pack-relative-relocs TMPDUMP_PACKS_RELOCATIONS)

# tmpdump_program(NAME SOURCES...): an executable in build/bin, static in the release preset, installed.
function(tmpdump_program name)
  add_executable(${name} ${ARGN})
  target_link_libraries(${name} PRIVATE tmpdump_flags)
  if(TMPDUMP_STATIC)
    # Position-independent: addresses are the kernel's choice. And exceptions find their tables by binary search, where
    # the start-up file of a merely static program registers .eh_frame as a whole, which the first exception then
    # sorts: some 10 ms of the network thread, and 300 KB for good. Relative relocations are packed: 600 KB less.
    target_link_options(${name} PRIVATE -static-pie)
    if(TMPDUMP_PACKS_RELOCATIONS)
      target_link_options(${name} PRIVATE -Wl,-z,pack-relative-relocs)
    endif()
    tmpdump_link_inputs(${name})
  endif()
  install(TARGETS ${name} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endfunction()
