// The kernels of reductions and scans, as targets/cuda/launch.h describes them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "targets/ir/declarations.h"

namespace rbc::cuda {

// `call` is the entry of a call of the function, T(T, T).
void MakeReduceKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call);
void MakeScanKernel(const ir::MatchedFunction& match, const std::string& name, llvm::Function* call);

}  // namespace rbc::cuda
