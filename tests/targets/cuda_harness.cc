// Compiles for GPUs and runs ptxas.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/cuda_harness.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/harness/run_program.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

std::unique_ptr<Target> Create(const char* name) {
  const TargetFactory* factory = FindTarget(name);
  factory->initialize();
  return factory->create(Symbols());
}

}  // namespace

Target& CudaTarget() {
  HostTarget();  // the simulator compiles for it
  static const std::unique_ptr<Target> target = Create("cuda");
  return *target;
}

Target& Cuda32Target() {
  CudaTarget();
  static const std::unique_ptr<Target> target = Create("cuda32");
  return *target;
}

Expected<Artifact> CompileCuda(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options) {
  return CudaTarget().Compile(Module{ir, std::move(functions)}, options, nullptr);
}

CompileOptions ForPtx(uint32_t sm, uint8_t opt_level) {
  CompileOptions options;
  options.emit = Emit::kPtx;
  options.sm = sm;
  options.opt_level = opt_level;
  return options;
}

std::string AssemblerComplaint(const std::string& ptx, uint32_t sm) {
  const std::string ptxas = RBC_PTXAS;
  if (ptxas.empty()) return "no ptxas was found when the tests were configured; scripts/install-deps gets one";
  const auto path = std::filesystem::temp_directory_path() / fmt::format("rbc_{}_{}.ptx", getpid(), sm);
  std::ofstream(path) << ptx;
  const auto run = harness::RunProgram({ptxas, fmt::format("-arch=sm_{}", sm), "-o", "/dev/null", path.string()});
  std::filesystem::remove(path);
  return run.exit_code == 0 ? "" : run.ToString();
}

std::string ExpectAssembles(std::string_view ir, const std::vector<FunctionDeclaration>& functions,
                            CompileOptions options) {
  options.emit = Emit::kPtx;
  std::string ptx;
  for (const uint32_t sm : kSms) {
    SCOPED_TRACE(fmt::format("sm_{}", sm));
    options.sm = sm;
    auto artifact = CompileCuda(ir, functions, options);
    EXPECT_TRUE(artifact) << Message(artifact);
    if (!artifact) return "";
    EXPECT_EQ(artifact->format, CodeFormat::kPtx);
    EXPECT_EQ(artifact->sm, sm);
    EXPECT_EQ(AssemblerComplaint(artifact->code, sm), "") << artifact->code;
    ptx = std::move(artifact->code);
  }
  return ptx;
}

}  // namespace rbc::testing
