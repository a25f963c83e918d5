# cmake -DINPUTS=FILE -DOUTPUT=FILE -P RecordDigests.cmake, in the build folder: SHA-256 of each static library from elsewhere
# that the linker wrote into INPUTS (a Makefile's rule), as sha256sum prints it. A package that is replaced keeps
# its files' times, so that no build tool links anew: by these tools/layer sees what a program was really made of.
file(READ "${INPUTS}" rule)
string(REGEX REPLACE "\n\n.*" "" rule "${rule}")
string(REGEX MATCHALL "[^ \n:]+\\.a[ \n]" libraries "${rule}\n")
set(lines "")
foreach(library IN LISTS libraries)
  string(STRIP "${library}" library)
  get_filename_component(library "${library}" ABSOLUTE BASE_DIR "${CMAKE_BINARY_DIR}")
  string(FIND "${library}" "${CMAKE_BINARY_DIR}/" inside)
  if(inside EQUAL 0)
    continue()
  endif()
  file(SHA256 "${library}" digest)
  string(APPEND lines "${digest}  ${library}\n")
endforeach()
file(WRITE "${OUTPUT}" "${lines}")
