// One GPU as a worker uses it: a context, streams, staging memory, modules, launches.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cuda/driver.h"
#include "cuda/staged_copy.h"

namespace rbc::cuda {

struct KernelLaunch {
  CUfunction function = nullptr;
  uint32_t grid[3] = {1, 1, 1};
  uint32_t block[3] = {1, 1, 1};
  uint32_t shared_bytes = 0;
  std::string_view parameters;  // packed
};

class Gpu;

// A stream with device and pinned memory of its own, for one call at a time.
class Track {
 public:
  // Memory of at least `size` bytes on both sides. kResourceExhausted: beyond the session's limit or the GPU's memory.
  Status Reserve(size_t size);
  uint8_t* staging() const { return static_cast<uint8_t*>(pinned_.get()); }
  // Where kernels find the staging memory itself: for what is little and touched once.
  CUdeviceptr mapped() const { return mapped_; }
  CUdeviceptr device() const { return device_.get(); }
  // All are queued; Finish waits.
  Status CopyIn(size_t offset, size_t size);
  Status CopyOut(size_t offset, size_t size);
  Status Launch(const KernelLaunch& launch);
  // The driver's own wait, after which what kernels printed is there.
  Status Finish();
  // Asks again and again: sooner back than Finish, and without a processor of its own for long kernels.
  Status Await();

 private:
  friend class Gpu;
  Gpu* gpu_ = nullptr;
  Stream stream_;
  PinnedMemory pinned_;
  DeviceMemory device_;
  CUdeviceptr mapped_ = 0;
  size_t size_ = 0;
};

// Thread-safe. The context is made current on each thread that comes.
class Gpu {
 public:
  // kUnavailable: no driver or no such GPU. `memory_limit`: bytes that calls and modules may take; 0: any.
  static Expected<std::unique_ptr<Gpu>> Open(const std::string& driver_path, int ordinal, uint64_t memory_limit);
  // Loads and unloads a kernel that does nothing, so that the driver has opened all it needs.
  Status Rehearse(std::string_view ptx);

  // PTX (NUL-terminated here) or a cubin. kInvalidModule with what the driver's compiler said.
  Expected<LoadedImage> Load(const std::string& image);
  Expected<CUfunction> Find(const LoadedImage& image, const std::string& kernel);
  // More shared memory than 48 KiB must be asked for.
  Status AllowShared(CUfunction function, uint32_t bytes);

  // A track for one call; comes back by Give.
  Expected<std::unique_ptr<Track>> Take();
  void Give(std::unique_ptr<Track> track);
  Status MakeCurrent() const;

  // Memory that stays until Free. kResourceExhausted: beyond the session's limit or the GPU's memory.
  Expected<CUdeviceptr> Allocate(size_t size);
  void Free(CUdeviceptr address);
  // Between that and ordinary memory; done when they return.
  Status CopyIn(CUdeviceptr to, const void* from, uint64_t bytes);
  Status CopyOut(void* to, CUdeviceptr from, uint64_t bytes);
  Status CopyWithin(CUdeviceptr to, CUdeviceptr from, uint64_t bytes);

  uint32_t multiprocessors() const { return multiprocessors_; }
  const Driver& driver() const { return *driver_; }
  // Bytes of device memory in tracks and allocations, for tests and limits.
  uint64_t reserved() const;

 private:
  friend class Track;
  Status Claim(size_t more);
  void Unclaim(size_t bytes);

  std::shared_ptr<const Driver> driver_;
  Context context_;
  uint64_t number_ = 0;  // of all that this process has opened
  uint64_t memory_limit_ = 0;
  uint32_t multiprocessors_ = 1;
  mutable std::mutex mutex_;
  uint64_t reserved_ = 0;
  std::vector<std::unique_ptr<Track>> idle_;
  struct Allocation {
    DeviceMemory memory;
    size_t size;
  };
  std::map<CUdeviceptr, Allocation> allocated_;
  std::mutex copying_;
  std::unique_ptr<StagedCopy> copies_;  // at most one at a time
};

}  // namespace rbc::cuda
