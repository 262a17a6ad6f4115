// Compiles the functions of gpu_bench on a machine that needs no GPU: gpu_code FOLDER SM...
// For each a map's cubin as the farm makes it, and one by NVIDIA's compiler of the kernel that a person would write.
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "tests/bench/nvrtc.h"
#include "tests/gpu/bench_functions.h"
#include "tests/targets/clang.h"
#include "tests/targets/cuda_harness.h"
#include "tests/targets/harness.h"

namespace rbc::bench {
namespace {

std::string Parameters(const TimedFunction& function) { return function.columns == 2 ? "REAL a, REAL b" : "REAL a"; }

std::string InC(const TimedFunction& function, bool is_double, const char* attributes = "") {
  return fmt::format("#define REAL {}\n#define F(name) {}\n{} REAL {}({}) {{\n  {}\n}}\n",
                     is_double ? "double" : "float", is_double ? "name" : "name##f", attributes, function.name,
                     Parameters(function), function.body);
}

// Rows one after the other, by a grid of any size.
std::string InCuda(const TimedFunction& function, bool is_double) {
  const bool two = function.columns == 2;
  return InC(function, is_double, "__device__ __forceinline__") +
         fmt::format(
             "extern \"C\" __global__ void entry(unsigned long long rows, const REAL* a{}, REAL* out) {{\n"
             "  for (unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x; i < rows;"
             " i += (unsigned long long)gridDim.x * blockDim.x)\n    out[i] = {}(a[i]{});\n}}\n",
             two ? ", const REAL* b" : "", function.name, two ? ", b[i]" : "");
}

std::string ByUs(const TimedFunction& function, bool is_double, uint32_t sm) {
  const std::string ir = testing::ClangModule("#include <math.h>\n" + InC(function, is_double), "-O1 -fno-math-errno");
  CompileOptions options;
  options.sm = sm;
  options.opt_level = 3;
  options.allow_contract = true;  // as NVIDIA's compiler does unasked
  options.entry = EntryKind::kMap;
  auto artifact = testing::CompileCuda(ir, {{function.name, SignatureOf(function, is_double), Abi::kSysv}}, options);
  if (!artifact || artifact->format != CodeFormat::kCubin || artifact->entries[0].symbol != "rbc_map_0") {
    std::fprintf(stderr, "%s: %s\n", function.name, artifact ? "no cubin" : artifact.error().message.c_str());
    return "";
  }
  return artifact->code;
}

int Write(const std::string& folder, const std::vector<uint32_t>& sms) {
  Nvrtc nvrtc;
  if (!nvrtc.Open()) {
    std::fputs("no libnvrtc here: it comes with CUDA's toolkit\n", stderr);
    return 77;  // CTest's skip: there is nothing to compare with
  }
  for (const auto& function : kTimedFunctions) {
    for (const bool is_double : {false, true}) {
      for (const uint32_t sm : sms) {
        for (const bool ours : {true, false}) {
          const std::string code = ours ? ByUs(function, is_double, sm)
                                        : nvrtc.Run(InCuda(function, is_double), static_cast<int>(sm), true, true);
          const std::string file = folder + "/" + CodeFile(function, is_double, static_cast<int>(sm), ours);
          if (code.empty() || !(std::ofstream(file, std::ios::binary) << code)) {
            std::fprintf(stderr, "%s cannot be made\n", file.c_str());
            return 1;
          }
        }
      }
    }
  }
  return 0;
}

}  // namespace
}  // namespace rbc::bench

int main(int argc, char** argv) {
  std::vector<uint32_t> sms;
  for (int i = 2; i < argc; ++i) sms.push_back(static_cast<uint32_t>(std::atoi(argv[i])));
  if (sms.empty()) {
    std::fputs("gpu_code FOLDER SM...\n", stderr);
    return 2;
  }
  return rbc::bench::Write(argv[1], sms);
}
