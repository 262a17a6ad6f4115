// One GPU as a worker uses it.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/gpu.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

namespace rbc::cuda {
namespace {

// cuda.h
constexpr int kMultiprocessors = 16;                        // CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT
constexpr int kPrintfFifo = 1;                              // CU_LIMIT_PRINTF_FIFO_SIZE
constexpr int kDynamicShared = 8;                           // CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
constexpr int kErrorLog = 5, kErrorLogSize = 6;             // CU_JIT_ERROR_LOG_BUFFER, its size in bytes
constexpr unsigned kNonBlocking = 1;                        // CU_STREAM_NON_BLOCKING
constexpr unsigned kMapped = 2;                             // CU_MEMHOSTALLOC_DEVICEMAP
void* const kParameterBuffer = reinterpret_cast<void*>(1);  // CU_LAUNCH_PARAM_BUFFER_POINTER
void* const kParameterSize = reinterpret_cast<void*>(2);    // CU_LAUNCH_PARAM_BUFFER_SIZE
void* const kParameterEnd = nullptr;                        // CU_LAUNCH_PARAM_END

constexpr size_t kPrinted = 64 * 1024;  // bytes of output that are kept of a call
constexpr size_t kLogBytes = 8 * 1024;
constexpr size_t kSmallest = 64 * 1024;      // of a track's memory
constexpr size_t kMostIdleBytes = 64 << 20;  // a track that is larger is not kept
constexpr uint32_t kFreeShared = 48 * 1024;

// A kernel is asked after without a pause for so long; then with pauses of a part of the time that it took so far.
using Clock = std::chrono::steady_clock;
constexpr auto kNoPauseFor = std::chrono::microseconds(100);
constexpr auto kLongestPause = std::chrono::microseconds(100);
constexpr int kPauseParts = 16;

// Whose context this thread has; 0: none yet.
thread_local uint64_t current_gpu = 0;
std::atomic<uint64_t> gpus_opened{0};

}  // namespace

Expected<std::unique_ptr<Gpu>> Gpu::Open(const std::string& driver_path, int ordinal, uint64_t memory_limit) {
  auto gpu = std::make_unique<Gpu>();
  RBC_ASSIGN_OR_RETURN(gpu->driver_, Driver::Open(driver_path));
  const Driver& driver = *gpu->driver_;
  gpu->memory_limit_ = memory_limit;
  gpu->copies_ = std::make_unique<StagedCopy>(driver);
  CUdevice device = 0;
  RBC_RETURN_IF_ERROR(driver.Check(driver.cuDeviceGet(&device, ordinal), "cuDeviceGet"));
  CUcontext context = nullptr;
  RBC_RETURN_IF_ERROR(driver.Check(driver.cuCtxCreate(&context, 0, device), "cuCtxCreate"));
  gpu->context_ = Context(&driver, context);
  gpu->number_ = ++gpus_opened;
  current_gpu = gpu->number_;
  int multiprocessors = 1;
  RBC_RETURN_IF_ERROR(
      driver.Check(driver.cuDeviceGetAttribute(&multiprocessors, kMultiprocessors, device), "cuDeviceGetAttribute"));
  gpu->multiprocessors_ = static_cast<uint32_t>(std::max(multiprocessors, 1));
  RBC_RETURN_IF_ERROR(driver.Check(driver.cuCtxSetLimit(kPrintfFifo, kPrinted), "cuCtxSetLimit"));
  return gpu;
}

Status Gpu::MakeCurrent() const {
  if (current_gpu == number_) return {};
  RBC_RETURN_IF_ERROR(driver_->Check(driver_->cuCtxSetCurrent(context_.get()), "cuCtxSetCurrent"));
  current_gpu = number_;
  return {};
}

Status Gpu::Rehearse(std::string_view ptx) {
  RBC_ASSIGN_OR_RETURN(const auto image, Load(std::string(ptx)));
  RBC_ASSIGN_OR_RETURN(auto track, Take());
  RBC_RETURN_IF_ERROR(track->Reserve(1));
  RBC_RETURN_IF_ERROR(track->CopyIn(0, 1));
  RBC_RETURN_IF_ERROR(track->CopyOut(0, 1));
  RBC_RETURN_IF_ERROR(track->Finish());
  Give(std::move(track));
  return {};
}

Expected<LoadedImage> Gpu::Load(const std::string& image) {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  std::string log(kLogBytes, '\0');
  int options[] = {kErrorLog, kErrorLogSize};
  void* values[] = {log.data(), reinterpret_cast<void*>(log.size())};
  CUmodule module = nullptr;
  auto loaded =
      driver_->Check(driver_->cuModuleLoadDataEx(&module, image.c_str(), 2, options, values), "cuModuleLoadDataEx");
  if (loaded) return LoadedImage(driver_.get(), module);
  log.resize(std::strlen(log.c_str()));
  if (!log.empty()) loaded.error().message += "; the driver's compiler says: " + log;
  return std::move(loaded).error();
}

Expected<CUfunction> Gpu::Find(const LoadedImage& image, const std::string& kernel) {
  CUfunction function = nullptr;
  RBC_RETURN_IF_ERROR(
      driver_->Check(driver_->cuModuleGetFunction(&function, image.get(), kernel.c_str()), "cuModuleGetFunction"));
  return function;
}

Status Gpu::AllowShared(CUfunction function, uint32_t bytes) {
  if (bytes <= kFreeShared) return {};
  return driver_->Check(driver_->cuFuncSetAttribute(function, kDynamicShared, static_cast<int>(bytes)),
                        "cuFuncSetAttribute");
}

Status Gpu::Claim(size_t more) {
  const std::lock_guard lock(mutex_);
  if (memory_limit_ != 0 && reserved_ + more > memory_limit_)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the session has {} bytes of the GPU's memory and asks for {} more, the limit is {}",
                             reserved_, more, memory_limit_));
  reserved_ += more;
  return {};
}

