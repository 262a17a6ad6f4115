// Reductions over arrays by a device that runs its entries itself: blocks of threads over the whole grid make a value
// of each run of elements, then one block makes one of these.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <functional>

#include "targets/cuda/launch.h"
#include "worker/array_call.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

// What meets what depends on the number of elements alone, however they come to the device: each block of threads has
// just so many. A few thousand blocks are enough for any device, and their values are few.
constexpr uint64_t kRun = 64;  // elements of a thread
constexpr uint64_t kRowsOfBlock = kRun * cuda::kReduceThreads;

constexpr uint64_t kPieceBytes = 32 << 20;         // what crosses to the device at once
constexpr uint64_t kMostRows = uint64_t{1} << 28;  // of a launch over what is there already
constexpr uint64_t kAlignment = 64;                // of what lies in a call's memory

uint64_t Count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) count *= static_cast<uint64_t>(length);
  return count;
}

// Elements in their order: on the device, or brought together by `bring`.
struct Elements {
  uint64_t device = 0;  // address of the first; 0: they are here
  int64_t stride = 0;   // there
  std::function<void(uint64_t first, uint64_t count, uint8_t* to)> bring;
};

class DeviceReduction {
 public:
  DeviceReduction(const LoadedFunction& function, const ArrayCall& call)
      : function_(function),
        call_(call),
        in_(call.columns()[0]),
        out_(call.columns()[1]),
        size_(in_.size),
        length_(Count(call.inner())) {}

  Expected<int32_t> Run() {
    RBC_ASSIGN_OR_RETURN(value_, scratch_.Get(size_));
    const uint64_t rows = Count(call_.outer());
    for (uint64_t row = 0; row < rows; ++row) {
      RBC_RETURN_IF_ERROR(Reduce(ElementsOf(row), length_));
      std::memcpy(RowOf(out_, row), value_, size_);
    }
    return status_;
  }

 private:
  uint8_t* RowOf(const ArrayOperand& operand, uint64_t row) const { return operand.data + OffsetOfRow(operand, row); }
  int64_t OffsetOfRow(const ArrayOperand& operand, uint64_t row) const {
    const auto outer = call_.outer();
    return RowWalk(outer, row, 1).OffsetIn(std::span(operand.strides).first(outer.size()));
  }

  Elements ElementsOf(uint64_t row) const {
    if (in_.device != 0)
      return {
          in_.device + static_cast<uint64_t>(OffsetOfRow(in_, row)), in_.strides.empty() ? 0 : in_.strides.back(), {}};
    const auto inner = call_.inner();
    return {0, 0, [this, inner, from = RowOf(in_, row)](uint64_t first, uint64_t count, uint8_t* to) {
              Gather(from, inner, std::span(in_.strides).last(inner.size()), size_, first, count, to);
            }};
  }

  // The value of all of them.
  Status Reduce(const Elements& elements, uint64_t count) {
    if (count <= kRowsOfBlock) return Launch(elements, 0, count, {});
    const uint64_t most =
        elements.device != 0 ? kMostRows : std::max<uint64_t>(kPieceBytes / size_ / kRowsOfBlock, 1) * kRowsOfBlock;
    std::vector<uint8_t> values((count + kRowsOfBlock - 1) / kRowsOfBlock * size_);
    for (uint64_t first = 0; first < count; first += most) {
      const uint64_t rows = std::min(most, count - first), blocks = (rows + kRowsOfBlock - 1) / kRowsOfBlock;
      RBC_RETURN_IF_ERROR(
          Launch(elements, first, rows, std::span(values).subspan(first / kRowsOfBlock * size_, blocks * size_)));
    }
    const Elements left{0, 0, [&](uint64_t first, uint64_t number, uint8_t* to) {
                          std::memcpy(to, values.data() + first * size_, number * size_);
                        }};
    return Reduce(left, values.size() / size_);
  }

  // Of some of them: one value, or those of all blocks.
  Status Launch(const Elements& elements, uint64_t first, uint64_t rows, std::span<uint8_t> values) {
    const uint64_t here = elements.device != 0 ? 0 : (rows * size_ + kAlignment - 1) / kAlignment * kAlignment;
    RBC_RETURN_IF_ERROR(Need(here + values.size()));
    if (elements.device == 0) elements.bring(first, rows, memory_);
    const auto element = static_cast<int64_t>(size_);
    std::array columns = {MapColumn{0, element, size_}, MapColumn{here, element, size_}};
    if (elements.device != 0) {
      columns[0].stride = elements.stride;
      columns[0].device = elements.device + first * static_cast<uint64_t>(elements.stride);
    }
    Invocation invocation;
    invocation.memory = {memory_, here + values.size()};
    invocation.sent = invocation.returned_from = here;
    invocation.result = value_;
    invocation.rows = rows;
    invocation.columns = std::span(columns).first(values.empty() ? 1 : 2);
    invocation.run = kRun;
    RBC_ASSIGN_OR_RETURN(const int32_t status, function_.module->code().Run(function_.index, invocation));
    if (status_ == 0) status_ = status;
    if (!values.empty()) std::memcpy(values.data(), memory_ + here, values.size());
    return {};
  }

  Status Need(uint64_t bytes) {
    if (bytes <= room_) return {};
    RBC_ASSIGN_OR_RETURN(memory_, scratch_.Get(bytes));
    room_ = bytes;
    return {};
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const ArrayOperand& in_;
  const ArrayOperand& out_;
  const uint32_t size_;    // of an element
  const uint64_t length_;  // of a row
  Scratch scratch_;
  uint8_t* memory_ = nullptr;
  uint64_t room_ = 0;
  uint8_t* value_ = nullptr;
  int32_t status_ = 0;
};

}  // namespace

Expected<int32_t> RunArrayReductionOnDevice(const LoadedFunction& function, const ArrayCall& call) {
  return DeviceReduction(function, call).Run();
}

}  // namespace rbc::worker
