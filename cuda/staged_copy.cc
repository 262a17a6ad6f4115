// Copies between ordinary memory and a GPU's, through pinned blocks.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/staged_copy.h"

#include <algorithm>
#include <cstring>

namespace rbc::cuda {
namespace {

constexpr unsigned kNonBlocking = 1;   // CU_STREAM_NON_BLOCKING
constexpr unsigned kWithoutTimes = 2;  // CU_EVENT_DISABLE_TIMING

}  // namespace

Status StagedCopy::Prepare() {
  if (blocks_[kBlocks - 1]) return {};
  CUstream stream = nullptr;
  RBC_RETURN_IF_ERROR(driver_.Check(driver_.cuStreamCreate(&stream, kNonBlocking), "cuStreamCreate"));
  stream_ = Stream(&driver_, stream);
  for (int i = 0; i < kBlocks; ++i) {
    CUevent event = nullptr;
    RBC_RETURN_IF_ERROR(driver_.Check(driver_.cuEventCreate(&event, kWithoutTimes), "cuEventCreate"));
    events_[i] = Event(&driver_, event);
    void* block = nullptr;
    RBC_RETURN_IF_ERROR(driver_.Check(driver_.cuMemHostAlloc(&block, kBlock, 0), "cuMemHostAlloc"));
    blocks_[i] = PinnedMemory(&driver_, block);
  }
  return {};
}

Status StagedCopy::Queue(int block) {
  return driver_.Check(driver_.cuEventRecord(events_[block].get(), stream_.get()), "cuEventRecord");
}

Status StagedCopy::Await(int block) {
  return driver_.Check(driver_.cuEventSynchronize(events_[block].get()), "cuEventSynchronize");
}

Status StagedCopy::Finish() { return driver_.Check(driver_.cuStreamSynchronize(stream_.get()), "cuStreamSynchronize"); }

Status StagedCopy::In(CUdeviceptr to, const void* from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(Prepare());
  const char* next = static_cast<const char*>(from);
  for (uint64_t done = 0, piece = 0; done < bytes; done += kBlock, ++piece) {
    const int block = static_cast<int>(piece % kBlocks);
    const uint64_t size = std::min(kBlock, bytes - done);
    if (piece >= kBlocks) RBC_RETURN_IF_ERROR(Await(block));
    std::memcpy(blocks_[block].get(), next + done, size);
    RBC_RETURN_IF_ERROR(driver_.Check(driver_.cuMemcpyHtoDAsync(to + done, blocks_[block].get(), size, stream_.get()),
                                      "cuMemcpyHtoDAsync"));
    RBC_RETURN_IF_ERROR(Queue(block));
  }
  return Finish();
}

Status StagedCopy::Out(void* to, CUdeviceptr from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(Prepare());
  const uint64_t pieces = (bytes + kBlock - 1) / kBlock;
  const auto size = [&](uint64_t piece) { return std::min(kBlock, bytes - piece * kBlock); };
  const auto start = [&](uint64_t piece) -> Status {
    const int block = static_cast<int>(piece % kBlocks);
    RBC_RETURN_IF_ERROR(driver_.Check(
        driver_.cuMemcpyDtoHAsync(blocks_[block].get(), from + piece * kBlock, size(piece), stream_.get()),
        "cuMemcpyDtoHAsync"));
    return Queue(block);
  };
  for (uint64_t piece = 0; piece < std::min<uint64_t>(pieces, kBlocks); ++piece) RBC_RETURN_IF_ERROR(start(piece));
  for (uint64_t piece = 0; piece < pieces; ++piece) {
    const int block = static_cast<int>(piece % kBlocks);
    RBC_RETURN_IF_ERROR(Await(block));
    std::memcpy(static_cast<char*>(to) + piece * kBlock, blocks_[block].get(), size(piece));
    if (piece + kBlocks < pieces) RBC_RETURN_IF_ERROR(start(piece + kBlocks));
  }
  return {};
}

Status StagedCopy::Within(CUdeviceptr to, CUdeviceptr from, uint64_t bytes) {
  RBC_RETURN_IF_ERROR(Prepare());
  RBC_RETURN_IF_ERROR(driver_.Check(driver_.cuMemcpyDtoDAsync(to, from, bytes, stream_.get()), "cuMemcpyDtoDAsync"));
  return Finish();
}

}  // namespace rbc::cuda
