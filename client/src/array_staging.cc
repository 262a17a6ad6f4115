// Arrays of this process that are too large for a message.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/array_staging.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "client/src/buffer_state.h"
#include "types/array_extent.h"
#include "types/array_shape.h"

namespace rbc::client {
namespace {

// Less is sooner in the message than a buffer is made: there one copy more, here two requests more. As array_ways
// prints it (docs/benchmarks.md).
constexpr uint64_t kNearBytes = uint64_t{32} << 10;
constexpr uint64_t kFarBytes = uint64_t{128} << 10;

// Memory that the buffer may be filled from as it is.
bool IsPlainCopy(const CheckedArray& array, const types::Type& to, const std::vector<int64_t>& shape) {
  return array.type == to && array.array.shape == shape &&
         array.array.strides == types::DenseStrides(array.array.shape, array.size);
}

Status Fill(const Buffer& buffer, const CheckedArray& array, const types::Type& to, const ArrayOnce& once) {
  if (IsPlainCopy(array, to, once.shape)) return buffer.try_copy_from(array.array.data, buffer.bytes());
  if (auto* const memory = static_cast<char*>(buffer.data())) return CopyElements(array, once, to, memory);
  std::string elements(buffer.bytes(), '\0');
  RBC_RETURN_IF_ERROR(CopyElements(array, once, to, elements.data()));
  return buffer.try_copy_from(elements.data(), elements.size());
}

}  // namespace

bool IsLargeArray(const Farm& farm, uint64_t bytes) { return bytes >= (farm.SharesMemory() ? kNearBytes : kFarBytes); }

bool HasNoRoom(const Error& error) {
  return error.kind == ErrorKind::kResourceExhausted || error.kind == ErrorKind::kUnsupported ||
         error.kind == ErrorKind::kInvalidArgument;
}

Expected<std::optional<Buffer>> ArrayStaging::Make(const types::Type& type, std::vector<int64_t> shape,
                                                   uint64_t bytes) {
  Error no_room;
  if (IsLarge(bytes)) {
    wire::BufferSpec spec;
    spec.dtype = type.ToString();
    spec.shape = std::move(shape);
    auto buffer = detail::Inside::MakeBuffer(core_, spec);
    if (buffer) return std::optional(*std::move(buffer));
    no_room = std::move(buffer).error();
    if (!HasNoRoom(no_room)) return no_room;
    RBC_ASSIGN_OR_RETURN(const auto hello, core_->farm->Hello(core_->DeadlineOf(0)));
    const auto limit = static_cast<uint64_t>(std::max<int64_t>(hello->max_message, 0));
    if (bytes > limit - std::min(in_message_, limit))
      return std::move(no_room).While(
          fmt::format("the request's arrays, {} bytes and more, do not fit into a message of {} either",
                      in_message_ + bytes, limit));
  }
  in_message_ += bytes;
  return std::optional<Buffer>();
}

Expected<wire::ArrayRef> ArrayStaging::Pack(const CheckedArray& array, const types::Type& to) {
  if (array.array.buffer != 0) return PackArray(array, to);
  RBC_ASSIGN_OR_RETURN(const ArrayOnce once, OnceOf(array, to));
  RBC_ASSIGN_OR_RETURN(auto buffer, Make(to, once.shape, once.elements * once.size));
  if (!buffer) return PackArray(array, to);
  RBC_RETURN_IF_ERROR(Fill(*buffer, array, to, once));
  wire::ArrayRef out = detail::Inside::RefTo(*buffer);
  out.shape = array.array.shape;
  out.strides = once.strides;
  kept_.push_back(*std::move(buffer));
  return out;
}

Expected<wire::ArrayRef> ArrayStaging::PackOut(const CheckedArray& out, bool keeps) {
  if (out.array.buffer != 0) return PackArray(out, out.type);
  if (keeps) {
    const size_t before = kept_.size();
    RBC_ASSIGN_OR_RETURN(wire::ArrayRef ref, Pack(out, out.type));
    if (kept_.size() != before) result_ = kept_.back();
    return ref;
  }
  RBC_ASSIGN_OR_RETURN(auto room, PackNew(out.type, out.size, out.array.shape, false));
  if (room) return *std::move(room);
  wire::ArrayRef ref;
  ref.dtype = out.type.ToString();
  ref.shape = out.array.shape;
  ref.strides = types::DenseStrides(out.array.shape, out.size);
  return ref;
}

Expected<std::optional<wire::ArrayRef>> ArrayStaging::PackNew(const types::Type& type, uint64_t size,
                                                              const std::vector<int64_t>& shape, bool zero) {
  RBC_ASSIGN_OR_RETURN(const uint64_t elements, types::CountElements(shape));
  RBC_ASSIGN_OR_RETURN(result_, Make(type, shape, elements * size));
  if (!result_) return std::optional<wire::ArrayRef>();
  if (zero) {
    const std::string zeros(result_->bytes(), '\0');
    RBC_RETURN_IF_ERROR(result_->try_copy_from(zeros.data(), zeros.size()));
  }
  return std::optional(detail::Inside::RefTo(*result_));
}

Status ArrayStaging::TakeResult(const CheckedArray& out) const {
  if (IsPlainCopy(out, out.type, out.array.shape))
    return result_->try_copy_to(const_cast<void*>(out.array.data), result_->bytes());
  if (const auto* memory = static_cast<const char*>(result_->data())) {
    UnpackArray({memory, result_->bytes()}, out);
    return {};
  }
  RBC_ASSIGN_OR_RETURN(const std::string elements, TakeResult());
  UnpackArray(elements, out);
  return {};
}

Expected<std::string> ArrayStaging::TakeResult() const {
  std::string out(result_->bytes(), '\0');
  RBC_RETURN_IF_ERROR(result_->try_copy_to(out.data(), out.size()));
  return out;
}

}  // namespace rbc::client
