# Writes OUTPUT, a source file that defines BuildId(), from VERSION, MODE and the sources below SOURCE_DIR. Run at every
# build; touches the file only if something changed.
# SPDX-License-Identifier: Apache-2.0
set(digests "")
foreach(folder base types worker targets)
  file(GLOB_RECURSE sources RELATIVE ${SOURCE_DIR} ${SOURCE_DIR}/${folder}/*)
  list(SORT sources)
  foreach(source ${sources})
    file(SHA256 ${SOURCE_DIR}/${source} digest)
    string(APPEND digests "${source} ${digest}\n")
  endforeach()
endforeach()
string(SHA256 digest "${MODE}\n${digests}")
string(SUBSTRING ${digest} 0 24 digest)
set(text "// Made by worker/build_id.cmake.\n#include \"worker/build_id.h\"\n
namespace rbc::worker {\nstd::string_view BuildId() { return \"${VERSION}-${digest}\"; }\n}  // namespace rbc::worker\n")
if(EXISTS ${OUTPUT})
  file(READ ${OUTPUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUTPUT} "${text}")
endif()
