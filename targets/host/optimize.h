// LLVM's middle end at a named level, kept warm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

namespace llvm {
class Function;
class Module;
class TargetLibraryInfoImpl;
class TargetMachine;
}  // namespace llvm

namespace rbc {
class CompileProgress;
}

namespace rbc::host {

// The default pipeline of one level with its analyses, which are kept. One thread at a time.
class Optimizer {
 public:
  // `machine` and `library` outlive it.
  Optimizer(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, uint8_t opt_level);
  ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  // What the loops are that matter. kOfRows: over rows of a map, whose strides may be any. kOfWholeVectors: over rows
  // that come as multiples of what vectors hold.
  enum class Loops : uint8_t { kAny, kOfRows, kOfWholeVectors };
  void Run(llvm::Module& module, CompileProgress* progress, Loops loops = Loops::kAny);
  // What a function needs whose constants became known late.
  void Simplify(llvm::Function& function);
  // Inlines into a function what it calls, where that is small, and simplifies the whole.
  void Flatten(llvm::Function& function);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rbc::host
