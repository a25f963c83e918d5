# SPDX-License-Identifier: Apache-2.0
# Toolchain: Debian's cross compiler, and Debian's arm64 packages unpacked by tools/arm64-sysroot (TMPDUMP_ARM64_SYSROOT).
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)

list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES TMPDUMP_ARM64_SYSROOT)
if(NOT EXISTS "${TMPDUMP_ARM64_SYSROOT}/usr/include")
  message(FATAL_ERROR "TMPDUMP_ARM64_SYSROOT='${TMPDUMP_ARM64_SYSROOT}' has no usr/include: ./dev layer arm64 sets it by tools/arm64-sysroot")
endif()
set(CMAKE_FIND_ROOT_PATH ${TMPDUMP_ARM64_SYSROOT})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# opensslconf.h and its like depend on the architecture. The place of the packages does not show in what is built.
foreach(language C CXX)
  set(CMAKE_${language}_FLAGS_INIT
    "-isystem ${TMPDUMP_ARM64_SYSROOT}/usr/include/aarch64-linux-gnu -ffile-prefix-map=${TMPDUMP_ARM64_SYSROOT}=")
endforeach()
# Static programs take libc and libstdc++ from there too; the loader's and the shared ones are the cross compiler's.
set(TMPDUMP_STATIC_LINK_OPTIONS
  -B${TMPDUMP_ARM64_SYSROOT}/usr/lib/gcc/aarch64-linux-gnu/12/ -B${TMPDUMP_ARM64_SYSROOT}/usr/lib/aarch64-linux-gnu/)

# ctest runs the programs of tests so; the loader and libstdc++ are the cross compiler's.
find_program(TMPDUMP_QEMU NAMES qemu-aarch64-static qemu-aarch64)
if(TMPDUMP_QEMU)
  set(CMAKE_CROSSCOMPILING_EMULATOR ${TMPDUMP_QEMU} -L /usr/aarch64-linux-gnu)
endif()
