// Reductions over arrays by a device that runs its entries itself: threads make a value of each run of elements, blocks
// of threads one of some runs, until one is left of each row. All rows at once, and what is between stays there.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "targets/cuda/launch.h"
#include "worker/array_call.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

// What meets what depends on the array's shape alone, however its elements lie and come to the device.
constexpr uint64_t kRun = 64;  // elements of a thread
constexpr uint64_t kRowsOfBlock = kRun * cuda::kReduceThreads;
// So many rows keep a device busy with a thread for each, if they are not too long.
constexpr uint64_t kManyRows = 512;
constexpr uint64_t kLongestAlone = 4096;

constexpr uint64_t kPieceBytes = 32 << 20;         // what crosses to the device at once
constexpr uint64_t kMostRows = uint64_t{1} << 28;  // of a launch over what is there already
constexpr uint64_t kAlignment = 64;                // of what lies in a call's memory

uint64_t RoundUp(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t Count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) count *= static_cast<uint64_t>(length);
  return count;
}

// One launch over all rows.
struct Level {
  uint64_t length = 0;  // of a row
  uint64_t run = 0;     // elements of a thread
  bool alone = false;   // each thread gives a value; else each block
  uint64_t of_value() const { return alone ? run : run * cuda::kReduceThreads; }
  uint64_t values() const { return (length + of_value() - 1) / of_value(); }  // of a row
};

// The levels for rows of this length. `by_columns`: threads go over neighbouring rows, where these lie closer together
// than their elements; the same runs meet.
std::vector<Level> LevelsFor(uint64_t length, uint64_t rows, bool by_columns) {
  if (length <= kRun || (rows >= kManyRows && length <= kLongestAlone)) return {{length, length, true}};
  std::vector<Level> levels = {{length, kRun, by_columns}};
  if (by_columns) levels.push_back({levels.back().values(), 1, false});
  while (levels.back().values() > 1) {
    const uint64_t left = levels.back().values();
    levels.push_back(left <= kRun ? Level{left, left, true} : Level{left, kRun, false});
  }
  return levels;
}

