// Which signature takes the elements of arrays.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/choose.h"

#include <fmt/format.h>

#include "types/match.h"

namespace rbc::detail {

Expected<Chosen> Choose(CallerState& state, std::span<const types::Type> given) {
  Chosen out;
  RBC_ASSIGN_OR_RETURN(out.prepared, state.Current());
  RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(out.prepared->types, given));
  if (!out.prepared->declared[index]) return out.prepared->declared[index].error();
  out.declared = *out.prepared->declared[index];
  out.overload = out.prepared->overloads[index].get();
  return out;
}

Expected<Chosen> ChooseCombining(CallerState& state, const types::Type& element) {
  const std::vector<types::Type> given = {element, element};
  RBC_ASSIGN_OR_RETURN(Chosen chosen, Choose(state, given));
  const types::Type& type = chosen.overload->type;
  if (type.parameters()[0] != type.result() || type.parameters()[1] != type.result())
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("`{}` combines no elements: it must take two values of one type and give a third",
                             type.ToString()));
  return chosen;
}

}  // namespace rbc::detail
