// The values of a declared signature as LLVM sees them in memory.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace llvm {
class DataLayout;
class LLVMContext;
class Type;
class Value;
}  // namespace llvm

namespace rbc::ir {

// One scalar of a value in memory, e.g. the imaginary part of a complex at 8.
struct Leaf {
  llvm::Type* type = nullptr;  // as stored: bool is i8, float128 x86_fp80
  uint64_t offset = 0;
  uint64_t size = 0;  // bytes that it takes in memory: 16 for x86_fp80
  bool is_bool = false;
};

// A parameter or result: its scalars in order of address, and its place in memory. Void has no leaves and no size.
struct Value {
  types::Type type;
  std::vector<Leaf> leaves;
  uint64_t size = 0;
  uint64_t alignment = 1;
};

// Part of a value that is one value of IR: read from or written to the value's memory at `offset`.
struct Piece {
  llvm::Type* type = nullptr;
  uint64_t offset = 0;
};

// `type` in the host's data model. kUnsupported, by name: what this target cannot hold. An array parameter is a pointer
// to its first element, its dimensions and, unless it is contiguous, its strides in bytes: an i64 each. They lie in a
// frame as in types/array.h, with the pointer in place of `where`.
Expected<Value> DescribeValue(const types::Type& type, llvm::LLVMContext& context);
// The same for a result, which differs for arrays: {ptr data, i64 shape[rank], i64 strides[rank], ptr owner}.
Expected<Value> DescribeResult(const types::Type& type, llvm::LLVMContext& context);

// Whether a value of the IR type `found` lies in memory just as `value`: same scalars at the same offsets. A bool may
// be i1 or i8.
bool HasLayoutOf(llvm::Type* found, const Value& value, const llvm::DataLayout& layout);
// The same for one scalar.
bool IsLeaf(llvm::Type* found, const Leaf& leaf);

// How LLVM writes a type: "double", "{ i64, double }".
std::string Spell(llvm::Type* type);
// The IR type that a value of this kind has under Abi::kDirect.
llvm::Type* DirectType(const Value& value, llvm::LLVMContext& context);

}  // namespace rbc::ir
