// Declared functions against what the module defines.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <vector>

#include "base/expected.h"
#include "targets/ir/signature.h"
#include "targets/target.h"
#include "types/frame.h"

namespace llvm {
class Function;
class Module;
}  // namespace llvm

namespace rbc::ir {

// One parameter of the IR function, in order.
struct Operand {
  enum class Source : uint8_t {
    kPiece,          // `piece` of signature parameter `parameter`
    kByval,          // pointer to a copy of signature parameter `parameter`
    kResultPointer,  // pointer to where the result goes
    kScratch,        // pointer to 8 bytes that nobody reads (numba's exception information)
  };
  Source source = Source::kPiece;
  uint32_t parameter = 0;
  Piece piece;
};

// What the function gives back.
enum class Returns : uint8_t { kNothing, kValue, kStatus };

// A declared function whose IR type agrees with its signature, and how to call it.
struct MatchedFunction {
  llvm::Function* function = nullptr;
  types::FrameLayout frame;
  std::vector<Value> parameters;
  Value result;
  std::vector<Operand> operands;
  Returns returns = Returns::kNothing;
};

// kInvalidModule: the module does not define one of them, or not as a function. To be asked before the dead are
// removed.
Status CheckDefined(llvm::Module& module, const std::vector<FunctionDeclaration>& declarations);

// kInvalidModule: no such definition, or it is of another IR type: the message names symbol, expected and found type.
// kInvalidArgument, kUnsupported: the signature.
Expected<MatchedFunction> MatchDeclaration(llvm::Module& module, const FunctionDeclaration& declaration);

}  // namespace rbc::ir
