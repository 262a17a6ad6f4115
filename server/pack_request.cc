// Maps and launches as calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/pack_request.h"

#include <fmt/format.h>

#include <cstring>

#include "types/frame.h"
#include "worker/launch_frame.h"

namespace rbc::server {
namespace {

constexpr uint64_t kAlignment = 64;  // of columns: any element, whole vectors

template <typename T>
void Append(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

Status CheckColumn(const FunctionDeclaration& function, size_t i, const wire::Column& column,
                   const types::FrameSlot& slot, uint64_t rows) {
  const auto type = types::Type::Parse(column.dtype);
  if (!type || *type != slot.type)
    return Invalid(fmt::format("column {} of '{}' holds `{}`, the parameter is `{}`; convert it", i + 1,
                               function.symbol, column.dtype, slot.type.ToString()));
  if (column.stride < 0)
    return Invalid(fmt::format("column {} of '{}' has a stride of {}; begin with the row that lies first", i + 1,
                               function.symbol, column.stride));
  const auto needed = rows == 0 ? 0 : static_cast<unsigned __int128>(column.stride) * (rows - 1) + slot.size;
  if (needed <= column.data.size()) return {};
  return Invalid(fmt::format("column {} of '{}' has {} bytes, too few for {} rows of {} bytes with a stride of {}",
                             i + 1, function.symbol, column.data.size(), rows, slot.size, column.stride));
}

}  // namespace

Expected<PackedMap> PackMap(const FunctionDeclaration& function, const wire::MapRequest& request, uint64_t max_bytes) {
  if (function.abi == Abi::kKernel)
    return Invalid(fmt::format("'{}' is a kernel, which has no rows; launch it", function.symbol));
  if (request.rows < 0) return Invalid(fmt::format("a map of {} rows is not possible", request.rows));
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(function.signature));
  RBC_ASSIGN_OR_RETURN(const auto layout, types::FrameLayout::Make(type));
  const auto slots = layout.slots();
  const auto rows = static_cast<uint64_t>(request.rows);
  if (request.columns.size() != slots.size())
    return Invalid(
        fmt::format("'{}' takes {} columns and {} are given", function.symbol, slots.size(), request.columns.size()));
  for (const auto& slot : slots) {
    if (slot.lies_elsewhere())
      return Error(ErrorKind::kUnsupported,
                   fmt::format("'{}' takes `{}`: the rows of a map hold values, no pointers, strings and arrays",
                               function.symbol, slot.type.ToString()));
  }
  uint64_t size = 0;
  for (size_t i = 0; i < slots.size(); ++i) {
    RBC_RETURN_IF_ERROR(CheckColumn(function, i, request.columns[i], slots[i], rows));
    size += request.columns[i].data.size() + kAlignment;
  }
  const auto result = static_cast<unsigned __int128>(layout.result_size()) * rows;
  if (size + result > max_bytes)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("a map of {} rows takes more than the {} bytes of a message; map fewer rows at once", rows,
                             max_bytes));
  PackedMap out;
  out.result_type = layout.result().ToString();
  out.result_size = layout.result_size();
  const bool has_result = out.result_size != 0;
  const auto columns = static_cast<uint32_t>(slots.size() + has_result);
  std::string& frame = out.call.frame;
  frame.reserve(sizeof(worker::MapHead) + columns * sizeof(worker::MapHeadColumn) + size);
  Append(&frame, worker::MapHead{rows, columns, worker::kHeadMagic});
  uint64_t offset = 0;
  for (const auto& column : request.columns) {
    Append(&frame, worker::MapHeadColumn{offset, column.stride});
    offset = (offset + column.data.size() + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (has_result) Append(&frame, worker::MapHeadColumn{offset, out.result_size});
  const size_t head = frame.size();
  for (const auto& column : request.columns) {
    frame += column.data;
    frame.resize(head + (frame.size() - head + kAlignment - 1) / kAlignment * kAlignment);
  }
  out.call.request_id = request.request_id;
  out.call.__set_out_bytes(static_cast<int32_t>(result));
  if (has_result) out.call.__set_return_from(static_cast<int32_t>(offset));
  if (request.__isset.deadline_ms) out.call.__set_deadline_ms(request.deadline_ms);
  return out;
}

namespace {

Status TakeShape(const char* what, const std::vector<int32_t>& sizes, uint32_t out[3]) {
  if (sizes.empty() || sizes.size() > 3)
    return Invalid(fmt::format("the {} has {} dimensions; give 1 to 3", what, sizes.size()));
  for (size_t i = 0; i < 3; ++i) {
    const int32_t size = i < sizes.size() ? sizes[i] : 1;
    if (size <= 0) return Invalid(fmt::format("dimension {} of the {} is {}; give 1 or more", i + 1, what, size));
    out[i] = static_cast<uint32_t>(size);
  }
  return {};
}

}  // namespace

Expected<wire::CallRequest> PackLaunch(const wire::LaunchRequest& request, const CallBuffers& buffers) {
  worker::LaunchHead head{};
  RBC_RETURN_IF_ERROR(TakeShape("grid", request.grid, head.grid));
  RBC_RETURN_IF_ERROR(TakeShape("block", request.block, head.block));
  if (request.shared_bytes < 0)
    return Invalid(fmt::format("{} bytes of shared memory are not possible", request.shared_bytes));
  head.shared_bytes = static_cast<uint32_t>(request.shared_bytes);
  const bool with_pointers = !buffers.pointers.empty();
  head.magic = with_pointers ? worker::kHeadWithPointers : worker::kHeadMagic;
  wire::CallRequest call;
  call.request_id = request.request_id;
  call.function_id = request.function_id;
  call.frame.reserve(sizeof head + sizeof(uint64_t) + buffers.pointers.size() * sizeof(worker::LaunchPointer) +
                     request.frame.size());
  Append(&call.frame, head);
  if (with_pointers) Append(&call.frame, uint64_t{buffers.pointers.size()});
  for (const auto& pointer : buffers.pointers) Append(&call.frame, pointer);
  const size_t before = call.frame.size();
  call.frame += request.frame;
  buffers.StoreArrays(&call.frame, before);
  if (request.__isset.deadline_ms) call.__set_deadline_ms(request.deadline_ms);
  if (request.profile) call.__set_profile(true);
  if (request.__isset.out_bytes) call.__set_out_bytes(request.out_bytes);
  if (request.__isset.return_from) call.__set_return_from(request.return_from);
  return call;
}

}  // namespace rbc::server