// Rows of elements: on the device, or here, from where they are brought side by side.
struct Rows {
  uint64_t count = 0;
  uint64_t device = 0;              // address of the first element
  int64_t stride = 0, between = 0;  // there: of elements, of rows
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
    RBC_ASSIGN_OR_RETURN(unused_, scratch_.Get(size_));
    const uint64_t all = Count(call_.outer());
    const uint64_t at_once =
        in_.device == 0 || call_.outer().empty() ? all : static_cast<uint64_t>(call_.outer().back());
    for (uint64_t first = 0; first < all; first += at_once) {
      Rows rows = RowsFrom(first);
      rows.count = at_once;
      RBC_RETURN_IF_ERROR(Reduce(rows, first));
    }
    return status_;
  }

 private:
  int64_t OffsetOfRow(const ArrayOperand& operand, uint64_t row) const {
    const auto outer = call_.outer();
    return RowWalk(outer, row, 1).OffsetIn(std::span(operand.strides).first(outer.size()));
  }

  Rows RowsFrom(uint64_t first) const {
    if (in_.device == 0) return {};
    const size_t outer = call_.outer().size();
    return {0, in_.device + static_cast<uint64_t>(OffsetOfRow(in_, first)),
            in_.strides.empty() ? 0 : in_.strides.back(), outer == 0 ? 0 : in_.strides[outer - 1]};
  }

  // Of all these rows, of which the first is number `first`, as many at once as the device shall take.
  Status Reduce(const Rows& rows, uint64_t first) {
    const bool by_columns = rows.device != 0 && rows.count > 1 && std::abs(rows.between) < std::abs(rows.stride);
    levels_ = LevelsFor(length_, Count(call_.outer()), by_columns);
    const uint64_t blocks = std::max<uint64_t>(kPieceBytes / size_ / kRowsOfBlock, 1);
    most_ = rows.device != 0 ? kMostRows : blocks * kRowsOfBlock;
    const uint64_t at_once = std::clamp<uint64_t>(most_ / length_, 1, rows.count);
    RBC_RETURN_IF_ERROR(MakeRoom(at_once, rows.device == 0));
    for (uint64_t row = 0; row < rows.count; row += at_once) {
      Rows some = rows;
      some.count = std::min(at_once, rows.count - row);
      if (rows.device != 0) some.device += row * static_cast<uint64_t>(rows.between);
      RBC_RETURN_IF_ERROR(ReduceAtOnce(some, first + row));
    }
    return {};
  }

  // In the call's memory: elements that are brought, then the values of each level.
  Status MakeRoom(uint64_t rows, bool brings) {
    uint64_t size = brings ? RoundUp(std::min(rows * length_, most_) * size_) : 0;
    places_.clear();
    for (const Level& level : levels_) {
      places_.push_back(size);
      size += RoundUp(rows * level.values() * size_);
    }
    if (run_ != nullptr && run_->memory().size() >= size) return {};
    run_ = nullptr;
    RBC_ASSIGN_OR_RETURN(run_, function_.module->code().Prepare(function_.index, size));
    return {};
  }

  Status ReduceAtOnce(const Rows& rows, uint64_t first) {
    RBC_RETURN_IF_ERROR(FirstLevel(rows, first));
    for (size_t i = 1; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      const auto step = static_cast<int64_t>(size_);
      const MapColumn values{places_[i - 1], step, size_};
      RBC_RETURN_IF_ERROR(Launch(i, values, level.length, rows.count, static_cast<int64_t>(level.length) * step, 0, 0));
    }
    const uint8_t* const results = run_->memory().data() + places_.back();
    for (uint64_t row = 0; row < rows.count; ++row)
      std::memcpy(out_.data + OffsetOfRow(out_, first + row), results + row * size_, size_);
    return {};
  }

  // A row that is longer than what is taken at once comes in parts of whole blocks.
  Status FirstLevel(const Rows& rows, uint64_t first) {
    for (uint64_t begin = 0; begin < length_; begin += most_) {
      const uint64_t length = std::min(most_, length_ - begin);
      MapColumn column{0, static_cast<int64_t>(size_), size_};
      int64_t between = static_cast<int64_t>(length * size_);
      uint64_t sent = 0;
      if (rows.device != 0) {
        column.stride = rows.stride;
        column.device = rows.device + begin * static_cast<uint64_t>(rows.stride);
        between = rows.between;
      } else {
        Bring(first, begin, rows.count, length);
        sent = rows.count * length * size_;
      }
      RBC_RETURN_IF_ERROR(Launch(0, column, length, rows.count, between, begin, sent));
    }
    return {};
  }

  // All of each row, or a part of one.
  void Bring(uint64_t first, uint64_t begin, uint64_t rows, uint64_t length) {
    const auto inner = call_.inner();
    const auto strides = std::span(in_.strides).last(inner.size());
    uint8_t* to = run_->memory().data();
    for (uint64_t row = first; row < first + rows; ++row, to += length * size_)
      Gather(in_.data + OffsetOfRow(in_, row), inner, strides, size_, begin, length, to);
  }

  Status Launch(size_t level, const MapColumn& column, uint64_t length, uint64_t rows, int64_t between, uint64_t begin,
                uint64_t sent) {
    const Level& how = levels_[level];
    const uint64_t values = places_[level] + begin / how.of_value() * size_;
    const std::array columns = {column, MapColumn{values, static_cast<int64_t>(size_), size_}};
    Invocation invocation;
    invocation.memory = run_->memory();
    invocation.sent = sent;
    const bool is_last = level + 1 == levels_.size();
    invocation.returned_from = is_last ? places_[level] : invocation.memory.size();
    invocation.result = unused_;
    invocation.rows = length;
    invocation.columns = columns;
    invocation.run = how.run;
    invocation.segments = rows;
    invocation.between = between;
    invocation.alone = how.alone;
    RBC_RETURN_IF_ERROR(run_->Start(invocation));
    RBC_ASSIGN_OR_RETURN(const int32_t status, run_->Finish(invocation));
    if (status_ == 0) status_ = status;
    return {};
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const ArrayOperand& in_;
  const ArrayOperand& out_;
  const uint32_t size_;    // of an element
  const uint64_t length_;  // of a row
  Scratch scratch_;
  uint8_t* unused_ = nullptr;  // the one result that an entry of another kind would give
  std::vector<Level> levels_;
  uint64_t most_ = 0;  // elements that are taken at once
  std::unique_ptr<EntryRun> run_;
  std::vector<uint64_t> places_;  // of the levels' values in its memory
  int32_t status_ = 0;
};

}  // namespace

Expected<int32_t> RunArrayReductionOnDevice(const LoadedFunction& function, const ArrayCall& call) {
  return DeviceReduction(function, call).Run();
}

}  // namespace rbc::worker
