// A GPU, by the CUDA Driver API.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/gpu_device.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "cuda/gpu.h"
#include "targets/cuda/launch.h"
#include "targets/cuda/parameters.h"

namespace rbc::cuda {
namespace {

// A kernel that does nothing, for any GPU.
constexpr std::string_view kNothing =
    ".version 6.3\n.target sm_75\n.address_size 64\n.visible .entry rbc_nothing()\n{\n  ret;\n}\n";

constexpr uint32_t kMapThreads = 256;  // of a block
constexpr uint32_t kMapBlocksPerMultiprocessor = 8;

size_t RoundUp(size_t size, size_t to) { return (size + to - 1) / to * to; }

// A track that goes back however the call ends. After a sticky error nothing is given back: the process ends.
class TrackLease {
 public:
  static Expected<TrackLease> Take(Gpu& gpu) {
    RBC_ASSIGN_OR_RETURN(auto track, gpu.Take());
    return TrackLease(&gpu, std::move(track));
  }
  TrackLease(TrackLease&&) = default;
  ~TrackLease() {
    if (track_ != nullptr) gpu_->Give(std::move(track_));
  }
  Track* operator->() const { return track_.get(); }
  Track& operator*() const { return *track_; }

 private:
  TrackLease(Gpu* gpu, std::unique_ptr<Track> track) : gpu_(gpu), track_(std::move(track)) {}
  Gpu* gpu_;
  std::unique_ptr<Track> track_;
};

// What kernels print the driver writes to standard output when a stream is waited for: a pipe, read after each wait.
// Calls that run at once share it: what one printed may come with another's reply.
class DeviceOutput {
 public:
  static Expected<std::unique_ptr<DeviceOutput>> Open() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0 || dup2(ends[1], STDOUT_FILENO) < 0)
      return Error(ErrorKind::kUnavailable, "no pipe can be made for what kernels print");
    close(ends[1]);
    return std::unique_ptr<DeviceOutput>(new DeviceOutput(ends[0]));
  }
  ~DeviceOutput() { close(end_); }
  void Forward() const {
    char text[4096];
    const auto print = SurroundingsOfDevices().print;
    for (ssize_t size; (size = read(end_, text, sizeof text)) > 0;)
      if (print != nullptr) print({text, static_cast<size_t>(size)});
  }

 private:
  explicit DeviceOutput(int end) : end_(end) {}
  const int end_;
};

// Whether its kernels can print: what they print is there after the driver's own wait only.
bool CanPrint(std::string_view code) { return code.find("vprintf") != std::string_view::npos; }

// Waits for the device after each step of a call whose times are asked for; else does nothing.
class StepClock {
 public:
  explicit StepClock(EntryTimes* times) : times_(times), begin_(Clock::now()) {}
  Status EndStep(Track& track, uint64_t EntryTimes::*step) {
    if (times_ == nullptr) return {};
    RBC_RETURN_IF_ERROR(track.Finish());
    const auto now = Clock::now();
    times_->*step = static_cast<uint64_t>((now - std::exchange(begin_, now)) / std::chrono::nanoseconds(1));
    return {};
  }

 private:
  using Clock = std::chrono::steady_clock;
  EntryTimes* times_;
  Clock::time_point begin_;
};

// Where a call's parts lie in the track's memory: status and outcome, result, memory. Kernels write the first three, if
// at all, into the staging memory itself; the call's memory is copied to the device's, unless it is little.
struct Layout {
  explicit Layout(const EntryPoint& entry, size_t bytes)
      : memory(kHead + RoundUp(entry.result_size, 64)), size(memory + bytes) {}
  static constexpr size_t kStatus = 0, kOutcome = 8, kHead = 64;
  size_t memory;
  size_t size;
};

// An entry on its way through the device, on a track of its own.
class GpuRun final : public EntryRun {
 public:
  // Without `output` its module's kernels print nothing.
  GpuRun(const Gpu& gpu, const DeviceOutput* output, TrackLease track, const EntryPoint& entry, CUfunction function,
         size_t bytes)
      : gpu_(gpu),
        output_(output),
        track_(std::move(track)),
        entry_(entry),
        function_(function),
        layout_(entry, bytes) {}
  ~GpuRun() override {
    if (running_) (void)track_->Finish();  // the track's memory is the device's until then
  }

  std::span<uint8_t> memory() override { return {track_->staging() + layout_.memory, layout_.size - layout_.memory}; }

