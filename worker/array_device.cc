// Maps over arrays by a device that runs its entries itself: piece by piece through memory that is the call's own, rows
// side by side.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <functional>
#include <memory>

#include "worker/array_call.h"
#include "worker/bulk_pool.h"
#include "worker/first_failure.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kPieceBytes = 16 << 20;  // of all columns together: what crosses to the device at once
constexpr uint64_t kColumnAlignment = 64;

uint64_t RoundUp(uint64_t size) { return (size + kColumnAlignment - 1) / kColumnAlignment * kColumnAlignment; }

bool IsOneValue(const ArrayOperand& operand) {
  return std::all_of(operand.strides.begin(), operand.strides.end(), [](int64_t stride) { return stride == 0; });
}

// Pieces on their way through the device at once: one goes there, one is computed, one comes back.
constexpr size_t kInFlight = 3;

// Copies of many rows that any thread may do, a part at a time.
class RowCopies : public ChunkBody {
 public:
  // body(first, count) for parts of rows `first` to `first + count`.
  void Add(uint64_t first, uint64_t count, uint32_t row_bytes, std::function<void(uint64_t, uint64_t)> body) {
    const uint64_t most = std::max<uint64_t>(kPartBytes / row_bytes, 1);
    const size_t kind = bodies_.size();
    bodies_.push_back(std::move(body));
    for (const uint64_t end = first + count; first < end; first += most)
      parts_.push_back({kind, first, std::min(most, end - first)});
  }
  // Back when all are done.
  void RunAll() {
    if (CallContext* const context = CurrentContext(); context != nullptr) {
      SharedBulkPool().Run(*context, parts_.size(), *this);
    } else {
      for (uint64_t i = 0; i < parts_.size(); ++i) Run(i);
    }
  }
  void Run(uint64_t chunk) override {
    const Part& part = parts_[chunk];
    bodies_[part.kind](part.first, part.count);
  }

 private:
  static constexpr uint64_t kPartBytes = 256 << 10;
  struct Part {
    size_t kind;
    uint64_t first, count;
  };
  std::vector<std::function<void(uint64_t, uint64_t)>> bodies_;
  std::vector<Part> parts_;
};

class DeviceMap {
 public:
  DeviceMap(const LoadedFunction& function, const ArrayCall& call)
      : function_(function), call_(call), columns_(call.columns()) {
    uint64_t row = 0;
    for (const auto& column : columns_) {
      if (column.device != 0)
        has_resident_ = true;
      else if (!IsBroadcast(column))
        row += column.size;
    }
    const uint64_t most = row == 0 ? kMaxRowsOfLaunch : std::max<uint64_t>(kPieceBytes / row, 1);
    rows_ = std::min(most, call_.elements());
    std::vector<MapColumn> places;
    Lay(rows_, &places, &size_);
  }

  Expected<int32_t> Run(uint64_t* failed) {
    RBC_ASSIGN_OR_RETURN(unused_, scratch_.Get(function_.point.result_size));
    mask_.resize(call_.mask() != nullptr ? rows_ : 0);
    size_t turn = 0;
    for (uint64_t first = 0; first < call_.elements();) {
      const uint64_t count = PieceFrom(first);
      RBC_ASSIGN_OR_RETURN(Piece* const piece, NextPiece(turn++));
      RBC_RETURN_IF_ERROR(Start(*piece, first, count));
      first += count;
    }
    for (size_t i = 0; i < pieces_.size(); ++i) RBC_RETURN_IF_ERROR(Finish(*pieces_[turn++ % pieces_.size()]));
    *failed = failure_.element();
    return failure_.status();
  }

 private:
  // Where the columns of so many rows lie in a piece's memory, the result last. Gives how much of it goes to the
  // device.
  uint64_t Lay(uint64_t rows, std::vector<MapColumn>* places, uint64_t* size) const {
    uint64_t sent = UINT64_MAX;
    *size = 0;
    places->clear();
    for (const auto& column : columns_) {
      const bool broadcast = IsBroadcast(column);
      places->push_back({*size, broadcast ? 0 : static_cast<int64_t>(column.size), column.size});
      if (&column == call_.result()) sent = *size;
      if (column.device == 0) *size += RoundUp(column.size * (broadcast ? 1 : rows));
    }
    return sent;
  }

  // A part of the rows, in memory of its own.
  struct Piece {
    std::unique_ptr<EntryRun> run;
    bool running = false;
    uint64_t first = 0, count = 0, rows = 0;
    std::vector<uint64_t> selected;
    std::vector<MapColumn> places;
    Invocation invocation;
  };

  bool IsBroadcast(const ArrayOperand& column) const { return &column != call_.result() && IsOneValue(column); }

  // An array that stays on the device is walked over one row of its innermost dimension at a time.
  uint64_t PieceFrom(uint64_t first) const {
    const uint64_t most = std::min(rows_, call_.elements() - first);
    if (!has_resident_ || call_.shape().empty()) return most;
    const auto inner = static_cast<uint64_t>(call_.shape().back());
    return std::min(most, inner - first % inner);
  }

  // The one that was started longest ago, finished. Where memory is scarce there are fewer.
  Expected<Piece*> NextPiece(size_t turn) {
    if (pieces_.size() < kInFlight && turn == pieces_.size()) {
      auto run = function_.module->code().Prepare(function_.index, size_);
      if (run) {
        pieces_.push_back(std::make_unique<Piece>());
        pieces_.back()->run = *std::move(run);
        return pieces_.back().get();
      }
      if (pieces_.empty() || run.error().kind != ErrorKind::kResourceExhausted) return std::move(run).error();
    }
    Piece& piece = *pieces_[turn % pieces_.size()];
    RBC_RETURN_IF_ERROR(Finish(piece));
    return &piece;
  }

