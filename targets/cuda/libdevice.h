// NVIDIA's library of device maths: where it is and how a module gets what it needs of it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"

namespace llvm {
class FunctionType;
class LLVMContext;
class Module;
}  // namespace llvm

namespace rbc::cuda {

// Reads the file, in the nursery: workers inherit its bytes and could open nothing. In order: the environment's
// RBC_LIBDEVICE, share/rbc beside the program, CUDA_HOME, /usr/local/cuda, the newest /usr/local/cuda-*, Debian's
// toolkit, the packages of Python below /usr and /usr/local.
void LoadLibdevice();
// Of the file in use; "" if there is none.
const std::string& LibdevicePath();
// How to get it, for an error message.
std::string_view HowToGetLibdevice();

// The library for one module at a time. Not thread-safe.
class Libdevice {
 public:
  Libdevice();
  ~Libdevice();
  // For which SM the next modules are compiled: some functions differ.
  void SetSm(uint32_t sm);
  // The type that the library's function `name` has in `context`, or nullptr. Reads no bodies.
  llvm::FunctionType* TypeOf(std::string_view name, llvm::LLVMContext& context);
  bool Has(std::string_view name);
  // Adds the definitions of all library functions that `module` declares, as internal ones. What the library asks of
  // its compiler is answered as for exact arithmetic: no flushing of denormals, precise square roots.
  // `any` says whether there were any.
  Status Link(llvm::Module& module, bool* any);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Answers all calls of __nvvm_reflect in `module`.
void AnswerReflection(llvm::Module& module, uint32_t sm);

}  // namespace rbc::cuda
