// Maps, reductions and scans over arrays as calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/array_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "server/array_iteration.h"
#include "types/array_extent.h"
#include "types/frame.h"
#include "worker/data_arena.h"
#include "worker/launch_frame.h"

namespace rbc::server {
namespace {

using types::Extents;

constexpr uint64_t kAlignment = 64;  // of arrays in a message: any element, whole vectors

constexpr uint64_t RoundUp(uint64_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

template <typename T>
void Append(std::string* out, const T& value) {
  out->append(reinterpret_cast<const char*>(&value), sizeof value);
}

// What a function takes for each element.
struct Element {
  types::Type type;
  uint64_t size = 0;
};
struct Signature {
  std::vector<Element> parameters;
  Element result;  // size 0: void
};

Expected<Signature> SignatureOf(const FunctionDeclaration& function) {
  if (function.abi == Abi::kKernel)
    return Invalid(fmt::format("'{}' is a kernel, which runs over a grid; launch it", function.symbol));
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(function.signature));
  RBC_ASSIGN_OR_RETURN(const auto layout, types::FrameLayout::Make(type));
  Signature out;
  const auto refuse = [&function](const types::Type& bad) {
    return Error(ErrorKind::kUnsupported, fmt::format("'{}' has `{}`: arrays hold values, no pointers and no strings",
                                                      function.symbol, bad.ToString()));
  };
  for (const auto& slot : layout.slots()) {
    if (slot.type.is(types::Kind::kPointer) || slot.type.is(types::Kind::kString)) return refuse(slot.type);
    out.parameters.push_back({slot.type, slot.size});
  }
  if (layout.returns_text()) return refuse(layout.result());
  out.result = {layout.result(), layout.result_size()};
  return out;
}

// An array of the request, checked, and where it lies.
struct Operand {
  Extents shape, strides;
  uint64_t size = 0;   // of an element
  uint64_t place = 0;  // of element 0, 0, ...; worker/launch_frame.h
};

// The frame in the making: arrays of the message one behind the other. The request outlives it: nothing of it is copied
// before it is known how large the frame is.
class Packer {
 public:
  explicit Packer(const ArrayScope& scope) : scope_(scope) {}

  Expected<Operand> Take(const std::string& what, const wire::ArrayRef& array, const Element& element) {
    RBC_ASSIGN_OR_RETURN(Operand operand, Check(what, array, element));
    if (array.__isset.buffer) {
      RBC_ASSIGN_OR_RETURN(ArrayInArena found, scope_.find(array));
      operand.place = found.on_device ? found.offset : found.offset | worker::kInDataArena;
      kept_.push_back(std::move(found.kept));
      return operand;
    }
    RBC_ASSIGN_OR_RETURN(const auto range, types::ExtentOf(array.shape, array.strides, element.size));
    const __int128 begin = array.offset, low = begin + range.low, high = begin + range.high;
    const bool empty = std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end();
    if (!empty && (low < 0 || high > static_cast<__int128>(array.data.size())))
      return Invalid(
          fmt::format("{} of '{}' has {} bytes, which do not hold an array of shape {} with strides {} at {}", what,
                      scope_.function.symbol, array.data.size(), types::ShapeText(array.shape),
                      types::ShapeText(array.strides), array.offset));
    operand.place = size_ + static_cast<uint64_t>(array.offset);
    if (size_ + array.data.size() > scope_.max_bytes) return TooLarge();
    pieces_.push_back(array.data);
    size_ = RoundUp(size_ + array.data.size());
    return operand;
  }

  // The last one: what comes back. `ref` null, or with neither buffer nor data: new, side by side in C order.
  Expected<Operand> TakeResult(const wire::ArrayRef* ref, const Element& element, const Extents& shape,
                               PackedArrays* out) {
    if (scope_.keep != nullptr && ref != nullptr)
      return Invalid(fmt::format("the result of '{}' is to be kept and to be written into an array; do one of these",
                                 scope_.function.symbol));
    if (scope_.keep != nullptr) {
      RBC_ASSIGN_OR_RETURN(out->result, (*scope_.keep)(element.type.ToString(), shape));
      return Take("the result", out->result, element);
    }
    out->result.dtype = element.type.ToString();
    out->result.shape = shape;
    if (ref != nullptr) {
      if (ref->shape != shape)
        return Invalid(fmt::format("the result of '{}' has the shape {}, the array to write into {}",
                                   scope_.function.symbol, types::ShapeText(shape), types::ShapeText(ref->shape)));
    }
    if (ref != nullptr && (ref->__isset.buffer || ref->__isset.data)) {
      for (size_t i = 0; i < std::min(shape.size(), ref->strides.size()); ++i)
        if (shape[i] > 1 && ref->strides[i] == 0)
          return Invalid("the array to write into repeats its elements: it has a stride of 0");
      const uint64_t at = size_;
      RBC_ASSIGN_OR_RETURN(Operand operand, Take("the array to write into", *ref, element));
      out->result.dtype = ref->dtype;
      out->result.strides = ref->strides;
      out->result.offset = ref->offset;
      if (ref->__isset.buffer) {
        out->result.__set_buffer(ref->buffer);
        out->written = static_cast<uint64_t>(ref->buffer);
      } else {
        out->call.__set_return_from(static_cast<int32_t>(at));
        returned_ = true;
      }
      return operand;
    }
    Operand operand{shape, types::DenseStrides(shape, element.size), element.size, size_};
    RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(shape));
    out->result.strides = operand.strides;
    const auto bytes = static_cast<unsigned __int128>(count) * element.size;
    if (bytes + size_ > scope_.max_bytes) return TooLarge();
    out->call.__set_out_bytes(static_cast<int32_t>(bytes));
    out->call.__set_return_from(static_cast<int32_t>(size_));
    return operand;
  }

