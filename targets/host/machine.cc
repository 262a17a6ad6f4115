// Target machines for the processor we run on.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/machine.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "llvm/ADT/StringMap.h"
#include "llvm/MC/TargetRegistry.h"
#include "llvm/Support/TargetSelect.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Host.h"
#include "llvm/TargetParser/SubtargetFeature.h"
#include "llvm/TargetParser/Triple.h"

extern "C" {
void LLVMInitializeX86TargetInfo();
void LLVMInitializeX86Target();
void LLVMInitializeX86TargetMC();
void LLVMInitializeX86AsmPrinter();
void LLVMInitializeX86AsmParser();
}

namespace rbc::host {
namespace {

constexpr const char* kTriple = "x86_64-unknown-linux-gnu";

MachineInfo AskProcessor() {
  MachineInfo info;
  info.triple = kTriple;
  info.cpu = llvm::sys::getHostCPUName().str();
  std::vector<std::string> names;  // sorted: the order of a hash table would be part of what we hash later
  for (const auto& feature : llvm::sys::getHostCPUFeatures()) {
    names.push_back((feature.second ? "+" : "-") + feature.first().str());
  }
  std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.substr(1) < b.substr(1); });
  llvm::SubtargetFeatures features;
  for (const auto& name : names) features.AddFeature(name);
  info.features = features.getString();
  return info;
}

llvm::CodeGenOptLevel LevelOf(uint8_t level) {
  switch (level) {
    case 0:
      return llvm::CodeGenOptLevel::None;
    case 1:
      return llvm::CodeGenOptLevel::Less;
    case 2:
      return llvm::CodeGenOptLevel::Default;
    default:
      return llvm::CodeGenOptLevel::Aggressive;
  }
}

const llvm::Target* LlvmTarget() {
  static const llvm::Target* const target = [] {
    std::string problem;
    return llvm::TargetRegistry::lookupTarget(llvm::Triple(kTriple), problem);
  }();
  return target;
}

}  // namespace

const MachineInfo& ThisMachine() {
  static const MachineInfo info = AskProcessor();
  return info;
}

void InitializeMachine() {
  LLVMInitializeX86TargetInfo();
  LLVMInitializeX86Target();
  LLVMInitializeX86TargetMC();
  LLVMInitializeX86AsmPrinter();
  LLVMInitializeX86AsmParser();
  ThisMachine();
  LlvmTarget();
  // glibc's qsort asks for the size of memory the first time it sorts much, which a filter of system calls may not
  // allow.
  std::vector<int> numbers(4096);
  std::qsort(numbers.data(), numbers.size(), sizeof(int), [](const void*, const void*) { return 0; });
}

std::unique_ptr<llvm::TargetMachine> MakeTargetMachine(const CodegenOptions& options) {
  llvm::TargetOptions target;
  target.AllowFPOpFusion = options.allow_contract ? llvm::FPOpFusion::Fast : llvm::FPOpFusion::Strict;
  target.UseInitArray = true;
  target.TrapUnreachable = true;  // else what cannot be reached goes on into the next function, or has no code at all
  target.EnableFastISel = options.opt_level == 0;
  const MachineInfo& machine = ThisMachine();
  auto* made = LlvmTarget()->createTargetMachine(llvm::Triple(machine.triple), machine.cpu, machine.features, target,
                                                 llvm::Reloc::PIC_, llvm::CodeModel::Small, LevelOf(options.opt_level));
  return std::unique_ptr<llvm::TargetMachine>(made);
}

}  // namespace rbc::host
