// The machine that this process runs on, as LLVM knows it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/expected.h"

namespace llvm {
class TargetMachine;
}  // namespace llvm

namespace rbc::host {

// Process-wide: LLVM's tables of x86. Once, before any fork and before any other function of this folder.
void InitializeMachine();

struct MachineInfo {
  std::string triple;
  std::string cpu;       // "skylake-avx512"
  std::string features;  // "+avx2,-avx512vp2intersect,..."
};
// Asked of the processor once, in InitializeMachine().
const MachineInfo& ThisMachine();

struct CodegenOptions {
  uint8_t opt_level = 2;  // 0..3
  bool allow_contract = false;
  friend bool operator==(const CodegenOptions&, const CodegenOptions&) = default;
};

std::unique_ptr<llvm::TargetMachine> MakeTargetMachine(const CodegenOptions& options);

}  // namespace rbc::host