  void Finish(const Iteration& iteration, std::span<const Operand> operands, size_t inner, uint32_t flags,
              PackedArrays* out) {
    std::string& frame = out->call.frame;
    worker::ArrayHead head{};
    head.operands = static_cast<uint32_t>(operands.size());
    head.dimensions = static_cast<uint16_t>(iteration.shape.size());
    head.inner = static_cast<uint16_t>(inner);
    head.flags = flags;
    head.magic = worker::kArrayMagic;
    const size_t words = head.dimensions + operands.size() * (size_t{head.dimensions} + 1);
    frame.reserve(sizeof head + words * sizeof(int64_t) + size_);
    Append(&frame, head);
    for (const int64_t length : iteration.shape) Append(&frame, length);
    for (size_t i = 0; i < operands.size(); ++i) {
      Append(&frame, operands[i].place);
      for (const int64_t stride : iteration.strides[i]) Append(&frame, stride);
    }
    const size_t begin = frame.size();
    for (const std::string_view piece : pieces_) {
      frame.resize(begin + RoundUp(frame.size() - begin));
      frame += piece;
    }
    // A result that was given comes back without what rounds it up.
    if (!returned_) frame.resize(begin + size_);
    out->kept = std::move(kept_);
  }

 private:
  Expected<Operand> Check(const std::string& what, const wire::ArrayRef& array, const Element& element) const {
    if (array.__isset.step)
      return Invalid(fmt::format("{} of '{}' names step {}, and this is no step of a chain", what,
                                 scope_.function.symbol, array.step));
    const auto type = types::Type::Parse(array.dtype);
    const auto& name = scope_.function.symbol;
    if (!type || *type != element.type)
      return Invalid(fmt::format("{} of '{}' holds `{}`, the function has `{}`; convert it", what, name, array.dtype,
                                 element.type.ToString()));
    RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(array.shape));
    (void)count;
    if (array.strides.size() != array.shape.size())
      return Invalid(fmt::format("{} of '{}' has {} dimensions and {} strides", what, name, array.shape.size(),
                                 array.strides.size()));
    if (array.offset < 0) return Invalid(fmt::format("{} of '{}' begins at byte {}", what, name, array.offset));
    return Operand{array.shape, array.strides, element.size, 0};
  }

  Error TooLarge() const {
    return {ErrorKind::kResourceExhausted,
            fmt::format("the arrays of '{}' take more than the {} bytes of a message; put them into buffers",
                        scope_.function.symbol, scope_.max_bytes)};
  }

  const ArrayScope& scope_;
  std::vector<std::string_view> pieces_;
  uint64_t size_ = 0;      // of the pieces, each rounded up
  bool returned_ = false;  // the last piece is the result
  std::vector<std::shared_ptr<const void>> kept_;
};

template <typename Request>
const wire::ArrayRef* OutOf(const Request& request) {
  return request.__isset.into ? &request.into : nullptr;
}

template <typename Request>
void TakeCommon(const Request& request, PackedArrays* out) {
  out->call.request_id = request.request_id;
  if (request.__isset.deadline_ms) out->call.__set_deadline_ms(request.deadline_ms);
  if (request.profile) out->call.__set_profile(true);
}

Expected<Signature> CombiningSignature(const ArrayScope& scope, const char* what) {
  RBC_ASSIGN_OR_RETURN(Signature signature, SignatureOf(scope.function));
  const auto& parameters = signature.parameters;
  if (parameters.size() != 2 || signature.result.size == 0 || parameters[0].type != signature.result.type ||
      parameters[1].type != signature.result.type)
    return Invalid(fmt::format("'{}' has signature `{}`: a {} takes two values of one type and gives a third",
                               scope.function.symbol, scope.function.signature, what));
  return signature;
}