  void Bring(const ArrayOperand& operand, uint64_t first, uint64_t count, uint8_t* to) const {
    Gather(operand.data, call_.shape(), operand.strides, operand.size, first, count, to);
  }

  // Brings the rows of a piece together, those that the mask leaves out not; tells which row each is.
  void Select(Piece& piece) {
    piece.rows = piece.count;
    if (call_.mask() == nullptr) return;
    Bring(*call_.mask(), piece.first, piece.count, mask_.data());
    piece.selected.clear();
    for (uint64_t i = 0; i < piece.count; ++i)
      if (mask_[i] != 0) piece.selected.push_back(i);
    piece.rows = piece.selected.size();
  }

  void BringColumn(Piece& piece, const ArrayOperand& column, const MapColumn& place, RowCopies* copies) const {
    uint8_t* const to = piece.run->memory().data() + place.offset;
    if (place.stride == 0) {
      Bring(column, piece.first, 1, to);
    } else if (call_.mask() == nullptr) {
      copies->Add(piece.first, piece.count, column.size,
                  [this, &column, to, begin = piece.first](uint64_t first, uint64_t count) {
                    Bring(column, first, count, to + (first - begin) * column.size);
                  });
    } else {
      Bring(column, piece.first, piece.count, to);
      for (uint64_t r = 0; r < piece.rows; ++r)
        std::memmove(to + r * column.size, to + piece.selected[r] * column.size, column.size);
    }
  }

  Status Start(Piece& piece, uint64_t first, uint64_t count) {
    piece.first = first;
    piece.count = count;
    Select(piece);
    if (piece.rows == 0) return {};
    uint64_t size = 0;
    const uint64_t sent = Lay(count, &piece.places, &size);
    RowCopies copies;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const ArrayOperand& column = columns_[i];
      if (column.device != 0) {
        const auto offset = RowWalk(call_.shape(), first, 1).OffsetIn(column.strides);
        piece.places[i].device = column.device + static_cast<uint64_t>(offset);
        piece.places[i].stride = column.strides.empty() ? 0 : column.strides.back();
      } else if (&column != call_.result()) {
        BringColumn(piece, column, piece.places[i], &copies);
      }
    }
    copies.RunAll();
    Invocation& invocation = piece.invocation;
    invocation = {};
    invocation.memory = piece.run->memory().first(size);
    invocation.sent = sent;
    invocation.returned_from = HasResultHere() ? piece.places.back().offset : size;
    invocation.result = unused_;
    invocation.rows = piece.rows;
    invocation.columns = piece.places;
    RBC_RETURN_IF_ERROR(piece.run->Start(invocation));
    piece.running = true;
    return {};
  }

  bool HasResultHere() const { return call_.result() != nullptr && call_.result()->device == 0; }

  Status Finish(Piece& piece) {
    if (!piece.running) return {};
    piece.running = false;
    RBC_ASSIGN_OR_RETURN(const int32_t status, piece.run->Finish(piece.invocation));
    if (status != 0) {
      const uint64_t row = std::min(piece.invocation.failed_row, piece.rows - 1);
      failure_.Note(piece.first + (call_.mask() != nullptr ? piece.selected[row] : row), status);
    }
    if (HasResultHere()) TakeResult(piece);
    return {};
  }

  void TakeResult(const Piece& piece) {
    const ArrayOperand& result = *call_.result();
    const uint8_t* const values = piece.run->memory().data() + piece.places.back().offset;
    if (call_.mask() == nullptr) {
      RowCopies copies;
      copies.Add(piece.first, piece.count, result.size, [&](uint64_t first, uint64_t count) {
        Scatter(values + (first - piece.first) * result.size, call_.shape(), result.strides, result.size, first, count,
                result.data);
      });
      copies.RunAll();
      return;
    }
    for (uint64_t r = 0; r < piece.rows; ++r)
      Scatter(values + r * result.size, call_.shape(), result.strides, result.size, piece.first + piece.selected[r], 1,
              result.data);
  }

  const LoadedFunction& function_;
  const ArrayCall& call_;
  const std::span<const ArrayOperand> columns_;
  bool has_resident_ = false;
  uint64_t rows_ = 0;  // of a piece, at most
  uint64_t size_ = 0;  // of its memory
  Scratch scratch_;
  uint8_t* unused_ = nullptr;  // the one result that an entry of another kind would give
  std::vector<uint8_t> mask_;
  std::vector<std::unique_ptr<Piece>> pieces_;
  FirstFailure failure_;
};

}  // namespace

Expected<int32_t> RunArraysOnDevice(const LoadedFunction& function, const ArrayCall& call, uint64_t* failed) {
  switch (function.point.kind) {
    case EntryKind::kMap:
      return DeviceMap(function, call).Run(failed);
    case EntryKind::kReduce:
      return RunArrayReductionOnDevice(function, call);
    case EntryKind::kScan:
      return RunArrayScanOnDevice(function, call);
    default:
      return Error(ErrorKind::kInternal, "'" + function.name + "' is no entry that goes over arrays");
  }
}

}  // namespace rbc::worker
