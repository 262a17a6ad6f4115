// Operands of a call over arrays that lie in the device's memory.
// SPDX-License-Identifier: Apache-2.0
#include "worker/resident_arrays.h"

#include <algorithm>

#include "worker/device_buffers.h"
#include "worker/row_walk.h"

namespace rbc::worker {
namespace {

// Of launches over what can be walked over as one each, where that is not all of an array; of much any number.
constexpr uint64_t kMostLaunches = 64;
constexpr uint64_t kLongRow = 16 * 1024;

bool IsResident(const ArrayOperand& operand) { return operand.device != 0; }

bool Overlap(const ArrayOperand& a, const ByteRange& ra, const ArrayOperand& b, const ByteRange& rb) {
  const __int128 at_a = a.device, at_b = b.device;
  return at_a + ra.low < at_b + rb.high && at_b + rb.low < at_a + ra.high;
}

bool IsAligned(const ArrayOperand& operand) {
  const uint64_t alignment = std::min<uint64_t>(operand.size & (0 - uint64_t{operand.size}), 16);
  uint64_t all = operand.device;
  for (const int64_t stride : operand.strides) all |= static_cast<uint64_t>(stride);
  return all % std::max<uint64_t>(alignment, 1) == 0;
}

// Whether inputs that stay lie exactly where the result does or apart from it.
bool AreApart(const ArrayCall& call) {
  const ArrayOperand* const result = call.result();
  if (result == nullptr || !IsResident(*result)) return true;
  const ByteRange written = call.RangeOf(*result);
  return std::all_of(call.columns().begin(), call.columns().end(), [&](const ArrayOperand& operand) {
    const bool same =
        operand.device == result->device && operand.size == result->size && operand.strides == result->strides;
    return &operand == result || !IsResident(operand) || same ||
           !Overlap(operand, call.RangeOf(operand), *result, written);
  });
}

bool MapTakes(const ArrayCall& call) {
  const uint64_t inner = call.shape().empty() ? 1 : static_cast<uint64_t>(call.shape().back());
  return call.mask() == nullptr && call.elements() / inner <= kMostLaunches && AreApart(call);
}

// One walk over each row of the input, and of the result where that stays too.
bool ScanTakes(const ArrayCall& call) {
  const ArrayOperand& input = call.columns()[0];
  if (!IsResident(input) || !IsAligned(input) || !IsAligned(*call.result()) || call.ordered()) return false;
  const uint64_t length = call.inner().empty() ? 1 : static_cast<uint64_t>(call.inner()[0]);
  const ArrayOperand& result = *call.result();
  const bool at_once = call.IsOneRun(input) && (!IsResident(result) || call.IsOneRun(result));
  const bool few_launches = at_once || length >= kLongRow || call.elements() / length <= kMostLaunches;
  return few_launches && call.inner().size() <= 1 && AreApart(call);
}

// All rows of one dimension at once.
bool ReductionTakes(const ArrayCall& call) {
  if (call.inner().size() > 1) return false;
  uint64_t at_once = call.inner().empty() ? 1 : static_cast<uint64_t>(call.inner()[0]);
  if (!call.outer().empty()) at_once *= static_cast<uint64_t>(call.outer().back());
  return call.elements() / at_once <= kMostLaunches || at_once >= kLongRow;
}

// Whether the entry takes the operand where it lies.
bool Stays(const LoadedFunction& function, const ArrayCall& call, const ArrayOperand& operand) {
  if (!IsAligned(operand)) return false;
  switch (function.point.kind) {
    case EntryKind::kMap:
      return MapTakes(call);
    case EntryKind::kReduce:
      return &operand == &call.columns()[0] && ReductionTakes(call);
    case EntryKind::kScan:
      return ScanTakes(call);
    default:
      return false;
  }
}

}  // namespace

Status ResidentArrays::Bring(const LoadedFunction& function, ArrayCall& call, Scratch& scratch) {
  const auto operands = call.mutable_operands();
  std::vector<ArrayOperand*> moving;
  for (ArrayOperand& operand : operands)
    if (IsResident(operand) && !Stays(function, call, operand)) moving.push_back(&operand);
  for (ArrayOperand* const operand : moving) {
    const ByteRange range = call.RangeOf(*operand);
    const auto bytes = static_cast<uint64_t>(range.high - range.low);
    const uint64_t from = operand->device + static_cast<uint64_t>(range.low);
    RBC_ASSIGN_OR_RETURN(uint8_t* const copy, scratch.Get(bytes));
    // Of a result too: what lies between its elements, or is left out by a mask, stays as it is.
    RBC_RETURN_IF_ERROR(BuffersOnDevice()->device().CopyOut(copy, from, bytes));
    operand->data = copy - static_cast<int64_t>(range.low);
    operand->device = 0;
    if (operand == call.result()) result_ = {from, copy, bytes};
  }
  return {};
}

Status ResidentArrays::PutBack() {
  if (!result_) return {};
  return BuffersOnDevice()->device().CopyIn(result_->address, result_->first, result_->bytes);
}

}  // namespace rbc::worker
