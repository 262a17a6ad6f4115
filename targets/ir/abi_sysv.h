// How clang lowers the parameters and results of a C function on x86-64 (System V).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "targets/ir/signature.h"

namespace rbc::ir {

// Where one parameter or result travels.
struct SysvPassing {
  enum class Way : uint8_t {
    kNothing,  // void and empty structs
    kPieces,   // as these IR values, one after the other
    kMemory,   // a pointer to it: byval as a parameter, sret as a result
  };
  Way way = Way::kNothing;
  std::vector<Piece> pieces;
};

// Counts registers over the parameters of one function, in order.
class SysvLowering {
 public:
  explicit SysvLowering(llvm::LLVMContext& context) : context_(context) {}

  // Before the parameters: a result in memory takes the first integer register.
  SysvPassing Result(const Value& value);
  SysvPassing Parameter(const Value& value);

 private:
  SysvPassing Overflow(const Value& value) const;

  llvm::LLVMContext& context_;
  unsigned integer_left_ = 6;
  unsigned sse_left_ = 8;
};

// Whether `found` can stand for `piece` of `value`: another spelling of the same register class and bytes, as other
// releases of clang choose it (i64 or ptr, double or <2 x float>).
bool IsSamePiece(llvm::Type* found, const Piece& piece, const Value& value);

}  // namespace rbc::ir
