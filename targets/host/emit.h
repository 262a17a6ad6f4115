// LLVM's back end: modules to objects and assembly.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

namespace llvm {
class Module;
class TargetLibraryInfoImpl;
class TargetMachine;
}  // namespace llvm

namespace rbc::host {

// The pass pipeline of one machine into an object in memory, built once. One thread at a time.
class Emitter {
 public:
  enum class Output : uint8_t { kObject, kAssembly };
  // `machine` outlives it.
  Emitter(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, Output output);
  ~Emitter();
  Emitter(const Emitter&) = delete;
  Emitter& operator=(const Emitter&) = delete;

  // False: the machine has no such output.
  bool ok() const;
  // The module is used up: code generation changes it.
  std::string Run(llvm::Module& module);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// LLVM's text form.
std::string PrintIr(const llvm::Module& module);

}  // namespace rbc::host
