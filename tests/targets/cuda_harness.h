// The targets for GPUs in the test's process, and NVIDIA's assembler as the judge of what they emit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "targets/target.h"

namespace rbc::testing {

Target& CudaTarget();
Target& Cuda32Target();

Expected<Artifact> CompileCuda(std::string_view ir, std::vector<FunctionDeclaration> functions,
                               CompileOptions options = {});
// Options for PTX as text.
CompileOptions ForPtx(uint32_t sm, uint8_t opt_level = 2);

// The SMs that every test's PTX is assembled for.
inline constexpr uint32_t kSms[] = {75, 80, 90, 100};

// What ptxas says against `ptx`, "" for nothing. Without a ptxas: that there is none, so that tests fail.
std::string AssemblerComplaint(const std::string& ptx, uint32_t sm);
// Compiles for each of kSms and has each result assembled. The PTX of the last one.
std::string ExpectAssembles(std::string_view ir, const std::vector<FunctionDeclaration>& functions,
                            CompileOptions options = {});

}  // namespace rbc::testing
