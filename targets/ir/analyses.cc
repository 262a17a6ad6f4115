// Registers and clears analyses.
// SPDX-License-Identifier: Apache-2.0
#include "targets/ir/analyses.h"

#include "llvm/Passes/PassBuilder.h"

namespace rbc::ir {

void Analyses::Register(llvm::PassBuilder& builder) {
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(components);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, components, modules);
}

void Analyses::Clear() {
  modules.clear();
  components.clear();
  functions.clear();
  loops.clear();
}

}  // namespace rbc::ir
