// A map over arrays by an entry of this process: split into chunks, each piece along the innermost dimension by one
// call of the entry.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "worker/array_call.h"
#include "worker/bulk_pool.h"
#include "worker/first_failure.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"

namespace rbc::worker {
namespace {

// Of a chunk, a multiple of the 64 elements of a vectorised tile: large enough that taking one costs nothing beside
// it, small enough that threads end together.
constexpr uint64_t kGrain = 16 * 1024;
// Below this a thread that must wake up comes too late to help.
constexpr uint64_t kLeastShared = 32 * 1024;

class MapJob : public ChunkBody {
 public:
  MapJob(const LoadedFunction& function, const ArrayCall& call, uint64_t grain)
      : function_(function), call_(call), columns_(call.columns()), grain_(grain) {}

  uint64_t chunks() const { return (call_.elements() + grain_ - 1) / grain_; }
  const FirstFailure& failure() const { return failure_; }

  void Run(uint64_t chunk) override {
    const uint64_t first = chunk * grain_;
    std::vector<HostMapColumn> frame(columns_.size() + 1);
    for (size_t i = 0; i < columns_.size(); ++i) frame[i + 1].stride = InnerStride(columns_[i]);
    for (RowWalk walk(call_.shape(), first, std::min(grain_, call_.elements() - first)); !walk.done(); walk.Next()) {
      for (size_t i = 0; i < columns_.size(); ++i)
        frame[i + 1].data = columns_[i].data + walk.OffsetIn(columns_[i].strides);
      if (call_.mask() == nullptr)
        Enter(frame, walk.first(), walk.length());
      else
        EnterWhereMasked(frame, walk);
    }
  }

 private:
  static int64_t InnerStride(const ArrayOperand& operand) {
    return operand.strides.empty() ? operand.size : operand.strides.back();
  }

  void Enter(std::vector<HostMapColumn>& frame, uint64_t first, uint64_t rows) {
    frame[0] = {reinterpret_cast<void*>(rows), 0};
    alignas(16) uint64_t failed[2] = {};
    const int32_t status = function_.entry(frame.data(), failed);
    if (status != 0) failure_.Note(first + failed[0], status);
  }

  // Each run of elements whose mask is set.
  void EnterWhereMasked(const std::vector<HostMapColumn>& piece, const RowWalk& walk) {
    const uint8_t* const mask = call_.mask()->data + walk.OffsetIn(call_.mask()->strides);
    const int64_t stride = InnerStride(*call_.mask());
    const auto is_set = [&](uint64_t i) { return mask[static_cast<int64_t>(i) * stride] != 0; };
    std::vector<HostMapColumn> frame = piece;
    for (uint64_t i = 0; i < walk.length();) {
      if (!is_set(i)) {
        ++i;
        continue;
      }
      const uint64_t begin = i;
      while (i < walk.length() && is_set(i)) ++i;
      for (size_t c = 1; c < frame.size(); ++c)
        frame[c].data = static_cast<uint8_t*>(piece[c].data) + static_cast<int64_t>(begin) * piece[c].stride;
      Enter(frame, walk.first() + begin, i - begin);
    }
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const std::span<const ArrayOperand> columns_;
  const uint64_t grain_;
  FirstFailure failure_;
};

}  // namespace

Expected<int32_t> RunArrayMap(const LoadedFunction& function, const ArrayCall& call, const CallContext& context,
                              uint64_t* failed) {
  const bool alone = call.elements() < kLeastShared || function.module->serial() != nullptr;
  MapJob job(function, call, alone ? call.elements() : kGrain);
  SharedBulkPool().Run(context, job.chunks(), job);
  *failed = job.failure().element();
  return job.failure().status();
}

}  // namespace rbc::worker
