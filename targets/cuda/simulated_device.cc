// A device for cuda modules that the host's processor plays.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/simulated_device.h"

#include <fmt/format.h>

#include <cstring>

#include "cuda/simulator/engine.h"
#include "targets/cuda/launch.h"
#include "targets/cuda/parameters.h"
#include "targets/host/host_target.h"

namespace rbc::cuda {
namespace {

// The engine's functions beside what the host offers.
class SimulatorSymbols : public RuntimeSymbols {
 public:
  explicit SimulatorSymbols(const RuntimeSymbols& host) : host_(host) {}
  void* Find(std::string_view name) const override {
    void* found = simulator::FindSymbol(name);
    return found != nullptr ? found : host_.Find(name);
  }
  std::string_view WhyRefused(std::string_view name) const override { return host_.WhyRefused(name); }

 private:
  const RuntimeSymbols& host_;
};

simulator::Surroundings Around() {
  const DeviceSurroundings& around = SurroundingsOfDevices();
  return {around.print, around.on_stack};
}

class SimulatedModule : public LoadedModule {
 public:
  SimulatedModule(std::unique_ptr<LoadedModule> code, const Artifact& artifact)
      : code_(std::move(code)), entries_(artifact.entries) {}

  void* Symbol(std::string_view name) const override { return code_->Symbol(name); }
  const char* FunctionAt(const void* address) const override { return code_->FunctionAt(address); }
  bool is_direct() const override { return false; }

  Expected<int32_t> Run(size_t index, Invocation& invocation) override {
    const EntryPoint& entry = entries_[index];
    int32_t status = 0;
    uint64_t outcome = kAllRowsFine;
    const auto base = reinterpret_cast<uint64_t>(invocation.memory.data());
    const DeviceAddresses addresses{base, reinterpret_cast<uint64_t>(invocation.result),
                                    reinterpret_cast<uint64_t>(&status), reinterpret_cast<uint64_t>(&outcome)};
    RBC_ASSIGN_OR_RETURN(const std::string parameters, PackParameters(entry, invocation, addresses));
    simulator::Launch launch;
    launch.entry = reinterpret_cast<void (*)(const void*)>(code_->Symbol(entry.symbol));
    launch.parameters = parameters.data();
    launch.static_shared = entry.shared_bytes;
    launch.meets = entry.meets;
    if (entry.kind == EntryKind::kKernel) {
      RBC_RETURN_IF_ERROR(CheckShape(entry, *invocation.shape));
      std::memcpy(launch.grid, invocation.shape->grid, sizeof launch.grid);
      std::memcpy(launch.block, invocation.shape->block, sizeof launch.block);
      launch.dynamic_shared = invocation.shape->shared_bytes;
    } else if (entry.kind == EntryKind::kReduce) {
      launch.block[0] = kReduceThreads;
    } else if (entry.kind == EntryKind::kScan) {
      launch.block[0] = invocation.in_order ? 1 : ScanThreads(invocation.length);
    }
    RBC_RETURN_IF_ERROR(simulator::Run(launch, Around()));
    if (outcome == kAllRowsFine) return status;
    invocation.failed_row = OutcomeRow(outcome);
    return OutcomeStatus(outcome);
  }

  Status RunPlain(std::string_view symbol) override {
    simulator::Launch launch;
    launch.entry = reinterpret_cast<void (*)(const void*)>(code_->Symbol(symbol));
    return simulator::Run(launch, Around());
  }

 private:
  const std::unique_ptr<LoadedModule> code_;
  const std::vector<EntryPoint> entries_;
};

class SimulatedDevice : public Device {
 public:
  SimulatedDevice(std::unique_ptr<SimulatorSymbols> symbols, std::unique_ptr<Device> host)
      : symbols_(std::move(symbols)), host_(std::move(host)) {}

  Expected<std::unique_ptr<LoadedModule>> Load(std::string_view) override {
    return Error(ErrorKind::kInvalidArgument, "a module for a GPU is loaded with the description of its entries");
  }
  Expected<std::unique_ptr<LoadedModule>> Load(const Artifact& artifact) override {
    if (artifact.format != CodeFormat::kSimulated)
      return Error(ErrorKind::kInvalidArgument, "the module was compiled for a real GPU and this one is simulated");
    RBC_ASSIGN_OR_RETURN(auto code, host_->Load(std::string_view(artifact.code)));
    return std::unique_ptr<LoadedModule>(std::make_unique<SimulatedModule>(std::move(code), artifact));
  }

 private:
  const std::unique_ptr<SimulatorSymbols> symbols_;
  const std::unique_ptr<Device> host_;
};

}  // namespace

Expected<std::unique_ptr<Device>> OpenSimulatedDevice(const RuntimeSymbols& symbols) {
  auto all = std::make_unique<SimulatorSymbols>(symbols);
  RBC_ASSIGN_OR_RETURN(auto host, host::OpenHostDevice(*all));
  return std::unique_ptr<Device>(std::make_unique<SimulatedDevice>(std::move(all), std::move(host)));
}

}  // namespace rbc::cuda
