// Copies of n-dimensional arrays to, from and within a device's memory.
// SPDX-License-Identifier: Apache-2.0
#include "worker/device_copy.h"

#include <algorithm>

#include "base/strided_run.h"
#include "worker/array_call.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kPieceBytes = 16 << 20;   // what is brought together at once
constexpr uint64_t kWorthACopy = 16 * 1024;  // bytes side by side that are copied by themselves

class ArrayCopy {
 public:
  ArrayCopy(Device& device, std::span<const int64_t> shape, uint32_t size)
      : device_(device), shape_(shape), size_(size) {
    for (const int64_t length : shape) elements_ *= static_cast<uint64_t>(length);
  }

  Status In(const uint8_t* from, std::span<const int64_t> from_strides, const CopiedArray& to) {
    if (IsDense(to.strides)) {
      if (IsDense(from_strides)) return device_.CopyIn(to.address, from, elements_ * size_);
      return InPieces([&](uint64_t first, uint64_t count, uint8_t* piece) -> Status {
        Gather(from, shape_, from_strides, size_, first, count, piece);
        return device_.CopyIn(to.address + first * size_, piece, count * size_);
      });
    }
    if (HasLongRows(to.strides)) {
      return Rows([&](const RowWalk& row, uint8_t* piece) -> Status {
        const uint8_t* const at = from + row.OffsetIn(from_strides);
        const bool dense = from_strides.back() == size_;
        if (!dense) CopyRun(piece, size_, at, from_strides.back(), row.length(), size_);
        return device_.CopyIn(to.address + static_cast<uint64_t>(row.OffsetIn(to.strides)), dense ? at : piece,
                              row.length() * size_);
      });
    }
    RBC_ASSIGN_OR_RETURN(const Span span, Bring(to));
    for (RowWalk row(shape_, 0, elements_); !row.done(); row.Next())
      CopyRun(span.first + row.OffsetIn(to.strides), Inner(to.strides), from + row.OffsetIn(from_strides),
              Inner(from_strides), row.length(), size_);
    return device_.CopyIn(to.address + static_cast<uint64_t>(span.low), span.first + span.low, span.bytes);
  }

  Status Out(const CopiedArray& from, uint8_t* to, std::span<const int64_t> to_strides) {
    if (IsDense(from.strides)) {
      if (IsDense(to_strides)) return device_.CopyOut(to, from.address, elements_ * size_);
      return InPieces([&](uint64_t first, uint64_t count, uint8_t* piece) -> Status {
        RBC_RETURN_IF_ERROR(device_.CopyOut(piece, from.address + first * size_, count * size_));
        Scatter(piece, shape_, to_strides, size_, first, count, to);
        return {};
      });
    }
    if (HasLongRows(from.strides)) {
      return Rows([&](const RowWalk& row, uint8_t* piece) -> Status {
        uint8_t* const at = to + row.OffsetIn(to_strides);
        const bool dense = to_strides.back() == size_;
        RBC_RETURN_IF_ERROR(device_.CopyOut(dense ? at : piece,
                                            from.address + static_cast<uint64_t>(row.OffsetIn(from.strides)),
                                            row.length() * size_));
        if (!dense) CopyRun(at, to_strides.back(), piece, size_, row.length(), size_);
        return {};
      });
    }
    RBC_ASSIGN_OR_RETURN(const Span span, Bring(from));
    for (RowWalk row(shape_, 0, elements_); !row.done(); row.Next())
      CopyRun(to + row.OffsetIn(to_strides), Inner(to_strides), span.first + row.OffsetIn(from.strides),
              Inner(from.strides), row.length(), size_);
    return {};
  }

  Status Within(const CopiedArray& from, const CopiedArray& to) {
    if (IsDense(from.strides) && IsDense(to.strides))
      return device_.CopyWithin(to.address, from.address, elements_ * size_);
    RBC_ASSIGN_OR_RETURN(uint8_t* const all, scratch_.Get(elements_ * size_));
    std::vector<int64_t> dense(shape_.size());
    int64_t stride = size_;
    for (size_t i = shape_.size(); i-- > 0; stride *= shape_[i]) dense[i] = stride;
    RBC_RETURN_IF_ERROR(Out(from, all, dense));
    return In(all, dense, to);
  }

 private:
  // All that lies between the first and the last byte of an array, here.
  struct Span {
    uint8_t* first;  // where element 0, 0, ... is
    int64_t low;     // bytes from there to the begin
    uint64_t bytes;
  };

  int64_t Inner(std::span<const int64_t> strides) const { return strides.empty() ? 0 : strides.back(); }

  bool IsDense(std::span<const int64_t> strides) const {
    int64_t expected = size_;
    for (size_t i = shape_.size(); i-- > 0; expected *= shape_[i])
      if (shape_[i] != 1 && strides[i] != expected) return false;
    return true;
  }

  bool HasLongRows(std::span<const int64_t> strides) const {
    return !shape_.empty() && strides.back() == size_ && static_cast<uint64_t>(shape_.back()) * size_ >= kWorthACopy;
  }

  Expected<Span> Bring(const CopiedArray& array) {
    int64_t low = 0, high = size_;
    for (size_t i = 0; i < shape_.size(); ++i) {
      const int64_t reach = (shape_[i] - 1) * array.strides[i];
      (reach < 0 ? low : high) += reach;
    }
    const auto bytes = static_cast<uint64_t>(high - low);
    RBC_ASSIGN_OR_RETURN(uint8_t* const memory, scratch_.Get(bytes));
    RBC_RETURN_IF_ERROR(device_.CopyOut(memory, array.address + static_cast<uint64_t>(low), bytes));
    return Span{memory - low, low, bytes};
  }

  template <typename Body>
  Status InPieces(Body&& body) {
    const uint64_t most = std::clamp<uint64_t>(kPieceBytes / size_, 1, elements_);
    RBC_ASSIGN_OR_RETURN(uint8_t* const piece, scratch_.Get(most * size_));
    for (uint64_t first = 0; first < elements_; first += most)
      RBC_RETURN_IF_ERROR(body(first, std::min(most, elements_ - first), piece));
    return {};
  }

  template <typename Body>
  Status Rows(Body&& body) {
    RBC_ASSIGN_OR_RETURN(uint8_t* const piece, scratch_.Get(static_cast<uint64_t>(shape_.back()) * size_));
    for (RowWalk row(shape_, 0, elements_); !row.done(); row.Next()) RBC_RETURN_IF_ERROR(body(row, piece));
    return {};
  }

  Device& device_;
  const std::span<const int64_t> shape_;
  const uint32_t size_;
  uint64_t elements_ = 1;
  Scratch scratch_;
};

}  // namespace

Status CopyArray(Device& device, std::span<const int64_t> shape, uint32_t size, const CopiedArray& from,
                 const CopiedArray& to) {
  ArrayCopy copy(device, shape, size);
  if (from.address != 0 && to.address != 0) return copy.Within(from, to);
  return from.address != 0 ? copy.Out(from, to.data, to.strides) : copy.In(from.data, from.strides, to);
}

}  // namespace rbc::worker