  Status Start(Invocation& invocation) override {
    clock_ = StepClock(invocation.times);
    running_ = true;
    uint8_t* const staging = track_->staging();
    const size_t size = invocation.memory.size();
    std::memset(staging, 0, layout_.memory);
    std::memcpy(staging + Layout::kOutcome, &kAllRowsFine, sizeof kAllRowsFine);
    const CUdeviceptr mapped = track_->mapped();
    const bool moves = NeedsMemory(entry_, invocation) && !IsLittle(invocation);
    const CUdeviceptr at = (moves ? track_->device() : mapped) + layout_.memory;
    if (entry_.kind == EntryKind::kCall) PlacePointers(invocation, at, memory());
    if (moves) RBC_RETURN_IF_ERROR(track_->CopyIn(layout_.memory, std::min(invocation.sent, size)));
    RBC_RETURN_IF_ERROR(clock_.EndStep(*track_, &EntryTimes::upload));
    KernelLaunch launch;
    launch.function = function_;
    RBC_RETURN_IF_ERROR(Shape(invocation, &launch));
    const DeviceAddresses addresses{at, mapped + Layout::kHead, mapped + Layout::kStatus, mapped + Layout::kOutcome,
                                    true};
    RBC_ASSIGN_OR_RETURN(const std::string parameters, PackParameters(entry_, invocation, addresses));
    launch.parameters = parameters;
    RBC_RETURN_IF_ERROR(track_->Launch(launch));
    RBC_RETURN_IF_ERROR(clock_.EndStep(*track_, &EntryTimes::kernel));
    if (!moves) return {};
    const size_t from = std::min(invocation.returned_from, size);
    return track_->CopyOut(layout_.memory + from, size - from);
  }

  Expected<int32_t> Finish(Invocation& invocation) override {
    auto finished = clock_.EndStep(*track_, &EntryTimes::download);
    if (finished) finished = output_ != nullptr ? track_->Finish() : track_->Await();
    running_ = false;
    if (output_ != nullptr) output_->Forward();
    RBC_RETURN_IF_ERROR(std::move(finished));
    const uint8_t* const staging = track_->staging();
    std::memcpy(invocation.result, staging + Layout::kHead, entry_.result_size);
    int32_t status;
    uint64_t outcome;
    std::memcpy(&status, staging + Layout::kStatus, sizeof status);
    std::memcpy(&outcome, staging + Layout::kOutcome, sizeof outcome);
    if (outcome == kAllRowsFine) return status;
    invocation.failed_row = OutcomeRow(outcome);
    return OutcomeStatus(outcome);
  }

 private:
  // One thread reads it, once: sooner done over the bus than copied.
  bool IsLittle(const Invocation& invocation) const {
    return entry_.kind == EntryKind::kCall && entry_.cells.empty() &&
           entry_.arrays.size() == invocation.pointers.size() && invocation.memory.size() <= kLittle;
  }

  Status Shape(const Invocation& invocation, KernelLaunch* launch) const {
    if (entry_.kind == EntryKind::kKernel) {
      RBC_RETURN_IF_ERROR(CheckShape(entry_, *invocation.shape));
      std::memcpy(launch->grid, invocation.shape->grid, sizeof launch->grid);
      std::memcpy(launch->block, invocation.shape->block, sizeof launch->block);
      launch->shared_bytes = invocation.shape->shared_bytes;
    } else if (entry_.kind == EntryKind::kMap) {
      const uint64_t blocks = (invocation.rows + kMapThreads - 1) / kMapThreads;
      const uint64_t most = uint64_t{gpu_.multiprocessors()} * kMapBlocksPerMultiprocessor;
      launch->grid[0] = static_cast<uint32_t>(std::clamp<uint64_t>(blocks, 1, most));
      launch->block[0] = kMapThreads;
    } else if (entry_.kind == EntryKind::kReduce) {
      launch->grid[0] = BlocksOfReduction(invocation);
      launch->block[0] = kReduceThreads;
    } else if (entry_.kind == EntryKind::kScan) {
      const uint64_t most = uint64_t{gpu_.multiprocessors()} * kMapBlocksPerMultiprocessor;
      launch->grid[0] = static_cast<uint32_t>(std::clamp<uint64_t>(invocation.rows, 1, most));
      launch->block[0] = invocation.in_order ? 1 : ScanThreads(invocation.length);
    }
    return {};
  }

  static constexpr size_t kLittle = 1024;
  const Gpu& gpu_;
  const DeviceOutput* const output_;
  TrackLease track_;
  const EntryPoint& entry_;
  const CUfunction function_;
  const Layout layout_;
  StepClock clock_{nullptr};
  bool running_ = false;
};

class GpuModule : public LoadedModule {
 public:
  GpuModule(Gpu& gpu, const DeviceOutput& output, LoadedImage image, const Artifact& artifact)
      : gpu_(gpu),
        output_(CanPrint(artifact.code) ? &output : nullptr),
        image_(std::move(image)),
        entries_(artifact.entries) {}
  ~GpuModule() override { (void)gpu_.MakeCurrent(); }

  Status FindEntries() {
    for (const EntryPoint& entry : entries_) {
      RBC_ASSIGN_OR_RETURN(const auto function, gpu_.Find(image_, entry.symbol));
      functions_.push_back(function);
    }
    return {};
  }

