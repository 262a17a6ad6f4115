// A queue and its steps as Python holds them.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/queue_object.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <chrono>

#include "client/python/src/convert.h"
#include "client/python/src/kept_result.h"
#include "client/python/src/python_error.h"
#include "client/src/buffer_state.h"
#include "client/src/queue_state.h"

namespace rbc::python {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{client::kImpatienceMs};  // between two looks at signals

// `arguments` keeps the memory that they name.
std::vector<Value> ValuesOf(const nb::tuple& args, Arguments& arguments) {
  for (nb::handle argument : args) arguments.Add(argument.ptr());
  std::vector<Value> values;
  for (types::Value& value : arguments.TakeValues()) values.emplace_back(std::move(value));
  return values;
}

nb::bytes BytesOf(const std::string& text) { return nb::bytes(text.data(), text.size()); }

}  // namespace

uint64_t StepObject::Number() const { return detail::Inside::StateOf(step())->number; }
size_t StepObject::Rank() const { return detail::Inside::StateOf(step())->rank; }

bool StepObject::Wait(double seconds) const {
  const auto until =
      std::chrono::steady_clock::now() + milliseconds(static_cast<int64_t>(std::max(seconds, 0.0) * 1e3));
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - std::chrono::steady_clock::now());
    const auto now = seconds < 0 ? kLook : std::clamp(left, milliseconds(0), kLook);
    bool over;
    {
      nb::gil_scoped_release release;
      over = step().wait_for(now);
    }
    if (over) return true;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (seconds >= 0 && left <= now) return false;
  }
}

void StepObject::Then(nb::callable callback, bool send) const {
  // Its last reference may go on a thread of the library.
  const std::shared_ptr<nb::callable> kept(new nb::callable(std::move(callback)), [](nb::callable* held) {
    nb::gil_scoped_acquire acquire;
    delete held;
  });
  nb::gil_scoped_release release;
  const auto& state = detail::Inside::StateOf(step());
  const auto call = [kept] {
    nb::gil_scoped_acquire acquire;
    try {
      (*kept)();
    } catch (nb::python_error& error) {
      error.discard_as_unraisable("a callback of a queued step");
    }
  };
  state->queue->Then(state, call, send);
}

nb::dict StepObject::Outcome() const {
  const detail::QueuedState& mine = *detail::Inside::StateOf(step());
  const detail::QueuedState& failed = mine.cause != nullptr ? *mine.cause : mine;
  if (failed.error) Throw(*failed.error);
  if (mine.error && failed.array.status == 0) Throw(*mine.error);
  nb::dict out;
  out["number"] = failed.number;
  const bool of_another = mine.cause != nullptr;  // of one whose array it needs
  out["status"] = array_ || of_another ? failed.array.status : mine.call.status;
  out["row"] = failed.array.row;
  out["call"] = failed.keeps;
  out["failed_shape"] = failed.array.shape;
  out["output"] = BytesOf(array_ ? mine.array.output : mine.call.output);
  if (of_another) return out;
  if (words_ != nullptr) {
    out["words"] = *words_;
    return out;
  }
  if (!array_) {
    const types::Type result = mine.chosen.overload->type.result();
    if (!mine.call.kept.empty())
      out["value"] = KeptToPython(mine.call.value.inner(), mine.call.kept, result, farm_);
    else
      out["value"] = mine.call.status == 0 ? ToPython(mine.call.value.inner(), result) : nb::none();
    return out;
  }
  out["dtype"] = mine.array.dtype;
  out["shape"] = mine.array.shape;
  if (mine.buffer) {
    out["buffer"] = nb::cast(std::make_unique<BufferObject>(*mine.buffer, farm_));
  } else {
    out["data"] = BytesOf(mine.array.data);
  }
  return out;
}

nb::dict StepObject::Times() const { return PartsOf(detail::Inside::StateOf(step())->times); }

QueueObject::QueueObject(const RemoteJIT& rjit, bool eager, int64_t timeout_ms)
    : queue_(rjit.queue({.timeout = milliseconds(timeout_ms), .eager = eager})),
      farm_(detail::Inside::CoreOf(rjit)->farm) {}

QueueArgument QueueObject::Take(nb::handle given) const {
  if (nb::isinstance<StepObject>(given)) {
    const auto& step = nb::cast<const StepObject&>(given);
    if (!step.array()) Throw(Error(ErrorKind::kInvalidArgument, "the result of a call is no array; get it first"));
    return *step.array();
  }
  ArrayArgument out;
  out.dtype = nb::cast<std::string>(given[0]);
  out.shape = nb::cast<std::vector<int64_t>>(given[2]);
  out.strides = nb::cast<std::vector<int64_t>>(given[3]);
  if (nb::isinstance<BufferObject>(given[1])) {
    const auto& buffer = nb::cast<const BufferObject&>(given[1]);
    if (buffer.farm() != farm_)
      Throw(Error(ErrorKind::kInvalidArgument, "the array is on another connection to a farm; get() it first"));
    OrThrow(detail::Inside::StateOf(buffer.buffer()).CheckHeld());
    out.buffer = buffer.buffer().id();
    out.offset = nb::cast<int64_t>(given[4]);
    out.kept = std::make_shared<const Buffer>(buffer.buffer());
    return out;
  }
  Py_buffer view;
  if (PyObject_GetBuffer(given[1].ptr(), &view, PyBUF_C_CONTIGUOUS) != 0) throw nb::python_error();
  // Copied when it is queued, while the caller still holds it.
  out.data = view.buf;
  PyBuffer_Release(&view);
  return out;
}