// The dimension that is meant; negative ones count from the end.
Expected<size_t> AxisOf(int32_t axis, const Extents& shape) {
  const auto rank = static_cast<int64_t>(shape.size());
  const int64_t from_start = axis < 0 ? axis + rank : axis;
  if (from_start < 0 || from_start >= rank)
    return Invalid(fmt::format("axis {} is none of an array of shape {}", axis, types::ShapeText(shape)));
  return static_cast<size_t>(from_start);
}

// The dimension moved behind all others.
void MoveToEnd(size_t axis, Extents* extents) {
  std::rotate(extents->begin() + static_cast<std::ptrdiff_t>(axis),
              extents->begin() + static_cast<std::ptrdiff_t>(axis) + 1, extents->end());
}

// Outer and inner dimensions, merged each among themselves; the inner ones at least one dimension.
Iteration CollapseAround(const Extents& shape, const Extents& in, const Extents& out, size_t inner,
                         size_t* inner_left) {
  const auto part = [&](size_t from, size_t to) {
    const auto cut = [&](const Extents& extents) {
      return Extents(extents.begin() + static_cast<std::ptrdiff_t>(from),
                     extents.begin() + static_cast<std::ptrdiff_t>(to));
    };
    return Collapse({cut(shape), {cut(in), cut(out)}}, false);
  };
  Iteration all = part(0, shape.size() - inner);
  const Iteration last = part(shape.size() - inner, shape.size());
  *inner_left = last.shape.size();
  all.shape.insert(all.shape.end(), last.shape.begin(), last.shape.end());
  for (size_t i = 0; i < 2; ++i)
    all.strides[i].insert(all.strides[i].end(), last.strides[i].begin(), last.strides[i].end());
  return all;
}

// Results from this size on are out of the caches before anybody reads them.
constexpr uint64_t kPastCaches = 32 << 20;
constexpr uint64_t kMostPastCaches = 16;  // bytes of an element
constexpr uint64_t kCacheLine = 64;

// Whether a map should write its result past the caches: whole lines of an array that stays.
bool GoesPastCaches(const Iteration& iteration, const Operand& result) {
  return iteration.shape.size() == 1 && iteration.strides.back()[0] == static_cast<int64_t>(result.size) &&
         result.size <= kMostPastCaches && static_cast<uint64_t>(iteration.shape[0]) >= kPastCaches / result.size &&
         (result.place & worker::kInDataArena) != 0 && result.place % kCacheLine == 0;
}

}  // namespace

Expected<PackedArrays> PackArrayMap(const ArrayScope& scope, const wire::ArrayMapRequest& request) {
  RBC_ASSIGN_OR_RETURN(const Signature signature, SignatureOf(scope.function));
  const auto& parameters = signature.parameters;
  if (request.inputs.size() != parameters.size())
    return Invalid(fmt::format("'{}' takes {} arrays and {} are given", scope.function.symbol, parameters.size(),
                               request.inputs.size()));
  PackedArrays out;
  TakeCommon(request, &out);
  Packer packer(scope);
  std::vector<Operand> operands;
  std::vector<Extents> shapes;
  for (size_t i = 0; i < parameters.size(); ++i) {
    RBC_ASSIGN_OR_RETURN(operands.emplace_back(),
                         packer.Take(fmt::format("array {}", i + 1), request.inputs[i], parameters[i]));
    shapes.push_back(operands.back().shape);
  }
  std::optional<Operand> mask;
  if (request.__isset.where) {
    RBC_ASSIGN_OR_RETURN(mask, packer.Take("the array `where`", request.where, {types::Type::Bool(), 1}));
    shapes.push_back(mask->shape);
  }
  const bool has_result = signature.result.size != 0;
  if (request.__isset.into && !has_result)
    return Invalid(fmt::format("'{}' gives nothing that could be written into an array", scope.function.symbol));
  if (scope.keep != nullptr && !has_result)
    return Invalid(fmt::format("'{}' gives nothing that could be kept", scope.function.symbol));
  if (request.__isset.into) shapes.push_back(request.into.shape);
  RBC_ASSIGN_OR_RETURN(const Extents shape, types::BroadcastShapes(shapes));
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(shape));
  std::vector<uint64_t> sizes;
  for (const auto& operand : operands) sizes.push_back(operand.size);
  if (has_result) {
    RBC_ASSIGN_OR_RETURN(operands.emplace_back(), packer.TakeResult(OutOf(request), signature.result, shape, &out));
    sizes.push_back(operands.back().size);
  }
  if (mask) operands.push_back(*mask);
  out.empty = count == 0;
  if (out.empty) return out;
  Iteration whole{shape, {}};
  for (const auto& operand : operands)
    whole.strides.push_back(types::BroadcastStrides(operand.shape, operand.strides, shape));
  // Of a function that can fail the first element in C order is told.
  const Iteration iteration = Collapse(whole, scope.function.abi != Abi::kStatusRetptr);
  out.pattern = PatternOf(iteration, sizes);
  if (has_result && !mask && GoesPastCaches(iteration, operands.back())) out.pattern.back() = 'n';
  packer.Finish(iteration, operands, 0, mask ? uint32_t{worker::kMasked} : 0, &out);
  return out;
}

