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
  // Elements of the same memory laid out otherwise.
  BufferObject View(std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset) const;
  // Of an array of structs each member, with the place of its first element. They are freed one by one.
  std::vector<std::pair<BufferObject, int64_t>> Members() const;
  // Its elements in C order, to and from memory of this process of as many bytes.
  void Read(nb::handle into) const;
  void Write(nb::handle from) const;
  // Of the same type and shape, in the same session; nothing travels.
  void CopyFrom(const BufferObject& from) const;
  // A new buffer on the target ("": the farm's own memory) with the same elements; nothing travels.
  BufferObject CopyTo(const std::string& target) const;
  void Free() const;

 private:
  rbc::Buffer buffer_;
  std::shared_ptr<client::Farm> farm_;
};

void DefineBuffer(nb::module_& module);

}  // namespace rbc::python
