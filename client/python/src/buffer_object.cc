// An array of the farm's as Python holds it.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/buffer_object.h"

#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "client/python/src/python_error.h"
#include "client/src/buffer_state.h"

namespace rbc::python {
namespace {

// Memory of a Python object, lent for as long as this lives.
class Lent {
 public:
  Lent(nb::handle object, int flags) {
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) throw nb::python_error();
  }
  ~Lent() { PyBuffer_Release(&view_); }
  Lent(const Lent&) = delete;
  void* data() const { return view_.buf; }
  size_t bytes() const { return static_cast<size_t>(view_.len); }

 private:
  Py_buffer view_{};
};

// rbc.BufferLost: the bytes may be another array's by now. Waits for the farm where a worker has ended since.
void CheckAlive(const BufferObject& object) {
  const auto& state = detail::Inside::StateOf(object.buffer());
  if (!state.IsKnownAlive()) OrThrow(WithoutGil(object.farm(), [&] { return state.CheckAlive(); }));
}

// Where the farm shares its memory, this process's: as plain bytes, from its begin also for what is a part of it.
int GetBuffer(PyObject* self, Py_buffer* view, int flags) {
  const BufferObject& object = *nb::inst_ptr<BufferObject>(self);
  const rbc::Buffer& buffer = object.buffer();
  try {
    CheckAlive(object);
  } catch (nb::python_error& e) {
    e.restore();
    view->obj = nullptr;
    return -1;
  }
  const int64_t bytes = detail::Inside::StateOf(buffer).owned.info.bytes;
  if (buffer.data() == nullptr && bytes != 0) {
    PyErr_SetString(PyExc_BufferError,
                    "the array is on another machine, or its farm shares no memory; get() copies it");
    view->obj = nullptr;
    return -1;
  }
  static char nothing = 0;
  void* const data = buffer.data() == nullptr ? &nothing : static_cast<char*>(buffer.data()) - buffer.offset();
  return PyBuffer_FillInfo(view, self, data, bytes, 0, flags);
}

PyType_Slot kBufferSlots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(GetBuffer)}, {0, nullptr}};

// As what `self._lent()` gives.
int Lend(PyObject* self, Py_buffer* view, int flags) {
  PyObject* const lent = PyObject_CallMethod(self, "_lent", nullptr);
  view->obj = nullptr;
  if (lent == nullptr) return -1;
  const int done = PyObject_GetBuffer(lent, view, flags);
  Py_DECREF(lent);
  return done;
}

// A class of Python's cannot have a buffer itself before 3.12: it inherits one.
nb::object MakeLender() {
  static PyType_Slot slots[] = {{Py_bf_getbuffer, reinterpret_cast<void*>(Lend)}, {0, nullptr}};
  static PyType_Spec spec = {"rbc._core.Lender", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
  return nb::steal(PyType_FromSpec(&spec));
}

}  // namespace

BufferObject BufferObject::View(std::vector<int64_t> shape, std::vector<int64_t> strides, int64_t offset) const {
  return {OrThrow(detail::Inside::ViewOf(buffer_, std::move(shape), std::move(strides), offset)), farm_};
}

std::vector<std::pair<BufferObject, int64_t>> BufferObject::Members() const {
  std::vector<std::pair<BufferObject, int64_t>> out;
  for (const rbc::Buffer& member : OrThrow(detail::Inside::PartsOf(buffer_)))
    out.push_back({{member, farm_}, member.offset()});
  return out;
}

void BufferObject::Read(nb::handle into) const {
  const Lent memory(into, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
  OrThrow(WithoutGil(farm_, [&] { return buffer_.try_copy_to(memory.data(), memory.bytes()); }));
}

void BufferObject::Write(nb::handle from) const {
  const Lent memory(from, PyBUF_C_CONTIGUOUS);
  OrThrow(WithoutGil(farm_, [&] { return buffer_.try_copy_from(memory.data(), memory.bytes()); }));
}

void BufferObject::CopyFrom(const BufferObject& from) const {
  OrThrow(WithoutGil(farm_, [&] { return buffer_.try_copy_from(from.buffer_); }));
}

BufferObject BufferObject::CopyTo(const std::string& target) const {
  return {OrThrow(WithoutGil(farm_, [&] { return buffer_.try_to_target(target); })), farm_};
}

void BufferObject::Free() const {
  OrThrow(WithoutGil(farm_, [&] { return detail::Inside::FreeNow(buffer_); }));
}

void DefineBuffer(nb::module_& module) {
  module.attr("Lender") = MakeLender();
  nb::class_<BufferObject>(module, "Buffer", nb::type_slots(kBufferSlots))
      .def_prop_ro("id", [](const BufferObject& b) { return b.buffer().id(); })
      .def_prop_ro("name", [](const BufferObject& b) { return b.buffer().name(); })
      .def_prop_ro("target", [](const BufferObject& b) { return b.buffer().target(); })
      .def_prop_ro("dtype", [](const BufferObject& b) { return b.buffer().dtype(); })
      .def_prop_ro("shape", [](const BufferObject& b) { return b.buffer().shape(); })
      .def_prop_ro("strides", [](const BufferObject& b) { return b.buffer().strides(); })
      .def_prop_ro("nbytes", [](const BufferObject& b) { return b.buffer().bytes(); })
      .def_prop_ro("is_shared", [](const BufferObject& b) { return b.buffer().data() != nullptr; })
      .def("is_beside", [](const BufferObject& a, const BufferObject& b) { return a.farm() == b.farm(); })
      .def("view", &BufferObject::View)
      .def("members", &BufferObject::Members)
      .def("read", &BufferObject::Read)
      .def("write", &BufferObject::Write)
      .def("copy_from", &BufferObject::CopyFrom)
      .def("copy_to", &BufferObject::CopyTo)
      .def("free", &BufferObject::Free);
}

}  // namespace rbc::python
