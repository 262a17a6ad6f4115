// Maps and reductions over arrays by a device that runs its entries itself: piece by piece through memory that is the
// call's own, rows side by side.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "worker/array_call.h"
#include "worker/first_failure.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kPieceBytes = 32 << 20;  // of all columns together: what crosses to the device at once
constexpr uint64_t kColumnAlignment = 64;

uint64_t RoundUp(uint64_t size) { return (size + kColumnAlignment - 1) / kColumnAlignment * kColumnAlignment; }

uint64_t Count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) count *= static_cast<uint64_t>(length);
  return count;
}

bool IsOneValue(const ArrayOperand& operand) {
  return std::all_of(operand.strides.begin(), operand.strides.end(), [](int64_t stride) { return stride == 0; });
}

class DeviceMap {
 public:
  DeviceMap(const LoadedFunction& function, const ArrayCall& call)
      : function_(function), call_(call), columns_(call.columns()) {
    uint64_t row = 0;
    for (const auto& column : columns_) row += column.size;
    rows_ = std::clamp<uint64_t>(kPieceBytes / std::max<uint64_t>(row, 1), 1, call.elements());
  }

  Expected<int32_t> Run(uint64_t* failed) {
    uint64_t size = 0;
    for (const auto& column : columns_) {
      const bool broadcast = &column != call_.result() && IsOneValue(column);
      places_.push_back({size, broadcast ? 0 : static_cast<int64_t>(column.size), column.size});
      size += RoundUp(column.size * (broadcast ? 1 : rows_));
    }
    RBC_ASSIGN_OR_RETURN(uint8_t* const memory, scratch_.Get(size));
    memory_ = {memory, size};
    RBC_ASSIGN_OR_RETURN(unused_, scratch_.Get(function_.point.result_size));
    mask_.resize(call_.mask() != nullptr ? rows_ : 0);
    for (uint64_t first = 0; first < call_.elements(); first += rows_)
      RBC_RETURN_IF_ERROR(Piece(first, std::min(rows_, call_.elements() - first)));
    *failed = failure_.element();
    return failure_.status();
  }

 private:
  uint8_t* At(size_t column) const { return memory_.data() + places_[column].offset; }

  void Bring(const ArrayOperand& operand, uint64_t first, uint64_t count, uint8_t* to) const {
    Gather(operand.data, call_.shape(), operand.strides, operand.size, first, count, to);
  }

  // Brings the rows from `first` on together, those that the mask leaves out not; tells which row each is.
  uint64_t Select(uint64_t first, uint64_t count) {
    if (call_.mask() == nullptr) return count;
    Bring(*call_.mask(), first, count, mask_.data());
    selected_.clear();
    for (uint64_t i = 0; i < count; ++i)
      if (mask_[i] != 0) selected_.push_back(i);
    return selected_.size();
  }

  Status Piece(uint64_t first, uint64_t count) {
    const uint64_t rows = Select(first, count);
    if (rows == 0) return {};
    for (size_t i = 0; i < columns_.size(); ++i) {
      if (&columns_[i] == call_.result()) continue;
      Bring(columns_[i], first, places_[i].stride == 0 ? 1 : count, At(i));
      if (call_.mask() == nullptr || places_[i].stride == 0) continue;
      const uint32_t size = columns_[i].size;
      for (uint64_t r = 0; r < rows; ++r) std::memmove(At(i) + r * size, At(i) + selected_[r] * size, size);
    }
    Invocation invocation;
    invocation.memory = memory_;
    invocation.returned_from = call_.result() != nullptr ? places_.back().offset : memory_.size();
    invocation.result = unused_;
    invocation.rows = rows;
    invocation.columns = places_;
    RBC_ASSIGN_OR_RETURN(const int32_t status, function_.module->code().Run(function_.index, invocation));
    if (status != 0) {
      const uint64_t row = std::min(invocation.failed_row, rows - 1);
      failure_.Note(first + (call_.mask() != nullptr ? selected_[row] : row), status);
    }
    if (call_.result() != nullptr) TakeResult(first, count, rows);
    return {};
  }

