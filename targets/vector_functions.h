// Vector forms of libm's functions, in libraries that a worker opens before lock-down.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "targets/target.h"

namespace rbc {

// Takes and gives `lanes` values in vector registers, as the x86-64 ABI passes them.
struct VectorFunction {
  std::string scalar;     // "expf"
  std::string intrinsic;  // "llvm.exp.f32", or "" where LLVM has none
  std::string symbol;     // "_ZGVeN16v_expf"
  std::string prefix;     // how LLVM names a variant of this shape: "_ZGV_LLVM_N16v"
  uint32_t lanes = 0;
  MathAccuracy accuracy = MathAccuracy::kFast;  // of the library
};

// All that this processor can run, installed or not, by symbol. Constant after the first call.
std::span<const VectorFunction> VectorFunctions();
bool IsVectorFunction(std::string_view symbol);
// Whether a function of libm's has such a form in any library.
bool HasVectorForm(std::string_view scalar);

// Of the libraries that hold them: libmvec (kFast, part of glibc) and SLEEF (kAccurate).
const char* VectorLibrary(MathAccuracy accuracy);

}  // namespace rbc
