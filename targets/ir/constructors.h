// Static constructors and destructors as two ordinary functions.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::ir {

struct StaticFunctions {
  std::string constructors;  // a void() function that calls them in order; "": there are none
  std::string destructors;   // the same, in reverse order of priority
};

// What of a module has to stay: the declared functions, and these.
std::vector<std::string> KeptNames(std::span<const FunctionDeclaration> functions, const StaticFunctions& statics);

// Replaces llvm.global_ctors and llvm.global_dtors. kUnsupported: an entry that is not a function of this module.
Expected<StaticFunctions> CollectStaticFunctions(llvm::Module& module);

}  // namespace rbc::ir
