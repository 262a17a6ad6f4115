// Arrays of this process on their way to the farm and back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gen/rbc_types.h"
#include "rbc/array.h"
#include "types/type.h"

namespace rbc::client {

// An argument whose type and extents are checked, with strides.
struct CheckedArray {
  types::Type type;
  uint64_t size = 0;  // of an element
  ArrayArgument array;
};
// kInvalidArgument: no type, not a value's type, strides that do not belong to the shape, no memory.
Expected<CheckedArray> CheckArray(const ArrayArgument& array);

// What there is of an array: dimensions that repeat (a stride of 0) once.
struct ArrayOnce {
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // of the whole array, over these elements side by side
  uint64_t elements = 0;
  uint64_t size = 0;  // of an element of type `to`
};
// kInvalidArgument: elements cannot become of type `to`.
Expected<ArrayOnce> OnceOf(const CheckedArray& array, const types::Type& to);
// Those elements, converted, side by side. REQUIRES: as much room as they take. kInvalidArgument: one does not fit.
Status CopyElements(const CheckedArray& array, const ArrayOnce& once, const types::Type& to, char* out);

// As the wire has it: the elements that there really are, side by side; of type `to`, into which numbers are converted.
// kInvalidArgument: there is no conversion, or an element does not fit.
Expected<wire::ArrayRef> PackArray(const CheckedArray& array, const types::Type& to);

// Elements in C order into an array of this process. REQUIRES: as many as its shape has.
void UnpackArray(std::string_view elements, const CheckedArray& array);

// Whether numbers of this type can become numbers of that one.
bool IsConvertible(const types::Type& from, const types::Type& to);
// `count` elements, `step` bytes apart. kInvalidArgument: one does not fit, as with an argument of a call.
Status ConvertElements(const types::Type& from, const types::Type& to, const char* in, int64_t step, uint64_t count,
                       char* out);

}  // namespace rbc::client
