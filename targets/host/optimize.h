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

  // What loops whose strides are known only at run time are made for. kAny: gathers and scatters.
  enum class Strides : uint8_t { kOften1, kAny };
  void Run(llvm::Module& module, CompileProgress* progress, Strides strides = Strides::kOften1);
  // What a function needs whose constants became known late.
  void Simplify(llvm::Function& function);
  // Inlines into a function what it calls, where that is small, and simplifies the whole.
  void Flatten(llvm::Function& function);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace rbc::host
