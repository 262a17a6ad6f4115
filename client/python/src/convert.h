// Python objects as values of a call, and back. Every function REQUIRES the GIL.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <forward_list>
#include <vector>

#include "types/value.h"

namespace rbc::python {

namespace nb = nanobind;

// The arguments of one call. Holds the buffers that pointer parameters point into until it is gone.
class Arguments {
 public:
  // elements: an array without dimensions is its element, also where memory could be meant.
  explicit Arguments(bool elements = false) : elements_(elements) {}
  ~Arguments();
  Arguments(const Arguments&) = delete;
  Arguments& operator=(const Arguments&) = delete;

  // Throws a Python exception for what cannot be an argument.
  void Add(PyObject* object);
  std::span<const types::Value> values() const { return values_; }
  std::vector<types::Value> TakeValues() { return std::move(values_); }
  // For each value its type where the object has one of its own (numpy.int32), else null; empty: none has.
  std::span<const types::Type* const> types() const {
    return has_types_ ? std::span<const types::Type* const>(types_) : std::span<const types::Type* const>();
  }

 private:
  types::Value ValueOf(PyObject* object, const types::Type** type, int depth);
  types::Value Other(PyObject* object, const types::Type** type, int depth);
  types::Value BufferOf(PyObject* object);
  types::Value ArrayOf(PyObject* object);
  types::Value ResidentOf(PyObject* object);
  types::Value QueuedOf(PyObject* object);
  // Memory lent until this is gone, writable if it can be; `flags` as for PyObject_GetBuffer.
  const Py_buffer& Borrow(PyObject* object, int flags);
  types::Value StructOf(PyObject* sequence, int depth);

  std::vector<types::Value> values_;
  std::vector<const types::Type*> types_;
  std::forward_list<Py_buffer> buffers_;  // a view may point into itself; most calls have none
  bool has_types_ = false;
  const bool elements_;
};

// Whether it is an array of NumPy's or of a farm's.
bool IsArray(PyObject* object);

// A result of `type` as Python has it.
nb::object ToPython(const types::Value& value, const types::Type& type);

}  // namespace rbc::python
