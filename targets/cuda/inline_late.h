// Takes libdevice's functions into their callers, after everything else.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

namespace llvm {
class Module;
class TargetMachine;
}  // namespace llvm

namespace rbc::cuda {

// The functions come simplified, so that the optimiser need not see them: it works on the calls, as pure ones, and what
// is left to do behind it is little. Half of a compile's time is saved so. One thread at a time.
class LateInliner {
 public:
  // `machine` outlives it.
  LateInliner(llvm::TargetMachine& machine, uint8_t opt_level);
  ~LateInliner();
  void Run(llvm::Module& module);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rbc::cuda