  void* Symbol(std::string_view name) const override {
    const auto function = gpu_.Find(image_, std::string(name));
    return function ? *function : nullptr;
  }
  const char* FunctionAt(const void*) const override { return ""; }
  bool is_direct() const override { return false; }

  Expected<int32_t> Run(size_t index, Invocation& invocation) override {
    RBC_ASSIGN_OR_RETURN(auto run, Make(index, invocation.memory.size()));
    const auto staged = run->memory();
    std::copy_n(invocation.memory.data(), std::min(invocation.sent, staged.size()), staged.data());
    RBC_RETURN_IF_ERROR(run->Start(invocation));
    RBC_ASSIGN_OR_RETURN(const int32_t status, run->Finish(invocation));
    if (invocation.returned_from < staged.size())
      std::memcpy(invocation.memory.data() + invocation.returned_from, staged.data() + invocation.returned_from,
                  staged.size() - invocation.returned_from);
    return status;
  }

  Expected<std::unique_ptr<EntryRun>> Prepare(size_t index, size_t bytes) override {
    RBC_ASSIGN_OR_RETURN(auto run, Make(index, bytes));
    return std::unique_ptr<EntryRun>(std::move(run));
  }

  Status RunPlain(std::string_view symbol) override {
    RBC_ASSIGN_OR_RETURN(const auto track, TrackLease::Take(gpu_));
    KernelLaunch launch;
    RBC_ASSIGN_OR_RETURN(launch.function, gpu_.Find(image_, std::string(symbol)));
    RBC_RETURN_IF_ERROR(track->Launch(launch));
    return track->Finish();
  }

 private:
  Expected<std::unique_ptr<GpuRun>> Make(size_t index, size_t bytes) {
    RBC_ASSIGN_OR_RETURN(auto track, TrackLease::Take(gpu_));
    RBC_RETURN_IF_ERROR(track->Reserve(Layout(entries_[index], bytes).size));
    return std::make_unique<GpuRun>(gpu_, output_, std::move(track), entries_[index], functions_[index], bytes);
  }

  Gpu& gpu_;
  const DeviceOutput* const output_;
  const LoadedImage image_;
  const std::vector<EntryPoint> entries_;
  std::vector<CUfunction> functions_;
};

class GpuDevice : public Device {
 public:
  GpuDevice(std::unique_ptr<Gpu> gpu, std::unique_ptr<DeviceOutput> output)
      : gpu_(std::move(gpu)), output_(std::move(output)) {}

  Expected<std::unique_ptr<LoadedModule>> Load(std::string_view) override {
    return Error(ErrorKind::kInvalidArgument, "a module for a GPU is loaded with the description of its entries");
  }
  Expected<std::unique_ptr<LoadedModule>> Load(const Artifact& artifact) override {
    if (artifact.format != CodeFormat::kPtx && artifact.format != CodeFormat::kCubin)
      return Error(ErrorKind::kInvalidArgument, "the module was not compiled for a GPU but for its simulation");
    RBC_ASSIGN_OR_RETURN(auto image, gpu_->Load(artifact.code));
    auto module = std::make_unique<GpuModule>(*gpu_, *output_, std::move(image), artifact);
    RBC_RETURN_IF_ERROR(module->FindEntries());
    return std::unique_ptr<LoadedModule>(std::move(module));
  }

  Expected<uint64_t> Allocate(uint64_t bytes) override {
    RBC_ASSIGN_OR_RETURN(const CUdeviceptr address, gpu_->Allocate(bytes));
    return uint64_t{address};
  }
  void Free(uint64_t address) override { gpu_->Free(address); }
  Status CopyIn(uint64_t to, const void* from, uint64_t bytes) override { return gpu_->CopyIn(to, from, bytes); }
  Status CopyOut(void* to, uint64_t from, uint64_t bytes) override { return gpu_->CopyOut(to, from, bytes); }
  Status CopyWithin(uint64_t to, uint64_t from, uint64_t bytes) override { return gpu_->CopyWithin(to, from, bytes); }

 private:
  const std::unique_ptr<Gpu> gpu_;  // outlives its modules: the worker drops them first
  const std::unique_ptr<DeviceOutput> output_;
};

}  // namespace

Expected<std::unique_ptr<Device>> OpenGpu(int ordinal) {
  const DeviceSurroundings& around = SurroundingsOfDevices();
  // Nothing can be written where the driver would keep what it compiles.
  setenv("CUDA_CACHE_DISABLE", "1", 1);
  RBC_ASSIGN_OR_RETURN(auto output, DeviceOutput::Open());
  RBC_ASSIGN_OR_RETURN(auto gpu, Gpu::Open(around.driver, ordinal, around.memory_limit));
  RBC_RETURN_IF_ERROR(gpu->Rehearse(kNothing));
  return std::unique_ptr<Device>(std::make_unique<GpuDevice>(std::move(gpu), std::move(output)));
}

}  // namespace rbc::cuda
