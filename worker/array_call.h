// A map, reduction or scan over arrays as its frame describes it (worker/launch_frame.h), checked.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "worker/call_context.h"
#include "worker/device_buffers.h"
#include "worker/function_table.h"
#include "worker/launch_frame.h"

namespace rbc::worker {

// Private memory for as long as a call takes.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  ~Scratch();
  // Aligned to a page; nothing is defined about what it holds. kResourceExhausted.
  Expected<uint8_t*> Get(uint64_t size);

 private:
  std::vector<std::span<uint8_t>> pieces_;
};

struct ArrayOperand {
  uint64_t place = 0;       // as the frame has it
  uint8_t* data = nullptr;  // of element 0, 0, ...
  uint64_t device = 0;      // of the same on the device; 0: it is in this process
  uint32_t size = 0;        // of an element
  std::vector<int64_t> strides;
};

class ArrayCall {
 public:
  static bool IsOne(std::string_view frame);

  // Takes head, shape and operands off the frame. kInvalidArgument, where they do not fit the function's entry.
  Status Take(const LoadedFunction& function, std::string_view* frame);
  // Finds the operands in the call's memory, the session's arena and the device's memory. kInvalidArgument: one does
  // not lie in there.
  Status Place(const LoadedFunction& function, std::span<uint8_t> memory);
  // Copies inputs that overlap the result, or that are not aligned as code expects it. `same_is_fine`: the result may
  // lie exactly where the input does.
  Status Separate(const LoadedFunction& function, bool same_is_fine, Scratch& scratch);

  const std::vector<int64_t>& shape() const { return shape_; }
  // The dimensions that are reduced or scanned, and those around them.
  std::span<const int64_t> inner() const { return std::span(shape_).last(inner_); }
  std::span<const int64_t> outer() const { return std::span(shape_).first(shape_.size() - inner_); }
  uint64_t elements() const { return elements_; }
  bool ordered() const { return (flags_ & kOrdered) != 0; }

  std::span<const ArrayOperand> operands() const { return operands_; }  // all
  std::span<ArrayOperand> mutable_operands() { return operands_; }
  ByteRange RangeOf(const ArrayOperand& operand) const;
  // REQUIRES: inner() has at most one dimension. Each of its rows begins where an element behind the one before would.
  bool IsOneRun(const ArrayOperand& operand) const;
  // Parameters and result, as the entry takes them; and of these the result.
  std::span<const ArrayOperand> columns() const { return operands().first(operands_.size() - (mask() != nullptr)); }
  const ArrayOperand* result() const { return has_result_ ? &columns().back() : nullptr; }
  const ArrayOperand* mask() const { return (flags_ & kMasked) != 0 ? &operands_.back() : nullptr; }

 private:
  std::vector<int64_t> shape_;
  std::vector<ArrayOperand> operands_;
  std::vector<std::shared_ptr<const void>> holds_;  // of their memory on the device
  size_t inner_ = 0;
  uint64_t elements_ = 0;
  uint32_t flags_ = 0;
  bool has_result_ = false;
};

// Runs a call whose operands lie apart; gives the status. *failed is the number of the first element that failed.
Expected<int32_t> RunArrayMap(const LoadedFunction& function, const ArrayCall& call, const CallContext& context,
                              uint64_t* failed);
Expected<int32_t> RunArrayReduction(const LoadedFunction& function, const ArrayCall& call, const CallContext& context);
Expected<int32_t> RunArrayScan(const LoadedFunction& function, const ArrayCall& call, const CallContext& context);
// The same where entries are run by the device.
Expected<int32_t> RunArraysOnDevice(const LoadedFunction& function, const ArrayCall& call, uint64_t* failed);
Expected<int32_t> RunArrayReductionOnDevice(const LoadedFunction& function, const ArrayCall& call);
Expected<int32_t> RunArrayScanOnDevice(const LoadedFunction& function, const ArrayCall& call);

}  // namespace rbc::worker
