// The code that a user brings: LLVM IR, or C, C++ and CUDA that the machine's own clang lowers to it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rbc/api.h"
#include "rbc/exception.h"

namespace rbc {

// How a function takes its arguments.
enum class CallAbi : uint8_t {
  kDirect = 0,        // LLVM first-class values: complex is {T, T}, a struct is a struct
  kSysv = 1,          // what clang makes of the C prototype on x86-64
  kStatusRetptr = 2,  // i32 f(result*, parameters...): 0 is fine
  kKernel = 3,        // a CUDA entry with an explicit grid
};

// LLVM IR, text or bitcode, and how its functions take their arguments. Cheap to copy no more than a string is.
class RBC_API Source {
 public:
  // Text or bitcode, told apart by their first bytes.
  static Source Ir(std::string ir);
  // C or C++ source, lowered here by clang (clang, else the newest clang-NN on PATH) with -O1. kUnavailable: there is
  // none; kCompileFailed: with its diagnostics. `flags` go to clang as they are.
  static Result<Source> TryC(std::string_view code, const std::vector<std::string>& flags = {});
  static Result<Source> TryCxx(std::string_view code, const std::vector<std::string>& flags = {});
  // CUDA source: its __global__ functions are kernels, `abi` is kKernel. Lowered by the same clang without NVIDIA's
  // headers; docs/cuda.md lists what is declared. kUnavailable also for a clang that knows no GPUs.
  static Result<Source> TryCuda(std::string_view code, const std::vector<std::string>& flags = {});
  // .ll, .bc, .c, .cpp, .cc, .cxx, .cu, by their names.
  static Result<Source> TryFile(const std::string& path, const std::vector<std::string>& flags = {});
  // The same, throwing.
  static Source C(std::string_view code, const std::vector<std::string>& flags = {}) {
    return ValueOrThrow(TryC(code, flags));
  }
  static Source Cxx(std::string_view code, const std::vector<std::string>& flags = {}) {
    return ValueOrThrow(TryCxx(code, flags));
  }
  static Source Cuda(std::string_view code, const std::vector<std::string>& flags = {}) {
    return ValueOrThrow(TryCuda(code, flags));
  }
  static Source File(const std::string& path, const std::vector<std::string>& flags = {}) {
    return ValueOrThrow(TryFile(path, flags));
  }

  const std::string& ir() const { return ir_; }
  bool is_bitcode() const;
  // What its functions take unless something else is said: sysv for C and C++, kernel for CUDA, direct for IR.
  CallAbi abi() const { return abi_; }

 private:
  Source(std::string ir, CallAbi abi) : ir_(std::move(ir)), abi_(abi) {}
  std::string ir_;
  CallAbi abi_;
};

}  // namespace rbc