std::unique_ptr<StepObject> QueueObject::Map(const FunctionObject& function, const nb::list& arrays, nb::handle out) {
  std::vector<QueueArgument> given;
  for (nb::handle array : arrays) given.push_back(Take(array));
  QueuedMapOptions options;
  if (!out.is_none()) options.out.push_back(Take(out));
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_map(function.caller(), given, options); })), farm_);
}

std::unique_ptr<StepObject> QueueObject::Reduce(const FunctionObject& function, nb::handle array,
                                                std::optional<int> axis, bool ordered) {
  const QueueArgument given = Take(array);
  const QueuedReduceOptions options{.axis = axis, .ordered = ordered};
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_reduce(function.caller(), given, options); })), farm_);
}

std::unique_ptr<StepObject> QueueObject::Scan(const FunctionObject& function, nb::handle array,
                                              std::optional<int> axis) {
  const QueueArgument given = Take(array);
  const QueuedScanOptions options{.axis = axis};
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_scan(function.caller(), given, options); })), farm_);
}

std::unique_ptr<StepObject> QueueObject::Call(const FunctionObject& function, const nb::tuple& args, bool keeps) {
  Arguments arguments;
  std::vector<Value> values = ValuesOf(args, arguments);
  if (keeps)
    return std::make_unique<StepObject>(
        OrThrow(WithoutGil(farm_, [&] { return queue_.try_keep(function.caller(), std::move(values)); })), farm_);
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_call(function.caller(), std::move(values)); })), farm_);
}

std::unique_ptr<StepObject> QueueObject::KeepAll(const FunctionObject& function, const nb::tuple& args) {
  Arguments arguments;
  std::vector<Value> values = ValuesOf(args, arguments);
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_keep_all(function.caller(), std::move(values)); })), farm_);
}

std::unique_ptr<StepObject> QueueObject::Launch(const FunctionObject& kernel, const std::vector<int32_t>& blocks,
                                                const std::vector<int32_t>& threads, int32_t shared_bytes,
                                                const nb::tuple& args, size_t words) {
  Arguments arguments;
  std::vector<Value> values = ValuesOf(args, arguments);
  const auto kept = std::make_shared<StepObject::Words>(words);
  values.emplace_back(types::Value(types::Buffer{
      .data = kept->data(), .bytes = words * sizeof(int64_t), .element = types::Type::Int(64), .owner = kept}));
  const Grid grid{.blocks = blocks, .threads = threads, .shared_bytes = shared_bytes};
  return std::make_unique<StepObject>(
      OrThrow(WithoutGil(farm_, [&] { return queue_.try_launch(kernel.caller(), grid, std::move(values)); })), farm_,
      kept);
}

void QueueObject::Wait() {
  nb::gil_scoped_release release;
  queue_.wait();
}
bool QueueObject::Cancel() {
  nb::gil_scoped_release release;
  return queue_.cancel();
}
void QueueObject::Profile(bool on) { detail::Inside::StateOf(queue_).Profile(on); }

void DefineQueue(nb::module_& module) {
  nb::class_<StepObject>(module, "Step")
      .def_prop_ro("number", &StepObject::Number)
      .def_prop_ro("rank", &StepObject::Rank)
      .def("wait", &StepObject::Wait)
      .def("cancel", &StepObject::Cancel)
      .def("then", &StepObject::Then, nb::arg("callback"), nb::arg("send") = true)
      .def("outcome", &StepObject::Outcome)
      .def("times", &StepObject::Times);
  nb::class_<QueueObject>(module, "Queue")
      .def("map", &QueueObject::Map, nb::arg("function"), nb::arg("arrays"), nb::arg("out").none())
      .def("reduce", &QueueObject::Reduce, nb::arg("function"), nb::arg("array"), nb::arg("axis").none(),
           nb::arg("ordered"))
      .def("scan", &QueueObject::Scan, nb::arg("function"), nb::arg("array"), nb::arg("axis").none())
      .def("keep_all", &QueueObject::KeepAll)
      .def("call", &QueueObject::Call, nb::arg("function"), nb::arg("args"), nb::arg("keeps"))
      .def("launch", &QueueObject::Launch)
      .def("flush", &QueueObject::Flush)
      .def("wait", &QueueObject::Wait)
      .def("cancel", &QueueObject::Cancel)
      .def("profile", &QueueObject::Profile);
}

}  // namespace rbc::python
