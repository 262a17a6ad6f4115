// Target machines for GPUs.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/nvptx.h"

#include <fmt/format.h>

#include <algorithm>

#include "llvm/MC/TargetRegistry.h"
#include "llvm/Target/TargetMachine.h"
#include "llvm/Target/TargetOptions.h"
#include "llvm/TargetParser/Triple.h"

extern "C" {
void LLVMInitializeNVPTXTargetInfo();
void LLVMInitializeNVPTXTarget();
void LLVMInitializeNVPTXTargetMC();
void LLVMInitializeNVPTXAsmPrinter();
}

namespace rbc::cuda {
namespace {

struct Architecture {
  uint32_t sm;
  uint32_t least_ptx;
};
// What LLVM 22 and the assembler of CUDA 13 both know.
constexpr Architecture kArchitectures[] = {{75, 63}, {80, 70},  {86, 71},  {87, 74},  {88, 90},  {89, 78},
                                           {90, 78}, {100, 86}, {103, 88}, {110, 90}, {120, 87}, {121, 88}};
// With drivers and tools before CUDA 12.
constexpr uint32_t kOf32Bits[] = {30, 32, 35, 37, 50, 52, 53, 60, 61, 62, 70, 72};
constexpr uint32_t kPtxOf32Bits = 63;
constexpr uint32_t kVersions[] = {63, 64, 65, 70, 71, 72, 73, 74, 75, 76, 77,
                                  78, 80, 81, 82, 83, 84, 85, 86, 87, 88, 90};
// Below it there is no stack allocation of variable size; drivers since CUDA 11.8 take it.
constexpr uint32_t kUsualPtx = 78;

std::string ListSmsOf32Bits() {
  std::string list;
  for (const uint32_t sm : kOf32Bits) list += fmt::format("{}{}", list.empty() ? "" : ", ", sm);
  return list;
}

std::string ListSms() {
  std::string list;
  for (const auto& known : kArchitectures) list += fmt::format("{}{}", list.empty() ? "" : ", ", known.sm);
  return list;
}

llvm::CodeGenOptLevel LevelOf(uint8_t level) {
  constexpr llvm::CodeGenOptLevel kLevels[] = {llvm::CodeGenOptLevel::None, llvm::CodeGenOptLevel::Less,
                                               llvm::CodeGenOptLevel::Default, llvm::CodeGenOptLevel::Aggressive};
  return kLevels[std::min<uint8_t>(level, 3)];
}

const llvm::Target* LlvmTarget(bool is_32_bit) {
  static const auto find = [](const char* triple) {
    std::string problem;
    return llvm::TargetRegistry::lookupTarget(llvm::Triple(triple), problem);
  };
  static const llvm::Target* const target = find(kTriple);
  static const llvm::Target* const target32 = find(kTriple32);
  return is_32_bit ? target32 : target;
}

}  // namespace

void InitializeNvptx() {
  LLVMInitializeNVPTXTargetInfo();
  LLVMInitializeNVPTXTarget();
  LLVMInitializeNVPTXTargetMC();
  LLVMInitializeNVPTXAsmPrinter();
  LlvmTarget(false);
}

Expected<Gpu> CheckGpu(uint32_t sm, uint32_t ptx_version) {
  if (sm == 0) sm = kDefaultSm;
  const auto* known = std::find_if(std::begin(kArchitectures), std::end(kArchitectures),
                                   [&](const Architecture& a) { return a.sm == sm; });
  if (known == std::end(kArchitectures))
    return {ErrorKind::kInvalidArgument,
            fmt::format("this farm does not compile for sm_{}; it knows {}", sm, ListSms())};
  if (ptx_version == 0) return Gpu{sm, std::max(known->least_ptx, kUsualPtx)};
  if (std::find(std::begin(kVersions), std::end(kVersions), ptx_version) == std::end(kVersions)) {
    return {ErrorKind::kInvalidArgument,
            fmt::format("PTX {}.{} is not known; the newest is 9.0", ptx_version / 10, ptx_version % 10)};
  }
  if (ptx_version < known->least_ptx) {
    return {ErrorKind::kInvalidArgument,
            fmt::format("sm_{} needs PTX {}.{} or newer, not {}.{}", sm, known->least_ptx / 10, known->least_ptx % 10,
                        ptx_version / 10, ptx_version % 10)};
  }
  return Gpu{sm, ptx_version};
}

Expected<Gpu> CheckGpuOf32Bits(uint32_t sm) {
  if (std::find(std::begin(kOf32Bits), std::end(kOf32Bits), sm) != std::end(kOf32Bits)) return Gpu{sm, kPtxOf32Bits};
  return {ErrorKind::kInvalidArgument,
          fmt::format("sm_{} had no code of 32 bits; these had: {}", sm, ListSmsOf32Bits())};
}

std::unique_ptr<llvm::TargetMachine> MakeTargetMachine(const CodegenOptions& options) {
  llvm::TargetOptions target;
  target.AllowFPOpFusion = options.allow_contract ? llvm::FPOpFusion::Fast : llvm::FPOpFusion::Strict;
  // What cannot be reached would end the thread as if all were well.
  target.TrapUnreachable = true;
  const llvm::Triple triple(options.is_32_bit ? kTriple32 : kTriple);
  auto* made = LlvmTarget(options.is_32_bit)
                   ->createTargetMachine(triple, fmt::format("sm_{}", options.gpu.sm),
                                         fmt::format("+ptx{}", options.gpu.ptx_version), target, llvm::Reloc::PIC_,
                                         std::nullopt, LevelOf(options.opt_level));
  return std::unique_ptr<llvm::TargetMachine>(made);
}

}  // namespace rbc::cuda
