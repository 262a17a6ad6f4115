// Arrays of this process on their way to the farm and back.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/array_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strided_run.h"
#include "base/strided_walk.h"
#include "types/array.h"
#include "types/array_extent.h"
#include "types/array_shape.h"
#include "types/frame.h"

namespace rbc::client {
namespace {

using types::Extents;

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

// What a value of this type takes in a frame.
Expected<uint64_t> ElementSizeOf(const types::Type& type) {
  RBC_ASSIGN_OR_RETURN(const auto layout, types::FrameLayout::Make(types::Type::Function(type, {})));
  if (layout.returns_text() || layout.result_size() == 0)
    return Invalid(fmt::format("an array holds values of one size, no `{}`", type.ToString()));
  return layout.result_size();
}

}  // namespace

Expected<CheckedArray> CheckArray(const ArrayArgument& array) {
  CheckedArray out{{}, 0, array};
  RBC_ASSIGN_OR_RETURN(out.type, types::Type::Parse(array.dtype));
  RBC_ASSIGN_OR_RETURN(out.size, ElementSizeOf(out.type));
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(array.shape));
  if (array.strides.empty()) out.array.strides = types::DenseStrides(array.shape, out.size);
  if (out.array.strides.size() != array.shape.size())
    return Invalid(
        fmt::format("an array of shape {} has {} strides", types::ShapeText(array.shape), array.strides.size()));
  if (array.data == nullptr && array.buffer == 0 && count != 0)
    return Invalid(fmt::format("an array of shape {} has no memory", types::ShapeText(array.shape)));
  return out;
}

Expected<ArrayOnce> OnceOf(const CheckedArray& checked, const types::Type& to) {
  if (checked.type != to && !IsConvertible(checked.type, to))
    return Invalid(fmt::format("an array of `{}` cannot become one of `{}`", checked.type.ToString(), to.ToString()));
  const ArrayArgument& array = checked.array;
  ArrayOnce out;
  RBC_ASSIGN_OR_RETURN(out.size, ElementSizeOf(to));
  out.shape = array.shape;
  for (size_t i = 0; i < out.shape.size(); ++i)
    if (array.strides[i] == 0 && out.shape[i] > 1) out.shape[i] = 1;
  RBC_ASSIGN_OR_RETURN(out.elements, types::CountElements(out.shape));
  out.strides = types::DenseStrides(out.shape, out.size);
  for (size_t i = 0; i < out.shape.size(); ++i)
    if (out.shape[i] != array.shape[i]) out.strides[i] = 0;
  return out;
}

Status CopyElements(const CheckedArray& checked, const ArrayOnce& once, const types::Type& to, char* out) {
  const bool same = checked.type == to;
  Status status;
  const auto size = static_cast<uint32_t>(once.size);
  const auto* base = static_cast<const char*>(checked.array.data);
  ForEachRun(once.shape, checked.array.strides, [&](int64_t offset, int64_t step, uint64_t length) {
    if (same)
      CopyRun(out, size, base + offset, step, length, size);
    else if (status)
      status = ConvertElements(checked.type, to, base + offset, step, length, out);
    out += length * size;
  });
  return status;
}

Expected<wire::ArrayRef> PackArray(const CheckedArray& checked, const types::Type& to) {
  const ArrayArgument& array = checked.array;
  wire::ArrayRef out;
  out.dtype = to.ToString();
  out.shape = array.shape;
  if (array.buffer != 0) {
    if (checked.type != to)
      return Invalid(fmt::format("the buffer {} holds `{}`, the parameter is `{}`; convert it first", array.buffer,
                                 checked.type.ToString(), to.ToString()));
    out.strides = array.strides;
    out.__set_buffer(array.buffer);
    out.offset = array.offset;
    return out;
  }
  RBC_ASSIGN_OR_RETURN(const ArrayOnce once, OnceOf(checked, to));
  out.strides = once.strides;
  out.__isset.data = true;
  const uint64_t bytes = once.elements * once.size;
  const auto size = static_cast<uint32_t>(once.size);
  if (checked.type == to && bytes != 0 && types::IsContiguous(array.shape, array.strides, size)) {
    out.data.assign(static_cast<const char*>(array.data), bytes);
    return out;
  }
  out.data.resize(bytes);
  RBC_RETURN_IF_ERROR(CopyElements(checked, once, to, out.data.data()));
  return out;
}

void UnpackArray(std::string_view elements, const CheckedArray& checked) {
  const ArrayArgument& array = checked.array;
  const char* from = elements.data();
  const auto size = static_cast<uint32_t>(checked.size);
  // The caller's array to write into.
  auto* base = static_cast<char*>(const_cast<void*>(array.data));
  ForEachRun(array.shape, array.strides, [&](int64_t offset, int64_t step, uint64_t length) {
    CopyRun(base + offset, step, from, size, length, size);
    from += length * size;
  });
}

}  // namespace rbc::client
