// The targets for GPUs in the test's process, and NVIDIA's assembler as the judge of what they emit.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "targets/cuda/launch.h"
#include "targets/target.h"
#include "tests/targets/harness.h"

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

// What simulated code printed: "format|first argument as a number;" for each time.
std::string TakePrinted();

// ---- Simulated modules, run thread by thread: for entries at which threads do not meet.

class Simulated {
 public:
  Simulated(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options = {});
  bool ok() const { return module_ != nullptr; }
  const Artifact& artifact() const { return artifact_; }
  // The code of entry `index`.
  void (*Code(size_t index) const)(const void*);
  // Runs entry `index` for each thread of a grid of one dimension.
  void Launch(size_t index, const void* parameters, uint32_t blocks = 1, uint32_t threads = 1);

  // Calls entry `index`, which must be of one thread, by a frame.
  template <typename Result, typename... Arguments>
  Result Call(size_t index, Arguments... arguments) {
    alignas(16) std::byte frame[512] = {};
    alignas(16) std::byte result[256] = {};
    StoreArguments(functions_[index], frame, arguments...);
    const cuda::CallParameters parameters{reinterpret_cast<uint64_t>(frame), reinterpret_cast<uint64_t>(result),
                                          reinterpret_cast<uint64_t>(&status_)};
    Launch(index, &parameters);
    Result value;
    std::memcpy(&value, result, sizeof value);
    return value;
  }
  int32_t status() const { return status_; }

 private:
  std::vector<FunctionDeclaration> functions_;
  Artifact artifact_;
  std::unique_ptr<LoadedModule> module_;
  int32_t status_ = -1;
};

}  // namespace rbc::testing
