// The function beside a client's own that takes its arguments from a frame.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "targets/ir/declarations.h"
#include "targets/target.h"

namespace rbc::ir {

// The name of the entry of declaration `index`; the loader takes it off again to name the client's function.
std::string EntrySymbol(size_t index, std::string_view symbol);
// The client's name in an entry's symbol, a renamed definition's or any other.
std::string_view ClientName(std::string_view symbol);

// Adds `int32_t entry(void* frame, void* result)` to the module of `match`, externally visible. Frame and result are
// aligned to 16 bytes. A result's padding is zero.
EntryPoint MakeEntryPoint(const MatchedFunction& match, size_t index, std::string_view symbol);

// Says which parameters of the frame are pointers, strings and arrays.
void AddReferences(const types::FrameLayout& frame, EntryPoint* entry);

// The columns of a map of this function: its parameters, then its result unless it is void.
std::vector<EntryPoint::Parameter> ColumnsOf(const MatchedFunction& match);

// Adds `int32_t entry(void* frame, void* result)` that runs the function for each row of a map. frame: u64 rows, 8
// bytes unused, then {pointer to row 0, i64 stride} for each column. Returns the status of the first row that failed
// and writes the row to *result (u64), else 0; all rows run. `pattern` is CompileOptions::map_pattern.
// kUnsupported: pointers and strings are no columns. kInvalidArgument: the pattern is not one of this function.
Expected<EntryPoint> MakeMapEntry(const MatchedFunction& match, size_t index, const FunctionDeclaration& declaration,
                                  const std::string& pattern);

// After the optimiser. A map whose loop goes through vector functions runs its last few rows in a tile of 64, by the
// same loop, because scalar ones give other bits. Gives the entries that changed: they want to be simplified.
std::vector<llvm::Function*> ResolveTiles(llvm::Module& module, bool (*wants_tile)(llvm::Function& kernel));

// Once they are optimised: the kernels of maps with pattern 'n' write vectors of results past the caches.
void StreamResults(llvm::Module& module);

// Adds an entry that reduces or scans (target.h): kReduce, kScan. `simplify` inlines into a function and shortens it.
// kInvalidArgument: the function is none of T(T, T). kUnsupported: it takes pointers or strings.
Expected<EntryPoint> MakeReduceEntry(const MatchedFunction& match, size_t index, const FunctionDeclaration& declaration,
                                     EntryKind kind, const std::function<void(llvm::Function&)>& simplify);

}  // namespace rbc::ir
