// A device for cuda modules that the host's processor plays.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/simulated_device.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <mutex>
#include <new>
#include <span>

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

// Memory of this process plays the device's: nothing has to be copied, nothing to be waited for.
class SimulatedRun final : public EntryRun {
 public:
  SimulatedRun(LoadedModule& module, size_t index, size_t bytes)
      : module_(module), index_(index), bytes_(bytes), memory_(new (std::align_val_t(kAlignment)) uint8_t[bytes]) {}
  std::span<uint8_t> memory() override { return {memory_.get(), bytes_}; }
  Status Start(Invocation& invocation) override {
    auto ran = module_.Run(index_, invocation);
    if (!ran) return std::move(ran).error();
    status_ = *ran;
    return {};
  }
  Expected<int32_t> Finish(Invocation&) override { return status_; }

 private:
  static constexpr size_t kAlignment = 64;
  struct Free {
    void operator()(uint8_t* memory) const { ::operator delete[](memory, std::align_val_t(kAlignment)); }
  };
  LoadedModule& module_;
  const size_t index_, bytes_;
  const std::unique_ptr<uint8_t[], Free> memory_;
  int32_t status_ = 0;
};

// What calls leave of a session's share of the device's memory.
class SimulatedMemory {
 public:
  ~SimulatedMemory() {
    for (const auto& [address, size] : sizes_) munmap(reinterpret_cast<void*>(address), size);
  }
  Expected<uint64_t> Allocate(uint64_t bytes) {
    const uint64_t size = (std::max<uint64_t>(bytes, 1) + kPage - 1) / kPage * kPage;
    const uint64_t limit = SurroundingsOfDevices().memory_limit;
    const std::lock_guard lock(mutex_);
    if (limit != 0 && size > limit - std::min(used_, limit))
      return Error(ErrorKind::kResourceExhausted,
                   fmt::format("the session has {} bytes of the GPU's memory and asks for {} more, the limit is {}",
                               used_, size, limit));
    void* const memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      return Error(ErrorKind::kResourceExhausted,
                   fmt::format("the simulated GPU has no {} bytes of memory left", size));
    used_ += size;
    const auto address = reinterpret_cast<uint64_t>(memory);
    sizes_[address] = size;
    return address;
  }
  void Free(uint64_t address) {
    const std::lock_guard lock(mutex_);
    const auto found = sizes_.find(address);
    if (found == sizes_.end()) return;
    munmap(reinterpret_cast<void*>(address), found->second);
    used_ -= found->second;
    sizes_.erase(found);
  }

 private:
  static constexpr uint64_t kPage = 4096;
  std::mutex mutex_;
  uint64_t used_ = 0;
  std::map<uint64_t, uint64_t> sizes_;
};

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
    if (entry.kind == EntryKind::kCall) PlacePointers(invocation, base, invocation.memory);
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
      launch.grid[0] = BlocksOfReduction(invocation);
      launch.block[0] = kReduceThreads;
    } else if (entry.kind == EntryKind::kScan) {
      launch.block[0] = invocation.in_order ? 1 : ScanThreads(invocation.length);
    }
    RBC_RETURN_IF_ERROR(simulator::Run(launch, Around()));
    if (outcome == kAllRowsFine) return status;
    invocation.failed_row = OutcomeRow(outcome);
    return OutcomeStatus(outcome);
  }

  Expected<std::unique_ptr<EntryRun>> Prepare(size_t index, size_t bytes) override {
    return std::unique_ptr<EntryRun>(std::make_unique<SimulatedRun>(*this, index, bytes));
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

  Expected<uint64_t> Allocate(uint64_t bytes) override { return memory_.Allocate(bytes); }
  void Free(uint64_t address) override { memory_.Free(address); }
  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override {
    std::memcpy(reinterpret_cast<void*>(to), from, bytes);
    return {};
  }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override {
    std::memcpy(to, reinterpret_cast<const void*>(from), bytes);
    return {};
  }
  Status CopyWithin(uint64_t to, uint64_t from, uint64_t bytes) override {
    std::memmove(reinterpret_cast<void*>(to), reinterpret_cast<const void*>(from), bytes);
    return {};
  }

 private:
  SimulatedMemory memory_;
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
