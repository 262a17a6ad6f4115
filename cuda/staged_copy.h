// Copies between ordinary memory and a GPU's, through pinned blocks: the GPU copies one while the processor fills or
// empties the other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "cuda/driver.h"

namespace rbc::cuda {

// One at a time; the context is current. Copies have happened when they return.
class StagedCopy {
 public:
  explicit StagedCopy(const Driver& driver) : driver_(driver) {}
  Status In(CUdeviceptr to, const void* from, uint64_t bytes);
  Status Out(void* to, CUdeviceptr from, uint64_t bytes);
  Status Within(CUdeviceptr to, CUdeviceptr from, uint64_t bytes);

  static constexpr uint64_t kBlock = 4 << 20;

 private:
  static constexpr int kBlocks = 2;
  Status Prepare();  // stream, events and blocks, made at first use
  Status Queue(int block);
  Status Await(int block);
  Status Finish();

  const Driver& driver_;
  Stream stream_;
  Event events_[kBlocks];
  PinnedMemory blocks_[kBlocks];
};

}  // namespace rbc::cuda
