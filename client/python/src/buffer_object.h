// An array of the farm's as Python holds it; rbc/buffers.py has its views.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <utility>

#include "client/src/core.h"
#include "rbc/rbc.h"

namespace rbc::python {

namespace nb = nanobind;

class BufferObject {
 public:
  BufferObject(rbc::Buffer buffer, std::shared_ptr<client::Farm> farm)
      : buffer_(std::move(buffer)), farm_(std::move(farm)) {}
  const rbc::Buffer& buffer() const { return buffer_; }
  const std::shared_ptr<client::Farm>& farm() const { return farm_; }
  // Its bytes as they lie there, from and to memory of this process of as many.
  void Read(nb::handle into) const;
  void Write(nb::handle from) const;
  // Of the same type, shape and order, in the same session; nothing travels.
  void CopyFrom(const BufferObject& from) const;
  void Free() const;

 private:
  // In C order, whatever the order of the buffer: its bytes as they lie.
  rbc::Buffer Raw() const;

  rbc::Buffer buffer_;
  std::shared_ptr<client::Farm> farm_;
};

void DefineBuffer(nb::module_& module);

}  // namespace rbc::python