  void TakeResult(uint64_t first, uint64_t count, uint64_t rows) {
    const ArrayOperand& result = *call_.result();
    const uint8_t* const values = At(columns_.size() - 1);
    if (call_.mask() == nullptr) {
      Scatter(values, call_.shape(), result.strides, result.size, first, count, result.data);
      return;
    }
    for (uint64_t r = 0; r < rows; ++r)
      Scatter(values + r * result.size, call_.shape(), result.strides, result.size, first + selected_[r], 1,
              result.data);
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const std::span<const ArrayOperand> columns_;
  uint64_t rows_ = 0;  // of a piece
  Scratch scratch_;
  std::span<uint8_t> memory_;
  uint8_t* unused_ = nullptr;  // the one result that an entry of another kind would give
  std::vector<MapColumn> places_;
  std::vector<uint8_t> mask_;
  std::vector<uint64_t> selected_;
  FirstFailure failure_;
};

class DeviceReduction {
 public:
  DeviceReduction(const LoadedFunction& function, const ArrayCall& call)
      : function_(function),
        call_(call),
        in_(call.columns()[0]),
        out_(call.columns()[1]),
        length_(Count(call.inner())),
        rows_(std::clamp<uint64_t>(kPieceBytes / in_.size, 2, std::max<uint64_t>(length_, 2))) {}

  Expected<int32_t> Run() {
    const uint64_t rows = Count(call_.outer());
    RBC_ASSIGN_OR_RETURN(uint8_t* const memory, scratch_.Get(rows_ * in_.size));
    memory_ = {memory, rows_ * in_.size};
    RBC_ASSIGN_OR_RETURN(value_, scratch_.Get(in_.size));
    for (uint64_t row = 0; row < rows; ++row) RBC_RETURN_IF_ERROR(Row(row));
    return status_;
  }

 private:
  uint8_t* RowOf(const ArrayOperand& operand, uint64_t row) const {
    const auto outer = call_.outer();
    return operand.data + RowWalk(outer, row, 1).OffsetIn(std::span(operand.strides).first(outer.size()));
  }

  // The value so far goes before the next piece.
  Status Row(uint64_t row) {
    const auto inner = call_.inner();
    const auto strides = std::span(in_.strides).last(inner.size());
    uint64_t kept = 0;
    for (uint64_t first = 0; first < length_;) {
      const uint64_t count = std::min(rows_ - kept, length_ - first);
      if (kept != 0) std::memcpy(memory_.data(), value_, in_.size);
      Gather(RowOf(in_, row), inner, strides, in_.size, first, count, memory_.data() + kept * in_.size);
      RBC_RETURN_IF_ERROR(Piece(kept + count));
      first += count;
      kept = 1;
    }
    std::memcpy(RowOf(out_, row), value_, in_.size);
    return {};
  }

  Status Piece(uint64_t count) {
    const MapColumn column{0, static_cast<int64_t>(in_.size), in_.size};
    Invocation invocation;
    invocation.memory = memory_;
    invocation.returned_from = memory_.size();
    invocation.result = value_;
    invocation.rows = count;
    invocation.columns = {&column, 1};
    RBC_ASSIGN_OR_RETURN(const int32_t status, function_.module->code().Run(function_.index, invocation));
    if (status_ == 0) status_ = status;
    return {};
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const ArrayOperand& in_;
  const ArrayOperand& out_;
  const uint64_t length_, rows_;  // of a row, and of a piece
  Scratch scratch_;
  std::span<uint8_t> memory_;
  uint8_t* value_ = nullptr;
  int32_t status_ = 0;
};

}  // namespace

Expected<int32_t> RunArraysOnDevice(const LoadedFunction& function, const ArrayCall& call, uint64_t* failed) {
  switch (function.point.kind) {
    case EntryKind::kMap:
      return DeviceMap(function, call).Run(failed);
    case EntryKind::kReduce:
      return DeviceReduction(function, call).Run();
    case EntryKind::kScan:
      return RunArrayScanOnDevice(function, call);
    default:
      return Error(ErrorKind::kInternal, "'" + function.name + "' is no entry that goes over arrays");
  }
}

}  // namespace rbc::worker
