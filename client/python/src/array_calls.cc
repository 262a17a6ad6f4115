// Maps and reductions over arrays that stay on the farm.
// SPDX-License-Identifier: Apache-2.0
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/python/src/farm_object.h"
#include "client/python/src/python_error.h"

namespace rbc::python {
namespace {

// Arguments as C++ has them, and the Python memory behind them for as long as this lives.
class Operands {
 public:
  explicit Operands(const std::shared_ptr<client::Farm>& farm) : farm_(farm) {}
  ~Operands() {
    for (Py_buffer& view : views_) PyBuffer_Release(&view);
  }
  Operands(const Operands&) = delete;

  // (dtype, buffer or contiguous memory, shape, strides, offset). Nothing: a buffer of another connection to a farm.
  std::optional<ArrayArgument> Take(nb::handle given) {
    ArrayArgument out;
    out.dtype = nb::cast<std::string>(given[0]);
    out.shape = nb::cast<std::vector<int64_t>>(given[2]);
    out.strides = nb::cast<std::vector<int64_t>>(given[3]);
    if (nb::isinstance<BufferObject>(given[1])) {
      const auto& buffer = nb::cast<const BufferObject&>(given[1]);
      if (buffer.farm() != farm_) return std::nullopt;
      out.buffer = buffer.buffer().id();
      out.offset = nb::cast<int64_t>(given[4]);
      return out;
    }
    Py_buffer view;
    if (PyObject_GetBuffer(given[1].ptr(), &view, PyBUF_C_CONTIGUOUS) != 0) throw nb::python_error();
    views_.push_back(view);
    out.data = view.buf;
    return out;
  }

 private:
  const std::shared_ptr<client::Farm>& farm_;
  std::vector<Py_buffer> views_;
};

nb::object Described(const ArrayResult& result) {
  nb::dict out;
  out["shape"] = result.shape;
  out["data"] = nb::bytes(result.data.data(), result.data.size());
  out["status"] = result.status;
  out["row"] = result.row;
  out["output"] = nb::bytes(result.output.data(), result.output.size());
  return out;
}

}  // namespace

nb::object FunctionObject::MapArrays(const nb::list& arrays, nb::handle into) const {
  Operands operands(farm());
  std::vector<ArrayArgument> given;
  for (nb::handle array : arrays) {
    auto taken = operands.Take(array);
    if (!taken) return nb::none();
    given.push_back(*std::move(taken));
  }
  ArrayMapOptions options;
  options.out = operands.Take(into);
  if (!options.out) return nb::none();
  return Described(OrThrow(WithoutGil(farm(), [&] { return caller_.try_map_arrays(given, options); })));
}

nb::object FunctionObject::ReduceArray(nb::handle array, std::optional<int> axis) const {
  Operands operands(farm());
  const auto given = operands.Take(array);
  if (!given) return nb::none();
  ArrayReduceOptions options;
  options.axis = axis;
  return Described(OrThrow(WithoutGil(farm(), [&] { return caller_.try_reduce(*given, options); })));
}

}  // namespace rbc::python
