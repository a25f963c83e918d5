# Flags for the project's own targets; third-party headers are SYSTEM.
add_library(tmpdump_flags INTERFACE)
target_compile_options(tmpdump_flags INTERFACE
  -Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Werror -fno-omit-frame-pointer
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>
  $<$<CONFIG:RelWithDebInfo>:-g1>)
if(TMPDUMP_SANITIZE)
  target_compile_options(tmpdump_flags INTERFACE -fsanitize=${TMPDUMP_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(tmpdump_flags INTERFACE -fsanitize=${TMPDUMP_SANITIZE})
  # GCC 12 warns of what it can no longer follow through the instrumentation, in Boost's headers and in ours.
  target_compile_options(tmpdump_flags INTERFACE -Wno-maybe-uninitialized)
  if(TMPDUMP_SANITIZE MATCHES thread)
    # GCC warns that TSan does not model atomic_thread_fence; Asio's own uses are seq_cst around atomics, the client's
    # orders what the kernel read.
    target_compile_options(tmpdump_flags INTERFACE -Wno-tsan)
  endif()
  if(TMPDUMP_FUZZ)
    # Warnings are GCC's here. -O1: half the time to compile, and no bound is lost to an optimizer.
    target_compile_options(tmpdump_flags INTERFACE -w -O1 -fsanitize=fuzzer-no-link)
  endif()
else()
  # Each function for itself, so that the linker leaves out what nothing refers to: most of Asio, whole parts of libc.
  target_compile_options(tmpdump_flags INTERFACE -fstack-protector-strong -ffunction-sections -fdata-sections)
  target_link_options(tmpdump_flags INTERFACE -Wl,--gc-sections -Wl,-z,relro,-z,now,-z,noexecstack)
  if(CMAKE_SYSTEM_PROCESSOR STREQUAL x86_64)
    target_compile_options(tmpdump_flags INTERFACE -fcf-protection=full)
  endif()
  # Fortify needs an optimizer; debug builds have none.
  target_compile_options(tmpdump_flags INTERFACE
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE> $<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=3>)
endif()
# What is released does not tell where it was built: the same sources give the same bytes anywhere.
if(TMPDUMP_STATIC)
  target_compile_options(tmpdump_flags INTERFACE -ffile-prefix-map=${PROJECT_SOURCE_DIR}=.)
endif()
