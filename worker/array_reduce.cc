// Reductions and scans over arrays by entries of this process. A reduction's tree is fixed by the number of elements
// alone, so that any number of threads gives the same bits: leaves of kLeaf elements, then the tree over what they
// gave.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>
#include <vector>

#include "worker/array_call.h"
#include "worker/bulk_pool.h"
#include "worker/first_failure.h"
#include "worker/module_instance.h"
#include "worker/row_walk.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kLeaf = 8192;
constexpr int64_t kRowsAreLeaves = 1;  // the word of a reduction's frame; targets/target.h
constexpr uint64_t kLeavesOfChunk = 2;
constexpr uint64_t kLeastShared = 4 * kLeaf;

uint64_t Count(std::span<const int64_t> shape) {
  uint64_t count = 1;
  for (const int64_t length : shape) count *= static_cast<uint64_t>(length);
  return count;
}

// Memory for values, aligned as entries want it; of no bytes there is none.
class Values {
 public:
  explicit Values(uint64_t bytes) : memory_((bytes + 15) / 16) {}
  uint8_t* data() { return reinterpret_cast<uint8_t*>(memory_.data()); }

 private:
  struct alignas(16) Block {
    uint8_t bytes[16];
  };
  std::vector<Block> memory_;
};

// What a reduction and a scan have in common: rows along the inner dimensions, one for each outer index.
class Rows {
 public:
  Rows(const LoadedFunction& function, const ArrayCall& call)
      : function_(function),
        in_(call.columns()[0]),
        out_(call.columns()[1]),
        size_(in_.size),
        outer_(call.outer()),
        inner_(call.inner()),
        count_(Count(outer_)),
        length_(Count(inner_)) {}

  uint64_t count() const { return count_; }
  uint64_t length() const { return length_; }
  FirstFailure& failure() { return failure_; }

 protected:
  std::span<const int64_t> InnerStrides(const ArrayOperand& operand) const {
    return std::span(operand.strides).last(inner_.size());
  }
  // Of the first element of row `row`.
  uint8_t* RowOf(const ArrayOperand& operand, uint64_t row) const {
    return operand.data + RowWalk(outer_, row, 1).OffsetIn(std::span(operand.strides).first(outer_.size()));
  }
  // `rows` elements of row `row` from `first` on, where the entry can take them; `space` holds them if need be.
  HostMapColumn Piece(uint64_t row, uint64_t first, uint64_t rows, Values& space) const {
    const auto strides = InnerStrides(in_);
    uint8_t* const begin = RowOf(in_, row);
    if (inner_.size() <= 1) {
      const int64_t stride = strides.empty() ? size_ : strides[0];
      return {begin + static_cast<int64_t>(first) * stride, stride};
    }
    Gather(begin, inner_, strides, size_, first, rows, space.data());
    return {space.data(), size_};
  }
  int32_t Enter(uint64_t rows, int64_t word, std::initializer_list<HostMapColumn> columns, void* result) {
    std::vector<HostMapColumn> frame = {{reinterpret_cast<void*>(rows), word}};
    frame.insert(frame.end(), columns);
    return function_.entry(frame.data(), result);
  }

  const LoadedFunction& function_;
  const ArrayOperand& in_;
  const ArrayOperand& out_;
  const int64_t size_;  // of an element
  const std::span<const int64_t> outer_, inner_;
  const uint64_t count_, length_;  // of rows, and of the elements of each
  FirstFailure failure_;
};

// Chunks are some leaves of one row, or some whole rows.
class Reduction : public Rows, public ChunkBody {
 public:
  Reduction(const LoadedFunction& function, const ArrayCall& call)
      : Rows(function, call),
        leaves_((length_ + kLeaf - 1) / kLeaf),
        of_chunk_(std::max<uint64_t>(1, kLeavesOfChunk * kLeaf / std::min(length_, kLeaf))),
        partials_(leaves_ > 1 ? count_ * leaves_ * static_cast<uint64_t>(size_) : 0) {}
  uint64_t chunks() const { return (count_ * leaves_ + of_chunk_ - 1) / of_chunk_; }

