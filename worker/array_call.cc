// A map, reduction or scan over arrays: what its frame says, checked.
// SPDX-License-Identifier: Apache-2.0
#include "worker/array_call.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "worker/data_arena.h"
#include "worker/module_instance.h"
#include "worker/strided_copy.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kMostElements = uint64_t{1} << 48;

Error Invalid(const LoadedFunction& function, const std::string& text) {
  Error error(ErrorKind::kInvalidArgument, "a call of '" + function.name + "' over arrays " + text);
  error.role = "execution worker";
  error.function = function.name;
  return error;
}

// The sizes of the entry's columns: of a map its own, of the others input and result.
std::vector<uint32_t> SizesOf(const EntryPoint& point) {
  if (point.kind != EntryKind::kMap) return {point.result_size, point.result_size};
  std::vector<uint32_t> sizes;
  for (const auto& parameter : point.parameters) sizes.push_back(parameter.size);
  return sizes;
}

// As code expects elements: by the largest power of two in their size, 16 at most.
uint64_t AlignmentOf(uint32_t size) { return std::min<uint64_t>(size & (0 - uint64_t{size}), 16); }

bool IsAligned(const ArrayOperand& operand) {
  const uint64_t alignment = AlignmentOf(operand.size);
  if (alignment <= 1) return true;
  uint64_t all = reinterpret_cast<uint64_t>(operand.data);
  for (const int64_t stride : operand.strides) all |= static_cast<uint64_t>(stride);
  return all % alignment == 0;
}

ByteRange RangeIn(std::span<const int64_t> shape, const ArrayOperand& operand) {
  ByteRange range{0, operand.size};
  for (size_t i = 0; i < operand.strides.size(); ++i) {
    const __int128 reach = static_cast<__int128>(shape[i] - 1) * operand.strides[i];
    (reach < 0 ? range.low : range.high) += reach;
  }
  return range;
}

bool Overlap(std::span<const int64_t> shape, const ArrayOperand& a, const ArrayOperand& b) {
  const ByteRange ra = RangeIn(shape, a), rb = RangeIn(shape, b);
  const auto at_a = static_cast<__int128>(reinterpret_cast<uint64_t>(a.data));
  const auto at_b = static_cast<__int128>(reinterpret_cast<uint64_t>(b.data));
  return at_a + ra.low < at_b + rb.high && at_b + rb.low < at_a + ra.high;
}

// Each element that there really is once, side by side; it goes on repeating where it did.
Status CopyAway(std::span<const int64_t> shape, ArrayOperand* operand, Scratch& scratch) {
  std::vector<int64_t> own(shape.begin(), shape.end()), strides(shape.size(), 0);
  uint64_t count = 1;
  for (size_t i = own.size(); i-- > 0;) {
    if (operand->strides[i] == 0) {
      own[i] = 1;
      continue;
    }
    strides[i] = static_cast<int64_t>(count * operand->size);
    count *= static_cast<uint64_t>(own[i]);
  }
  RBC_ASSIGN_OR_RETURN(uint8_t* const copy, scratch.Get(count * operand->size));
  Gather(operand->data, own, operand->strides, operand->size, 0, count, copy);
  operand->data = copy;
  operand->strides = std::move(strides);
  return {};
}

}  // namespace

Scratch::~Scratch() {
  for (const auto& piece : pieces_) munmap(piece.data(), piece.size());
}

Expected<uint8_t*> Scratch::Get(uint64_t size) {
  size = std::max<uint64_t>(size, 1);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    Error error(ErrorKind::kResourceExhausted,
                "the worker has no " + std::to_string(size) + " bytes left for a copy - work on less at once");
    error.role = "execution worker";
    return error;
  }
  pieces_.push_back({static_cast<uint8_t*>(memory), size});
  return static_cast<uint8_t*>(memory);
}

bool ArrayCall::IsOne(std::string_view frame) {
  ArrayHead head;
  if (frame.size() < sizeof head) return false;
  std::memcpy(&head, frame.data(), sizeof head);
  return head.magic == kArrayMagic;
}

