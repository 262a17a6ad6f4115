// Maps, reductions and scans over arrays of NumPy's and of the farm's.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/python/src/caller_object.h"
#include "client/python/src/farm_object.h"
#include "client/python/src/python_error.h"
#include "client/src/buffer_state.h"

namespace rbc::python {
namespace {

// Arrays as C++ has them, and the Python memory behind them for as long as this lives.
class Operands {
 public:
  Operands() = default;
  ~Operands() {
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
  }
  Operands(const Operands&) = delete;

  // (dtype, buffer or memory, shape, strides, offset); `flags` as for PyObject_GetBuffer. Without a shape: the memory's
  // own.
  ArrayArgument Take(nb::handle given, int flags = PyBUF_STRIDES) {
    ArrayArgument out;
    out.dtype = nb::cast<std::string>(given[0]);
    const bool has_shape = !given[2].is_none();
    if (has_shape) {
      out.shape = nb::cast<std::vector<int64_t>>(given[2]);
      out.strides = nb::cast<std::vector<int64_t>>(given[3]);
    }
    if (nb::isinstance<BufferObject>(given[1])) {
      const rbc::Buffer& buffer = nb::cast<const BufferObject&>(given[1]).buffer();
      OrThrow(detail::Inside::StateOf(buffer).CheckHeld());
      out.buffer = buffer.id();
      out.offset = nb::cast<int64_t>(given[4]);
      return out;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(given[1].ptr(), &view, flags) != 0) throw nb::python_error();
    views_.push_back(view);
    if (!has_shape) {
      out.shape.assign(view.shape, view.shape + view.ndim);
      out.strides.assign(view.strides, view.strides + view.ndim);
    }
    out.data = view.buf;
    return out;
  }
  std::optional<ArrayArgument> TakeIf(nb::handle given, int flags = PyBUF_STRIDES) {
    if (given.is_none()) return std::nullopt;
    return Take(given, flags);
  }

 private:
  std::vector<Py_buffer> views_;
};

constexpr int kWritten = PyBUF_STRIDES | PyBUF_WRITABLE;

nb::object Described(const ArrayResult& result) {
  nb::dict out;
  out["status"] = result.status;
  out["row"] = result.row;
  out["output"] = nb::bytes(result.output.data(), result.output.size());
  if (CallerObject::profiling()) out["parts"] = PartsOf(result.times);
  return out;
}

}  // namespace

nb::dict PartsOf(const ArrayTimes& times) {
  const auto seconds = [](int64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; };
  nb::dict out;
  out["compile_s"] = seconds(times.compile);
  out["queue_s"] = seconds(times.queue);
  out["upload_s"] = seconds(times.upload);
  out["kernel_s"] = seconds(times.kernel);
  out["download_s"] = seconds(times.download);
  out["bytes_out"] = times.bytes_out;
  out["bytes_in"] = times.bytes_in;
  return out;
}

nb::object FunctionObject::MapArrays(const nb::list& arrays, nb::handle into, nb::handle where, int accuracy) const {
  Operands operands;
  std::vector<ArrayArgument> given;
  for (nb::handle array : arrays) given.push_back(operands.Take(array));
  ArrayMapOptions options;
  options.out = operands.TakeIf(into, kWritten);
  options.where = operands.TakeIf(where);
  options.accuracy = static_cast<Accuracy>(accuracy);
  options.profile = CallerObject::profiling();
  return Described(OrThrow(WithoutGil(farm(), [&] { return caller_.try_map_arrays(given, options); })));
}

nb::object FunctionObject::ReduceArray(nb::handle array, std::optional<int> axis, nb::handle into, bool ordered,
                                       int accuracy) const {
  Operands operands;
  const ArrayArgument given = operands.Take(array);
  ArrayReduceOptions options;
  options.axis = axis;
  options.ordered = ordered;
  options.out = operands.Take(into, kWritten);
  options.accuracy = static_cast<Accuracy>(accuracy);
  options.profile = CallerObject::profiling();
  return Described(OrThrow(WithoutGil(farm(), [&] { return caller_.try_reduce(given, options); })));
}

nb::object FunctionObject::ScanArray(nb::handle array, int axis, nb::handle into, int accuracy) const {
  Operands operands;
  const ArrayArgument given = operands.Take(array);
  ArrayScanOptions options;
  options.axis = axis;
  options.out = operands.Take(into, kWritten);
  options.accuracy = static_cast<Accuracy>(accuracy);
  options.profile = CallerObject::profiling();
  return Described(OrThrow(WithoutGil(farm(), [&] { return caller_.try_scan(given, options); })));
}

}  // namespace rbc::python
