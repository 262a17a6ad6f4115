// Compiles for GPUs and runs ptxas.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/cuda_harness.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "cuda/simulator/abi.h"
#include "cuda/simulator/engine.h"
#include "targets/host/host_target.h"
#include "tests/harness/run_program.h"
#include "tests/targets/harness.h"

namespace rbc::testing {
namespace {

// The thread that runs, for code that asks.
thread_local simulator::Thread running;

bool alone = false;  // run by this harness, thread by thread, and not by the engine

const simulator::Thread* RunningThread() { return alone ? &running : simulator::rbc_sim_thread(); }

// What simulated code printed: the format and the packed arguments' first eight bytes.
std::string printed;
int32_t Vprintf(const char* format, const void* arguments) {
  uint64_t first = 0;
  if (arguments != nullptr) std::memcpy(&first, arguments, sizeof first);
  printed += fmt::format("{}|{};", format, first);
  return 1;
}

// The C library, and an engine of one thread after the other.
class EngineSymbols : public RuntimeSymbols {
 public:
  void* Find(std::string_view name) const override {
    if (name == "rbc_sim_thread") return reinterpret_cast<void*>(RunningThread);
    if (name == "rbc_sim_vprintf") return reinterpret_cast<void*>(Vprintf);
    if (name == "rbc_sim_malloc") return reinterpret_cast<void*>(std::malloc);
    if (name == "rbc_sim_free") return reinterpret_cast<void*>(std::free);
    if (void* meeting = simulator::FindSymbol(name)) return meeting;
    return dlsym(RTLD_DEFAULT, std::string(name).c_str());
  }
  std::string_view WhyRefused(std::string_view) const override { return ""; }
};

const RuntimeSymbols& Engine() {
  static const EngineSymbols symbols;
  return symbols;
}

std::unique_ptr<Target> Create(const char* name) {
  const TargetFactory* factory = FindTarget(name);
  factory->initialize();
  factory->prepare_compiler();
  return factory->create(Engine());
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

Expected<Artifact> CompileCuda(std::string_view ir, std::vector<FunctionDeclaration> functions,
                               CompileOptions options) {
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

std::string TakePrinted() { return std::exchange(printed, {}); }

Simulated::Simulated(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options)
    : functions_(functions) {
  options.simulate = true;
  auto artifact = CompileCuda(ir, std::move(functions), options);
  EXPECT_TRUE(artifact) << Message(artifact);
  if (!artifact) return;
  EXPECT_EQ(artifact->format, CodeFormat::kSimulated);
  artifact_ = std::move(*artifact);
  static const std::unique_ptr<Device> device = std::move(host::OpenHostDevice(Engine())).value();
  auto loaded = device->Load(artifact_.code);
  EXPECT_TRUE(loaded) << Message(loaded);
  if (loaded) module_ = std::move(*loaded);
}

void (*Simulated::Code(size_t index) const)(const void*) {
  return reinterpret_cast<void (*)(const void*)>(module_->Symbol(artifact_.entries[index].symbol));
}

void Simulated::Launch(size_t index, const void* parameters, uint32_t blocks, uint32_t threads) {
  const auto& entry = artifact_.entries[index];
  ASSERT_FALSE(entry.meets) << "this engine runs one thread after the other";
  auto* run = Code(index);
  ASSERT_NE(run, nullptr) << entry.symbol;
  std::vector<unsigned char> shared(entry.shared_bytes + 256);
  alone = true;
  for (uint32_t block = 0; block < blocks; ++block) {
    for (uint32_t thread = 0; thread < threads; ++thread) {
      running = {.tid = {thread, 0, 0},
                 .ntid = {threads, 1, 1},
                 .ctaid = {block, 0, 0},
                 .nctaid = {blocks, 1, 1},
                 .shared = shared.data(),
                 .lane = thread % simulator::kWarpSize,
                 .warp = thread / simulator::kWarpSize,
                 .dynamic_bytes = 0,
                 .grid_id = 0};
      run(parameters);
    }
  }
  alone = false;
}

}  // namespace rbc::testing
