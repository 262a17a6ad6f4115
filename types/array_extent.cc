// Which bytes an n-dimensional array takes.
// SPDX-License-Identifier: Apache-2.0
#include "types/array_extent.h"

#include <algorithm>
#include <string>

#include "types/type.h"

namespace rbc::types {
namespace {

constexpr int64_t kMost = int64_t{1} << 62;

Error TooLarge() { return {ErrorKind::kInvalidArgument, "the array's size or strides do not fit 62 bits"}; }

bool IsPlain(const Type& type) {
  switch (type.kind()) {
    case Kind::kBool:
    case Kind::kChar:
    case Kind::kInt:
    case Kind::kUint:
    case Kind::kFloat:
    case Kind::kComplex:
      return true;
    case Kind::kStruct:
      return std::all_of(type.members().begin(), type.members().end(), IsPlain);
    default:
      return false;
  }
}

}  // namespace

Expected<ArrayExtent> ExtentOf(std::span<const int64_t> shape, std::span<const int64_t> strides,
                               uint64_t element_size) {
  if (shape.size() != strides.size() || shape.size() > kMaxArrayRank)
    return Error(ErrorKind::kInvalidArgument,
                 "an array has " + std::to_string(shape.size()) + " dimensions and " + std::to_string(strides.size()) +
                     " strides; give as many of one as of the other, at most " + std::to_string(kMaxArrayRank));
  ArrayExtent out;
  bool empty = false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] < 0)
      return Error(ErrorKind::kInvalidArgument, "dimension " + std::to_string(d) + " of an array has the length " +
                                                    std::to_string(shape[d]) + "; give 0 or more");
    empty |= shape[d] == 0;
  }
  if (empty) return ArrayExtent{0, 0, 0};
  __int128 low = 0, high = element_size, elements = 1;
  for (size_t d = 0; d < shape.size(); ++d) {
    const __int128 reach = static_cast<__int128>(shape[d] - 1) * strides[d];
    (reach < 0 ? low : high) += reach;
    elements *= shape[d];
    if (low < -kMost || high > kMost || elements > kMost) return TooLarge();
  }
  if (elements * static_cast<__int128>(element_size) > kMost) return TooLarge();
  out.low = static_cast<int64_t>(low);
  out.high = static_cast<int64_t>(high);
  out.elements = static_cast<int64_t>(elements);
  return out;
}

std::vector<int64_t> DenseStrides(std::span<const int64_t> shape, uint64_t element_size, bool fortran) {
  std::vector<int64_t> out(shape.size());
  uint64_t step = element_size;  // wraps where the product does not fit, as promised away
  for (size_t i = 0; i < shape.size(); ++i) {
    const size_t d = fortran ? i : shape.size() - 1 - i;
    out[d] = static_cast<int64_t>(step);
    step *= static_cast<uint64_t>(std::max<int64_t>(shape[d], 1));
  }
  return out;
}

Expected<SizeAndAlignment> ElementLayout(const Type& type) {
  if (!IsPlain(type))
    return Error(ErrorKind::kUnsupported,
                 "an array of `" + type.ToString() + "` is not possible; elements are plain values without pointers");
  return LayoutOf(type);
}

}  // namespace rbc::types
