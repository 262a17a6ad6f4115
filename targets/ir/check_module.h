// What a client's module may hold: everything else is refused by name before LLVM's back end meets it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "base/expected.h"
#include "targets/ir/machine.h"

namespace llvm {
class GlobalValue;
class Instruction;
class Module;
}  // namespace llvm

namespace rbc::ir {

class DiagnosticLog;

// Limits of one module. Beyond them LLVM does not fail: it takes minutes, gigabytes or all of the stack.
inline constexpr unsigned kMaxIntegerBits = 1024;
inline constexpr uint64_t kMaxVectorBits = 32768;
inline constexpr uint64_t kMaxValueLeaves = 4096;  // scalars in one first-class aggregate
inline constexpr uint64_t kMaxTypeNesting = 200;
inline constexpr uint64_t kMaxAlignment = 4096;                   // bytes
inline constexpr uint64_t kMaxStackObject = uint64_t{1} << 30;    // bytes of one alloca
inline constexpr uint64_t kMaxGlobalBytes = uint64_t{256} << 20;  // all globals of a module together
inline constexpr uint64_t kMaxInlinedInstructions = 1'000'000;    // after always_inline functions are inlined

// LLVM's own verifier; broken debug information is dropped. kInvalidModule.
Status VerifyModule(llvm::Module& module, DiagnosticLog* log);

// The parts that cannot be removed as dead: module asm, a foreign byte order or pointer size. kUnsupported.
Status CheckWholeModule(const llvm::Module& module, unsigned pointer_bits = 64);

// Errors (kUnsupported) that name what is refused, for checks of other folders.
Error RefuseGlobal(const llvm::GlobalValue& global, std::string_view why);
Error RefuseInstruction(const llvm::Instruction& instruction, std::string_view why);

// Every function, global and instruction of what is left of the module. Refuses (kUnsupported, with function and
// instruction) what this farm does not run and what is known to make LLVM abort, hang or read files.
Status CheckModule(const llvm::Module& module, bool allow_inline_asm, Machine machine = Machine::kX86);

}  // namespace rbc::ir
