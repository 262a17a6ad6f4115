// Device code for the host's processor: the module that would become PTX, with what a GPU does replaced by calls of the
// simulator's engine (cuda/simulator/abi.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/expected.h"
#include "targets/target.h"

namespace llvm {
class Module;
class TargetMachine;
}  // namespace llvm

namespace rbc {
class CompileProgress;
}

namespace rbc::cuda {

// Keeps its toolchains and tables warm. One thread at a time.
class SimulatorCompiler {
 public:
  // `symbols`: what the host offers to simulated code beside the engine; outlives this.
  explicit SimulatorCompiler(const RuntimeSymbols& symbols);
  ~SimulatorCompiler();

  // Turns the optimised `module` for nvptx64 into an object; it is used up. Entries and static functions of `artifact`
  // get the names under which the object has them, and what the engine must know. kUnsupported: an intrinsic or inline
  // assembly that cannot be simulated, by name.
  Expected<std::string> Compile(llvm::Module& module, const std::vector<FunctionDeclaration>& functions,
                                const CompileOptions& options, CompileProgress* progress, Artifact* artifact);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The text of the table of intrinsics.
std::string_view SimulatedIntrinsics();

}  // namespace rbc::cuda
