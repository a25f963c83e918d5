# Everything is a Debian 12 package; ./dev installs them. Static where the executables are.
if(TMPDUMP_STATIC)
  set(OPENSSL_USE_STATIC_LIBS ON)
  set(Boost_USE_STATIC_LIBS ON)
  set(ZLIB_USE_STATIC_LIBS ON)
  set(CMAKE_FIND_LIBRARY_SUFFIXES .a)
endif()
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
find_package(OpenSSL 3.0 REQUIRED)
find_package(ZLIB REQUIRED)

# find_path + find_library for libraries whose Debian packages carry no CMake config.
function(tmpdump_find name header library)
  find_path(${name}_INCLUDE ${header} REQUIRED ${ARGN})
  find_library(${name}_LIBRARY ${library} REQUIRED ${ARGN})
  add_library(tmpdump::${name} UNKNOWN IMPORTED)
  set_target_properties(tmpdump::${name} PROPERTIES
    IMPORTED_LOCATION ${${name}_LIBRARY}
    INTERFACE_INCLUDE_DIRECTORIES ${${name}_INCLUDE})
endfunction()
tmpdump_find(cares ares.h cares)
tmpdump_find(zstd zstd.h zstd)
# By path, not by search: another TMPDUMP_ISAL_ROOT must not meet the cached result of the last one.
if(TMPDUMP_ISAL_ROOT)
  if(NOT EXISTS ${TMPDUMP_ISAL_ROOT}/lib/libisal.a OR NOT EXISTS ${TMPDUMP_ISAL_ROOT}/include/isa-l.h)
    message(FATAL_ERROR "No static ISA-L in TMPDUMP_ISAL_ROOT=${TMPDUMP_ISAL_ROOT}: run tools/build-isal")
  endif()
  add_library(tmpdump::isal STATIC IMPORTED)
  set_target_properties(tmpdump::isal PROPERTIES
    IMPORTED_LOCATION ${TMPDUMP_ISAL_ROOT}/lib/libisal.a
    INTERFACE_INCLUDE_DIRECTORIES ${TMPDUMP_ISAL_ROOT}/include)
endif()

# Asio and Beast compiled once (daemon/net), not in every translation unit that includes them.
add_library(tmpdump_boost_flags INTERFACE)
target_link_libraries(tmpdump_boost_flags INTERFACE Boost::headers Threads::Threads)
target_compile_definitions(tmpdump_boost_flags INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_HAS_CO_AWAIT)
# GCC 12 takes an inlined coroutine frame's operator new and delete for a mismatch (its bug 103993).
target_compile_options(tmpdump_boost_flags INTERFACE
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:-Wno-mismatched-new-delete>)
