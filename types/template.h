// Signatures with placeholders: `T(T, T)` with T = int32, float64 is two signatures.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::types {

// What each placeholder may stand for, as type texts, in the order given. The texts may use other placeholders.
using Templates = std::map<std::string, std::vector<std::string>, std::less<>>;

inline constexpr size_t kMaxExpansions = 4096;

// Every combination, the placeholder met first in the text varying slowest; one placeholder has one meaning throughout
// a combination. Unknown atoms that `templates` does not name stay as they are. kInvalidArgument, by name: placeholders
// that lead to themselves (T -> U -> T), that nothing is given for, that already spell a type (`f`), and more than
// kMaxExpansions combinations.
Expected<std::vector<Type>> ExpandTemplates(const Type& signature, const Templates& templates,
                                            const DataModel& model = kHostX86_64);
Expected<std::vector<Type>> ExpandTemplates(std::string_view signature, const Templates& templates,
                                            const DataModel& model = kHostX86_64);

}  // namespace rbc::types