Status ArrayCall::Take(const LoadedFunction& function, std::string_view* frame) {
  const EntryPoint& point = function.point;
  ArrayHead head;
  std::memcpy(&head, frame->data(), sizeof head);
  frame->remove_prefix(sizeof head);
  const auto sizes = SizesOf(point);
  const bool map = point.kind == EntryKind::kMap;
  const bool ordered = (head.flags & kOrdered) != 0;
  flags_ = head.flags;
  inner_ = head.inner;
  has_result_ = point.result_size != 0;
  if (head.operands != sizes.size() + ((flags_ & kMasked) != 0 ? 1 : 0) || (!map && (flags_ & kMasked) != 0))
    return Invalid(function, "has " + std::to_string(head.operands) + " operands, its entry takes " +
                                 std::to_string(sizes.size()));
  if (head.dimensions > kMaxArrayDimensions || inner_ > head.dimensions || (map && inner_ != 0) ||
      (ordered && point.kind != EntryKind::kScan))
    return Invalid(function, "has a head that its entry cannot follow");
  const size_t words = head.dimensions + size_t{head.operands} * (head.dimensions + 1);
  if (frame->size() < words * sizeof(int64_t)) return Invalid(function, "has a frame that ends within its operands");
  const auto word = [frame](size_t i) {
    int64_t value;
    std::memcpy(&value, frame->data() + i * sizeof value, sizeof value);
    return value;
  };
  shape_.resize(head.dimensions);
  elements_ = 1;
  for (size_t i = 0; i < shape_.size(); ++i) {
    shape_[i] = word(i);
    if (shape_[i] < 1 || static_cast<uint64_t>(shape_[i]) > kMostElements / elements_)
      return Invalid(function, "has an impossible shape");
    elements_ *= static_cast<uint64_t>(shape_[i]);
  }
  operands_.assign(head.operands, {});
  size_t at = shape_.size();
  for (size_t i = 0; i < operands_.size(); ++i) {
    operands_[i].place = static_cast<uint64_t>(word(at++));
    operands_[i].size = i < sizes.size() ? sizes[i] : 1;
    for (size_t d = 0; d < shape_.size(); ++d) operands_[i].strides.push_back(word(at++));
  }
  frame->remove_prefix(words * sizeof(int64_t));
  return {};
}

ByteRange ArrayCall::RangeOf(const ArrayOperand& operand) const { return RangeIn(shape_, operand); }

Status ArrayCall::Place(const LoadedFunction& function, std::span<uint8_t> memory) {
  for (size_t i = 0; i < operands_.size(); ++i) {
    ArrayOperand& operand = operands_[i];
    const ByteRange range = RangeOf(operand);
    if ((operand.place & kOnDevice) != 0 && (operand.place & kInDataArena) == 0) {
      if (BuffersOnDevice() == nullptr) return Invalid(function, "has an operand on a device, and runs on none");
      auto found = BuffersOnDevice()->Find(operand.place, range);
      if (!found) return Invalid(function, "has an operand that " + found.error().message);
      operand.device = found->address;
      holds_.push_back(std::move(found->hold));
      continue;
    }
    const bool in_arena = (operand.place & kInDataArena) != 0;
    const std::span<uint8_t> where = in_arena ? DataArena() : memory;
    const uint64_t offset = operand.place & ~kInDataArena;
    if (range.low + static_cast<__int128>(offset) < 0 ||
        range.high + static_cast<__int128>(offset) > static_cast<__int128>(where.size()))
      return Invalid(function, "has an operand " + std::to_string(i + 1) + " that does not lie in the " +
                                   std::to_string(where.size()) + " bytes of " +
                                   (in_arena ? "the session's data arena" : "the call's memory"));
    operand.data = where.data() + offset;
  }
  if (has_result_ && result()->device == 0 && !IsAligned(*result()))
    return Invalid(function, "has a result whose elements are not aligned to " +
                                 std::to_string(AlignmentOf(result()->size)) + "; write into an aligned array");
  return {};
}

bool ArrayCall::IsOneRun(const ArrayOperand& operand) const {
  const auto rows = outer();
  const int64_t length = inner().empty() ? 1 : inner()[0];
  int64_t expected = inner().empty() ? operand.size : operand.strides.back() * length;
  for (size_t i = rows.size(); i-- > 0; expected *= rows[i])
    if (rows[i] != 1 && operand.strides[i] != expected) return false;
  return true;
}

Status ArrayCall::Separate(const LoadedFunction& function, bool same_is_fine, Scratch& scratch) {
  const ArrayOperand* const result = this->result();
  for (ArrayOperand& operand : operands_) {
    if (&operand == result || operand.device != 0) continue;
    const bool same = result != nullptr && same_is_fine && operand.data == result->data &&
                      operand.size == result->size && operand.strides == result->strides;
    const bool overlaps = result != nullptr && result->device == 0 && !same && Overlap(shape_, operand, *result);
    if (!overlaps && IsAligned(operand)) continue;
    Status copied = CopyAway(shape_, &operand, scratch);
    if (!copied) {
      copied.error().function = function.name;
      return copied;
    }
  }
  return {};
}

}  // namespace rbc::worker
