// Scans over arrays, and reductions in order, by a device that runs its entries itself: piece by piece through memory
// that is the call's own, elements side by side, in place.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cstring>
#include <memory>

#include "worker/array_call.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kPieceBytes = 32 << 20;  // what crosses to the device at once
constexpr uint64_t kTile = 16 * 1024;       // elements of a block, where several share a segment
constexpr uint64_t kAlignment = 64;

uint64_t RoundUp(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

uint64_t Count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) count *= static_cast<uint64_t>(length);
  return count;
}

// A piece is some whole segments, or a part of one, which then begins with what came before it.
class DeviceScan {
 public:
  DeviceScan(const LoadedFunction& function, const ArrayCall& call)
      : function_(function),
        call_(call),
        in_(call.columns()[0]),
        out_(call.columns()[1]),
        length_(Count(call.inner())),
        most_(std::max<uint64_t>(1, kPieceBytes / in_.size)) {}

  Expected<int32_t> Run() {
    RBC_ASSIGN_OR_RETURN(unused_, scratch_.Get(in_.size));
    if (in_.device != 0) return Resident();
    const uint64_t piece = length_ < most_ ? most_ / length_ * length_ : most_;
    carry_ = RoundUp(std::min(piece, call_.elements()) * in_.size);
    RBC_RETURN_IF_ERROR(MakeRoom(carry_ + RoundUp(in_.size), std::min(piece, length_)));
    for (uint64_t first = 0; first < call_.elements();) {
      const uint64_t left = call_.elements() - first, of_segment = length_ - first % length_;
      const uint64_t count = std::min(piece, length_ < most_ ? left : of_segment);
      RBC_RETURN_IF_ERROR(Piece(first, count));
      first += count;
    }
    return status_;
  }

 private:
  // Of the call's memory: so much for elements, and the values of blocks behind.
  Status MakeRoom(uint64_t elements, uint64_t longest) {
    values_ = elements;
    RBC_ASSIGN_OR_RETURN(run_, function_.module->code().Prepare(
                                   function_.index, elements + (longest > kTile ? TilesOf(longest) * in_.size : 0)));
    memory_ = run_->memory();
    return {};
  }
  static uint64_t TilesOf(uint64_t count) { return (count + kTile - 1) / kTile; }

  // Where it lies; the result there too or, behind the value so far, in the call's memory. Short rows at once where
  // they lie one behind the other, else one after the other.
  Expected<int32_t> Resident() {
    const uint64_t rows = Count(call_.outer());
    const bool at_once =
        length_ <= std::min(kTile, most_) && call_.IsOneRun(in_) && (IsHere(out_) || call_.IsOneRun(out_));
    const uint64_t of_launch = at_once ? std::min(rows, most_ / length_) : 1;
    const uint64_t longest = std::min(most_, length_);
    after_carry_ = RoundUp(in_.size);
    RBC_RETURN_IF_ERROR(MakeRoom(IsHere(out_) ? RoundUp(after_carry_ + of_launch * longest * in_.size) : 0, longest));
    for (uint64_t row = 0; row < rows; row += of_launch)
      for (uint64_t first = 0; first < length_; first += most_)
        RBC_RETURN_IF_ERROR(ResidentPiece(row, std::min(of_launch, rows - row), first));
    return status_;
  }

  static bool IsHere(const ArrayOperand& operand) { return operand.device == 0; }
  static int64_t StrideOf(const ArrayOperand& operand) { return operand.strides.empty() ? 0 : operand.strides.back(); }

  // An element on the device, and those behind it in its row.
  MapColumn From(const ArrayOperand& operand, uint64_t row, uint64_t number) const {
    const auto outer = call_.outer();
    const int64_t offset = RowWalk(outer, row, 1).OffsetIn(std::span(operand.strides).first(outer.size())) +
                           StrideOf(operand) * static_cast<int64_t>(number);
    return {0, StrideOf(operand), operand.size, operand.device + static_cast<uint64_t>(offset)};
  }

  // Of one row as much as a piece has from element `first` on, or all of some rows.
  Status ResidentPiece(uint64_t row, uint64_t rows, uint64_t first) {
    const auto size = static_cast<int64_t>(in_.size);
    const uint64_t count = std::min(most_, length_ - first);
    std::array columns = {From(in_, row, first), MapColumn{after_carry_, size, in_.size}, MapColumn{0, 0, in_.size}};
    if (!IsHere(out_)) {
      columns[1] = From(out_, row, first);
      columns[2] = From(out_, row, first - (first != 0));
    }
    Invocation invocation;
    invocation.memory = memory_;
    invocation.sent = IsHere(out_) ? after_carry_ : 0;
    invocation.returned_from = IsHere(out_) ? after_carry_ : memory_.size();
    invocation.columns = std::span(columns).first(first != 0 ? 3 : 2);
    invocation.length = count;
    invocation.rows = rows;
    RBC_RETURN_IF_ERROR(Scan(invocation));
    if (!IsHere(out_)) return {};
    const uint64_t all = rows * count;
    std::memcpy(memory_.data(), memory_.data() + after_carry_ + (all - 1) * in_.size, in_.size);
    Scatter(memory_.data() + after_carry_, call_.shape(), out_.strides, in_.size, row * length_ + first, all,
            out_.data);
    return {};
  }

