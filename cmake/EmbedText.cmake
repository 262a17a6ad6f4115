# cmake -DINPUT=... -DOUTPUT=... -DFUNCTION=... [-DNAMESPACE=...] -P EmbedText.cmake: a C++ source with a function of
# NAMESPACE (rbc::cuda) that gives the file's text. In pieces: compilers limit the length of one literal.
# SPDX-License-Identifier: Apache-2.0
if(NOT NAMESPACE)
  set(NAMESPACE rbc::cuda)
endif()
file(READ ${INPUT} TEXT)
string(LENGTH "${TEXT}" LENGTH)
get_filename_component(NAME ${INPUT} NAME)
set(PIECES "")
set(AT 0)
while(AT LESS LENGTH)
  string(SUBSTRING "${TEXT}" ${AT} 8000 PIECE)
  string(APPEND PIECES "R\"RBC(${PIECE})RBC\"\n")
  math(EXPR AT "${AT} + 8000")
endwhile()
file(WRITE ${OUTPUT} "// ${NAME} as a string.\n#include <string_view>\n\nnamespace ${NAMESPACE} {\n\nstd::string_view ${FUNCTION}() {
  static constexpr std::string_view kText = ${PIECES};\n  return kText;\n}\n\n}  // namespace ${NAMESPACE}\n")
