// Which names PTX has, and how others are spelt.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/names.h"

#include <string>

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/IR/Module.h"

namespace rbc::cuda {
namespace {

bool IsReserved(llvm::StringRef name) { return name == "_" || name == "$" || name == "WARP_SZ"; }

bool BeginsLikeAName(llvm::StringRef name) { return !name.empty() && !llvm::isDigit(name[0]) && !IsReserved(name); }

}  // namespace

bool IsPtxName(llvm::StringRef name) {
  return BeginsLikeAName(name) && name.size() < 1024 &&
         llvm::all_of(name, [](char c) { return llvm::isAlnum(c) || c == '_' || c == '$'; });
}

void RespellVisibleNames(llvm::Module& module) {
  for (auto& global : module.global_values()) {
    std::string name = global.getName().str();
    if (global.isDeclaration() || global.hasLocalLinkage() || name.starts_with("llvm.")) continue;
    if (name.find_first_of(".@") == std::string::npos) continue;
    for (size_t at; (at = name.find_first_of(".@")) != std::string::npos;) name.replace(at, 1, "_$_");
    global.setName(name);
  }
}

void RespellLocalNames(llvm::Module& module) {
  for (auto& global : module.global_values()) {
    if (global.hasLocalLinkage() && global.hasName() && !BeginsLikeAName(global.getName()))
      global.setName("rbc_" + global.getName());
  }
}

}  // namespace rbc::cuda
