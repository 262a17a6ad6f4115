// Brings a client's module into the one shape that the rest of the compile works on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "targets/ir/machine.h"

namespace llvm {
class DataLayout;
class GlobalValue;
class Module;
class TargetLibraryInfoImpl;
class Triple;
}  // namespace llvm

namespace rbc {
class RuntimeSymbols;
}

namespace rbc::ir {

// Behind the name of a client's definition that a library function also has ("sin", "memcpy"): LLVM would take the one
// for the other, and code that it makes itself must reach the library's.
inline constexpr std::string_view kRenamedSuffix = ".user";

struct PrepareOptions {
  bool keep_debug = false;
  bool allow_contract = false;
  Machine machine = Machine::kX86;
};

// Sets triple and data layout; drops what ties the module to another compiler run: target and instrumentation
// attributes, sections, comdats, visibility, llvm.used, debug information unless kept. No function unwinds.
// llvm.fmuladd becomes a product and a sum unless contraction is allowed. For nvptx the attributes nvvm.* stay, calling
// conventions become C but for kernels, and fences within a thread go.
void PrepareModule(llvm::Module& module, const llvm::Triple& triple, const llvm::DataLayout& layout,
                   const PrepareOptions& options);

// Of a module that is emitted whole: bodies that some other file was to have are its own.
void KeepInlineDefinitions(llvm::Module& module);

// Makes every definition internal but `keep`, removes the dead, and makes extern_weak references to what `symbols`
// lacks null. Internal definitions that share a library function's name are renamed.
void KeepOnly(llvm::Module& module, std::span<const std::string> keep, const RuntimeSymbols& symbols,
              const llvm::TargetLibraryInfoImpl& library);
// Makes one definition internal, as KeepOnly() does with those that are not kept.
void Hide(llvm::GlobalValue& global, const RuntimeSymbols& symbols, const llvm::TargetLibraryInfoImpl& library);

}  // namespace rbc::ir