  Status Launch(Invocation& invocation) {
    invocation.result = unused_;
    RBC_RETURN_IF_ERROR(run_->Start(invocation));
    RBC_ASSIGN_OR_RETURN(const int32_t status, run_->Finish(invocation));
    if (status_ == 0) status_ = status;
    return {};
  }

  // A block has each segment; one that is too long for that many blocks share: they make their parts' values, of which
  // one block makes what came before each part, and with that they go over their parts.
  Status Scan(Invocation& whole) {
    if (whole.in_order || whole.length <= kTile) return Launch(whole);
    const auto size = static_cast<int64_t>(in_.size);
    const MapColumn values{values_, size, in_.size};
    Invocation invocation = whole;
    invocation.rows = TilesOf(whole.length);
    invocation.length = kTile;
    invocation.total = whole.length;
    invocation.columns = whole.columns.first(2);
    invocation.tiles = ScanTiles::kGiveValues;
    invocation.tile_values = values;
    invocation.returned_from = memory_.size();
    RBC_RETURN_IF_ERROR(Launch(invocation));
    std::array<MapColumn, 3> columns = {values, values, {}};
    if (whole.columns.size() == 3) columns[2] = whole.columns[2];
    Invocation before;
    before.memory = memory_;
    before.sent = 0;
    before.returned_from = memory_.size();
    before.rows = 1;
    before.length = invocation.rows;
    before.columns = std::span(columns).first(whole.columns.size());
    RBC_RETURN_IF_ERROR(Launch(before));
    invocation.columns = whole.columns;
    invocation.tiles = ScanTiles::kTakeValues;
    invocation.sent = 0;
    invocation.returned_from = whole.returned_from;
    return Launch(invocation);
  }

  // Segments that many blocks share come one after the other.
  Status Piece(uint64_t first, uint64_t count) {
    Gather(in_.data, call_.shape(), in_.strides, in_.size, first, count, memory_.data());
    const bool goes_on = first % length_ != 0;
    const auto size = static_cast<int64_t>(in_.size);
    const uint64_t length = std::min(length_, count);
    const bool shared = length > kTile && !call_.ordered();
    const uint64_t segments = count / length;
    for (uint64_t segment = 0; segment < segments; segment += shared ? 1 : segments) {
      const uint64_t at = segment * length * in_.size;
      const std::array columns = {MapColumn{at, size, in_.size}, MapColumn{at, size, in_.size},
                                  MapColumn{carry_, 0, in_.size}};
      Invocation invocation;
      invocation.memory = memory_;
      invocation.sent = segment == 0 ? carry_ + in_.size : 0;
      invocation.returned_from = !shared || segment + 1 == segments ? 0 : memory_.size();
      invocation.length = length;
      invocation.rows = shared ? 1 : segments;
      invocation.in_order = call_.ordered();
      invocation.columns = std::span(columns).first(goes_on ? 3 : 2);
      RBC_RETURN_IF_ERROR(Scan(invocation));
    }
    std::memcpy(memory_.data() + carry_, memory_.data() + (count - 1) * in_.size, in_.size);
    Take(first, count);
    return {};
  }

  // Of a scan every element, of a reduction the last of each segment.
  void Take(uint64_t first, uint64_t count) const {
    if (!call_.ordered()) {
      Scatter(memory_.data(), call_.shape(), out_.strides, in_.size, first, count, out_.data);
      return;
    }
    const auto outer = call_.outer();
    for (uint64_t end = (first / length_ + 1) * length_; end <= first + count; end += length_) {
      const uint64_t segment = end / length_ - 1;
      const int64_t offset = RowWalk(outer, segment, 1).OffsetIn(std::span(out_.strides).first(outer.size()));
      std::memcpy(out_.data + offset, memory_.data() + (end - 1 - first) * in_.size, in_.size);
    }
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const ArrayOperand& in_;
  const ArrayOperand& out_;
  const uint64_t length_, most_;  // elements of a segment, and of a piece
  Scratch scratch_;
  std::unique_ptr<EntryRun> run_;
  std::span<uint8_t> memory_;
  uint64_t carry_ = 0;         // where in memory_ the value is of all that came before the piece
  uint64_t after_carry_ = 0;   // of what lies there: where its results come, behind that value
  uint64_t values_ = 0;        // and where those of blocks are
  uint8_t* unused_ = nullptr;  // the one result that an entry of another kind would give
  int32_t status_ = 0;
};

}  // namespace

Expected<int32_t> RunArrayScanOnDevice(const LoadedFunction& function, const ArrayCall& call) {
  return DeviceScan(function, call).Run();
}

}  // namespace rbc::worker
