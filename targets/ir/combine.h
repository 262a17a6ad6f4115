// Recognises functions of two values that may run on whole vectors in any order of their rows.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>

#include "llvm/IR/IRBuilder.h"
#include "targets/ir/declarations.h"

namespace rbc::ir {

// A commutative instruction: sum, product, minimum, maximum, bitwise and, or, exclusive or.
struct VectorCombine {
  llvm::Type* type = nullptr;  // of one value
  // The same on vectors of `type`.
  std::function<llvm::Value*(llvm::IRBuilder<>& builder, llvm::Value* left, llvm::Value* right)> make;
};

// Of a simplified entry of a call (MakeEntryPoint), whose frame holds two values. Nothing: it does something else, and
// its rows have to be taken in order.
std::optional<VectorCombine> SimpleCombine(const llvm::Function& call, const MatchedFunction& match);

}  // namespace rbc::ir