Expected<PackedArrays> PackReduction(const ArrayScope& scope, const wire::ArrayReduceRequest& request) {
  RBC_ASSIGN_OR_RETURN(const Signature signature, CombiningSignature(scope, "reduction"));
  const Element& element = signature.result;
  if (request.__isset.identity && request.identity.size() != element.size)
    return Invalid(fmt::format("the identity of '{}' has {} bytes, a value {}", scope.function.symbol,
                               request.identity.size(), element.size));
  PackedArrays out;
  TakeCommon(request, &out);
  Packer packer(scope);
  RBC_ASSIGN_OR_RETURN(Operand input, packer.Take("the array", request.input, element));
  Extents shape;  // of the result
  size_t inner = input.shape.size();
  if (request.__isset.axis) {
    RBC_ASSIGN_OR_RETURN(const size_t axis, AxisOf(request.axis, input.shape));
    MoveToEnd(axis, &input.shape);
    MoveToEnd(axis, &input.strides);
    inner = 1;
    shape.assign(input.shape.begin(), input.shape.end() - 1);
  }
  RBC_ASSIGN_OR_RETURN(const uint64_t results, types::CountElements(shape));
  RBC_ASSIGN_OR_RETURN(const uint64_t elements, types::CountElements(input.shape));
  const bool nothing = results == 0 || elements == 0;
  if (results != 0 && elements == 0) {
    if (!request.__isset.identity)
      return Invalid(fmt::format("'{}' has nothing to reduce and no identity; give one", scope.function.symbol));
    if (request.__isset.into)
      return Invalid("a reduction of nothing does not write into an array; fill it with the identity");
  }
  RBC_ASSIGN_OR_RETURN(Operand result, packer.TakeResult(OutOf(request), element, shape, &out));
  if (nothing) {
    std::string& data = scope.keep != nullptr ? out.fill : out.result.data;
    for (uint64_t i = 0; i < results; ++i) data += request.identity;
    out.result.__isset.data = scope.keep == nullptr;
    out.empty = true;
    return out;
  }
  result.strides.resize(input.shape.size(), 0);
  out.in_order = request.ordered;
  const uint32_t flags = out.in_order ? uint32_t{worker::kOrdered} : 0;
  size_t left = 0;
  const Iteration iteration = CollapseAround(input.shape, input.strides, result.strides, inner, &left);
  packer.Finish(iteration, std::array{input, result}, left, flags, &out);
  return out;
}

Expected<PackedArrays> PackScan(const ArrayScope& scope, const wire::ArrayScanRequest& request) {
  RBC_ASSIGN_OR_RETURN(const Signature signature, CombiningSignature(scope, "scan"));
  PackedArrays out;
  TakeCommon(request, &out);
  Packer packer(scope);
  RBC_ASSIGN_OR_RETURN(Operand input, packer.Take("the array", request.input, signature.result));
  RBC_ASSIGN_OR_RETURN(const uint64_t elements, types::CountElements(input.shape));
  const Extents shape = request.__isset.axis ? input.shape : Extents{static_cast<int64_t>(elements)};
  size_t inner = input.shape.size();
  std::optional<size_t> axis;
  if (request.__isset.axis) {
    RBC_ASSIGN_OR_RETURN(axis, AxisOf(request.axis, input.shape));
    inner = 1;
  }
  RBC_ASSIGN_OR_RETURN(Operand result, packer.TakeResult(OutOf(request), signature.result, shape, &out));
  out.empty = elements == 0;
  if (out.empty) return out;
  if (axis) {
    for (Extents* extents : {&input.shape, &input.strides, &result.strides}) MoveToEnd(*axis, extents);
  } else {
    // The flat result in the input's dimensions: its one stride, times what lies behind each.
    const int64_t step = result.strides[0];
    result.strides = types::DenseStrides(input.shape, 1);
    for (int64_t& stride : result.strides) stride *= step;
  }
  size_t left = 0;
  const Iteration iteration = CollapseAround(input.shape, input.strides, result.strides, inner, &left);
  packer.Finish(iteration, std::array{input, result}, left, 0, &out);
  return out;
}

}  // namespace rbc::server