  void Run(uint64_t chunk) override {
    Values space(inner_.size() > 1 ? kLeaf * static_cast<uint64_t>(size_) : 0), value(static_cast<uint64_t>(size_));
    const uint64_t end = std::min((chunk + 1) * of_chunk_, count_ * leaves_);
    for (uint64_t leaf = chunk * of_chunk_; leaf < end; ++leaf) {
      const uint64_t row = leaf / leaves_, first = leaf % leaves_ * kLeaf, rows = std::min(kLeaf, length_ - first);
      Combine(row, rows, 0, Piece(row, first, rows, space), value.data());
      uint8_t* const to = leaves_ == 1 ? RowOf(out_, row) : partials_.data() + leaf * static_cast<uint64_t>(size_);
      std::memcpy(to, value.data(), static_cast<size_t>(size_));
    }
  }

  // What the leaves of each row gave.
  void Finish() {
    if (leaves_ == 1) return;
    Values value(static_cast<uint64_t>(size_));
    for (uint64_t row = 0; row < count_; ++row) {
      const HostMapColumn column{partials_.data() + row * leaves_ * static_cast<uint64_t>(size_), size_};
      Combine(row, leaves_, kRowsAreLeaves, column, value.data());
      std::memcpy(RowOf(out_, row), value.data(), static_cast<size_t>(size_));
    }
  }

 private:
  void Combine(uint64_t row, uint64_t rows, int64_t word, const HostMapColumn& column, uint8_t* value) {
    const int32_t status = Enter(rows, word, {column}, value);
    if (status != 0) failure_.Note(row, status);
  }

  const uint64_t leaves_;    // of a row
  const uint64_t of_chunk_;  // leaves
  Values partials_;          // what each leaf gave, where rows have several
};

// Chunks are rows; each is scanned from its first element to its last.
class Scan : public Rows, public ChunkBody {
 public:
  Scan(const LoadedFunction& function, const ArrayCall& call) : Rows(function, call), only_last_(call.ordered()) {}
  uint64_t chunks() const { return count_; }

  void Run(uint64_t row) override {
    const auto size = static_cast<uint64_t>(size_);
    Values in(inner_.size() > 1 ? kLeaf * size : 0), out(kLeaf * size), carry(size), unused(size);
    for (uint64_t first = 0; first < length_; first += kLeaf) {
      const uint64_t rows = std::min(kLeaf, length_ - first);
      const HostMapColumn from = Piece(row, first, rows, in), to{out.data(), size_};
      const int32_t status =
          Enter(rows, first == 0 ? 0 : reinterpret_cast<int64_t>(carry.data()), {from, to}, unused.data());
      if (status != 0) failure_.Note(row, status);
      std::memcpy(carry.data(), out.data() + (rows - 1) * size, size);
      if (!only_last_) Scatter(out.data(), inner_, InnerStrides(out_), in_.size, first, rows, RowOf(out_, row));
    }
    if (only_last_) std::memcpy(RowOf(out_, row), carry.data(), size);
  }

 private:
  const bool only_last_;
};

template <typename Job>
void Share(const LoadedFunction& function, const ArrayCall& call, const CallContext& context, Job& job) {
  if (call.elements() >= kLeastShared && function.module->serial() == nullptr) {
    SharedBulkPool().Run(context, job.chunks(), job);
    return;
  }
  for (uint64_t chunk = 0; chunk < job.chunks(); ++chunk) job.Run(chunk);
}

}  // namespace

Expected<int32_t> RunArrayReduction(const LoadedFunction& function, const ArrayCall& call, const CallContext& context) {
  Reduction job(function, call);
  Share(function, call, context, job);
  job.Finish();
  return job.failure().status();
}

Expected<int32_t> RunArrayScan(const LoadedFunction& function, const ArrayCall& call, const CallContext& context) {
  Scan job(function, call);
  Share(function, call, context, job);
  return job.failure().status();
}

}  // namespace rbc::worker