void Gpu::Unclaim(size_t bytes) {
  const std::lock_guard lock(mutex_);
  reserved_ -= bytes;
}

uint64_t Gpu::reserved() const {
  const std::lock_guard lock(mutex_);
  return reserved_;
}

Expected<CUdeviceptr> Gpu::Allocate(size_t size) {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  size = std::max<size_t>(size, 1);
  RBC_RETURN_IF_ERROR(Claim(size));
  CUdeviceptr address = 0;
  const auto allocated = driver_->Check(driver_->cuMemAlloc(&address, size), "cuMemAlloc");
  if (!allocated) {
    Unclaim(size);
    return allocated.error();
  }
  const std::lock_guard lock(mutex_);
  allocated_.emplace(address, Allocation{DeviceMemory(driver_.get(), address), size});
  return address;
}

void Gpu::Free(CUdeviceptr address) {
  if (!MakeCurrent()) return;
  decltype(allocated_)::node_type gone;  // without the lock: the driver may wait
  const std::lock_guard lock(mutex_);
  gone = allocated_.extract(address);
  if (!gone.empty()) reserved_ -= gone.mapped().size;
}

Status Gpu::CopyIn(CUdeviceptr to, const void* from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  const std::lock_guard lock(copying_);
  return copies_->In(to, from, bytes);
}

Status Gpu::CopyOut(void* to, CUdeviceptr from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  const std::lock_guard lock(copying_);
  return copies_->Out(to, from, bytes);
}

Status Gpu::CopyWithin(CUdeviceptr to, CUdeviceptr from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  const std::lock_guard lock(copying_);
  return copies_->Within(to, from, bytes);
}

Expected<std::unique_ptr<Track>> Gpu::Take() {
  RBC_RETURN_IF_ERROR(MakeCurrent());
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto track = std::move(idle_.back());
      idle_.pop_back();
      return track;
    }
  }
  auto track = std::make_unique<Track>();
  CUstream stream = nullptr;
  RBC_RETURN_IF_ERROR(driver_->Check(driver_->cuStreamCreate(&stream, kNonBlocking), "cuStreamCreate"));
  track->stream_ = Stream(driver_.get(), stream);
  track->gpu_ = this;
  return track;
}

