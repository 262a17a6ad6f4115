// What the entries that go through arrays (map, reduce, scan) have in common.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "llvm/IR/IRBuilder.h"
#include "targets/ir/declarations.h"

namespace rbc::ir {

// `int32_t entry(void* frame, void* result)` with its frame read: u64 rows, a word, then {pointer to row 0, i64
// stride} for each column (worker/launch_frame.h).
struct BulkFrame {
  // Externally visible, of the type of `call`; `builder` stands behind what reads the frame.
  BulkFrame(const std::string& name, llvm::Function* call, size_t columns);
  llvm::BasicBlock* Block(const char* label) { return llvm::BasicBlock::Create(entry->getContext(), label, entry); }

  llvm::Function* entry;
  llvm::IRBuilder<> builder;
  llvm::Value* rows = nullptr;
  llvm::Value* word = nullptr;
  std::vector<llvm::Value*> data, strides;
};

// Memory of the function that `builder` stands in, one for each run of it, aligned to 16 bytes.
llvm::AllocaInst* Scratch(llvm::IRBuilder<>& builder, uint64_t size);

// kUnsupported: rows are values, no pointers and no strings. `what`: "a map".
Status CheckRows(const MatchedFunction& match, const FunctionDeclaration& declaration, const char* what);

// Makes the entry of a call internal under another name, to be inlined; the bulk entry takes its name.
llvm::Function* HideEntry(const MatchedFunction& match, const EntryPoint& entry);

// Drops what a front end said about how its code is to be optimised: loop metadata such as clang -O1's wish not to
// unroll, optnone and noinline (kept for a debugger).
void DropHints(llvm::Module& module, bool keep_frames);

}  // namespace rbc::ir