void Gpu::Give(std::unique_ptr<Track> track) {
  if (track->size_ > kMostIdleBytes) {
    Unclaim(track->size_);
    track->size_ = 0;
    track->pinned_ = {};
    track->device_ = {};
  }
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(track));
}

Status Track::Reserve(size_t size) {
  if (size <= size_) return {};
  const Driver& driver = gpu_->driver();
  size = std::max(kSmallest, (size + kSmallest - 1) / kSmallest * kSmallest);
  // Freed first: what is grown needs no old contents.
  gpu_->Unclaim(size_);
  size_ = 0;
  pinned_ = {};
  device_ = {};
  RBC_RETURN_IF_ERROR(gpu_->Claim(size));
  const auto allocate = [&]() -> Status {
    void* pinned = nullptr;
    RBC_RETURN_IF_ERROR(driver.Check(driver.cuMemHostAlloc(&pinned, size, kMapped), "cuMemHostAlloc"));
    pinned_ = PinnedMemory(&driver, pinned);
    RBC_RETURN_IF_ERROR(
        driver.Check(driver.cuMemHostGetDevicePointer(&mapped_, pinned, 0), "cuMemHostGetDevicePointer"));
    CUdeviceptr device = 0;
    RBC_RETURN_IF_ERROR(driver.Check(driver.cuMemAlloc(&device, size), "cuMemAlloc"));
    device_ = DeviceMemory(&driver, device);
    return {};
  };
  auto allocated = allocate();
  if (!allocated) {
    pinned_ = {};
    gpu_->Unclaim(size);
    return allocated;
  }
  size_ = size;
  return {};
}

Status Track::CopyIn(size_t offset, size_t size) {
  if (size == 0) return {};
  const Driver& driver = gpu_->driver();
  return driver.Check(driver.cuMemcpyHtoDAsync(device() + offset, staging() + offset, size, stream_.get()),
                      "cuMemcpyHtoDAsync");
}

Status Track::CopyOut(size_t offset, size_t size) {
  if (size == 0) return {};
  const Driver& driver = gpu_->driver();
  return driver.Check(driver.cuMemcpyDtoHAsync(staging() + offset, device() + offset, size, stream_.get()),
                      "cuMemcpyDtoHAsync");
}

Status Track::Launch(const KernelLaunch& launch) {
  const Driver& driver = gpu_->driver();
  size_t size = launch.parameters.size();
  void* extra[] = {kParameterBuffer, const_cast<char*>(launch.parameters.data()), kParameterSize, &size, kParameterEnd};
  RBC_RETURN_IF_ERROR(gpu_->AllowShared(launch.function, launch.shared_bytes));
  return driver.Check(driver.cuLaunchKernel(launch.function, launch.grid[0], launch.grid[1], launch.grid[2],
                                            launch.block[0], launch.block[1], launch.block[2], launch.shared_bytes,
                                            stream_.get(), nullptr, size == 0 ? nullptr : extra),
                      "cuLaunchKernel");
}

Status Track::Finish() {
  const Driver& driver = gpu_->driver();
  return driver.Check(driver.cuStreamSynchronize(stream_.get()), "cuStreamSynchronize");
}

Status Track::Await() {
  const Driver& driver = gpu_->driver();
  const auto begin = Clock::now();
  for (;;) {
    const CUresult result = driver.cuStreamQuery(stream_.get());
    if (result != kNotReady) return driver.Check(result, "cuStreamQuery");
    const auto passed = Clock::now() - begin;
    if (passed > kNoPauseFor)
      std::this_thread::sleep_for(std::min<Clock::duration>(passed / kPauseParts, kLongestPause));
  }
}

}  // namespace rbc::cuda
