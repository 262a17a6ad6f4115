// The base class of rbc.Caller.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/caller_object.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <deque>
#include <map>

#include "client/python/src/kept_result.h"
#include "client/python/src/python_error.h"
#include "client/src/residents.h"
#include "types/array.h"
#include "types/frame.h"
#include "types/match.h"

namespace rbc::python {
namespace {

constexpr int kNone = -2;  // numba's status of a result that is None

// As TypeOf(), but of an array also how it lies, which decides what is lowered for it.
types::Type TypeForLowering(const types::Value& value) {
  const types::Buffer* array = value.As<types::Buffer>();
  if (array == nullptr || array->shape.empty()) return types::TypeOf(value);
  const Expected<uint64_t> size = types::SizeOf(array->element);
  const bool contiguous = size && types::IsContiguous(*array, static_cast<uint32_t>(*size));
  return types::Type::Array(array->element, static_cast<uint32_t>(array->shape.size()), contiguous);
}

// The types of the arguments as Python would name them.
bool SameTypes(const types::Type& signature, const Arguments& arguments) {
  const auto parameters = signature.parameters();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const types::Type* known = arguments.types().empty() ? nullptr : arguments.types()[i];
    if (!(parameters[i] == (known != nullptr ? *known : TypeForLowering(arguments.values()[i])))) return false;
  }
  return parameters.size() == arguments.values().size();
}

// Keywords that only a call over arrays has.
bool IsForArrays(PyObject* kwargs) {
  if (kwargs == nullptr) return false;
  for (const char* name : {"out", "where", "accuracy"})
    if (PyDict_GetItemString(kwargs, name) != nullptr) return true;
  return false;
}

// Whether array results are arrays of the farm too: where some of the arguments are.
bool Keeps(const types::Type& signature, std::span<const types::Value> values) {
  const types::Type& result = signature.result();
  return (result.is(types::Kind::kArray) || types::HoldsArrays(result)) && detail::HasResidents(values);
}

bool IsNumber(const types::Type& type) {
  switch (type.kind()) {
    case types::Kind::kBool:
    case types::Kind::kInt:
    case types::Kind::kUint:
    case types::Kind::kFloat:
    case types::Kind::kComplex:
      return true;
    default:
      return false;
  }
}

void Print(nb::handle self, const std::string& output) {
  if (!output.empty()) self.attr("_print")(nb::bytes(output.data(), output.size()));
}

}  // namespace

bool CallerObject::Add(const std::string& signature) {
  const types::Type type = OrThrow(types::Type::Parse(signature));
  OrThrow(types::CheckSignature(type, arity_ < 0 ? std::nullopt : std::optional<size_t>(arity_)));
  if (std::find(types_.begin(), types_.end(), type) != types_.end()) return false;
  const auto parameters = type.parameters();
  numbers_only_ = numbers_only_ && std::all_of(parameters.begin(), parameters.end(), IsNumber);
  types_.push_back(type);
  functions_.push_back(nullptr);
  return true;
}

std::vector<std::string> CallerObject::Signatures() const {
  std::vector<std::string> out;
  for (const types::Type& type : types_) out.push_back(type.ToString());
  return out;
}

size_t CallerObject::Match(const Arguments& arguments) const {
  if (arguments.types().empty()) return OrThrow(types::BestMatch(types_, arguments.values()));
  return OrThrow(types::BestMatch(types_, arguments.values(), arguments.types()));
}

bool CallerObject::MeansEachElement(PyObject* args) const {
  if (infers_ || !numbers_only_ || types_.empty()) return false;
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i)
    if (IsArray(PyTuple_GET_ITEM(args, i))) return true;
  return false;
}

size_t CallerObject::MatchOrInfer(nb::handle self, const Arguments& arguments, PyObject* args) {
  if (!infers_) return Match(arguments);
  for (size_t i = 0; i < types_.size(); ++i)
    if (SameTypes(types_[i], arguments)) return i;
  return nb::cast<size_t>(self.attr("_infer")(nb::borrow(args)));
}

std::shared_ptr<FunctionObject> CallerObject::FunctionFor(nb::handle self, size_t index) {
  while (functions_[index] == nullptr) {  // another thread may change the target meanwhile
    // Raised here and not there, so that the traceback ends at the user's line.
    if (const nb::object error = self.attr("_prepare")(index); !error.is_none()) {
      PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
      throw nb::python_error();
    }
  }
  return functions_[index];
}

nb::object CallerObject::Result(nb::handle self, size_t index, const FunctionObject& function,
                                const detail::KeptAnswer& kept) const {
  const detail::Answer& answer = kept.answer;
  Print(self, answer.output);
  const types::Type result = types_[index].result();
  if (answer.status == 0)
    return kept.arrays.empty() ? ToPython(answer.value, result)
                               : KeptToPython(answer.value, kept.arrays, result, function.farm());
  if (answer.status == kNone) return nb::none();
  return self.attr("_exception")(answer.status, index);
}

nb::object CallerObject::Call(nb::handle self, PyObject* args, PyObject* kwargs, detail::CallProfile* profile) {
  if (IsForArrays(kwargs)) return self.attr("_over_arrays")(nb::borrow(args), nb::borrow(kwargs));
  nb::object bound;
  if (kwargs != nullptr || (arity_ >= 0 && PyTuple_GET_SIZE(args) != arity_)) {
    bound = self.attr("_bind")(nb::borrow(args), kwargs != nullptr ? nb::borrow(kwargs) : nb::none());
    args = bound.ptr();
  }
  if (MeansEachElement(args)) return self.attr("_over_arrays")(nb::borrow(args), nb::none());
  Arguments arguments(infers_);
  size_t index = 0;
  try {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args); ++i) arguments.Add(PyTuple_GET_ITEM(args, i));
    index = MatchOrInfer(self, arguments, args);
  } catch (nb::python_error& error) {
    if (!nb::cast<bool>(self.attr("_takes_arrays")(nb::borrow(args)))) {
      self.attr("_explain")(error.value());
      throw;
    }
    return self.attr("_over_arrays")(nb::borrow(args), nb::none());
  }
  const std::shared_ptr<FunctionObject> function = FunctionFor(self, index);
  const int64_t timeout_ms = timeout_ms_;
  const bool keeps = Keeps(types_[index], arguments.values());
  auto answer = WithoutGil(function->farm(), [&]() -> Expected<detail::KeptAnswer> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, function->state().Current());
    if (keeps) {
      const auto& values = arguments.values();
      RBC_ASSIGN_OR_RETURN(
          auto kept, detail::CallKept(function->state(), *prepared, 0, {{values.begin(), values.end()}}, {}, timeout_ms,
                                      nullptr, profile));
      return std::move(kept.front());
    }
    detail::KeptAnswer out;
    RBC_ASSIGN_OR_RETURN(out.answer, detail::CallValues(function->state(), *prepared, 0, arguments.values(), timeout_ms,
                                                        nullptr, profile));
    return out;
  });
  if (!answer) {
    Print(self, answer.error().output);
    if (answer.error().function.empty()) answer.error().function = function->caller().name();
    Throw(answer.error());
  }
  nb::object result = Result(self, index, *function, *answer);
  if (answer->answer.status == 0 || answer->answer.status == kNone) return result;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(result.ptr())), result.ptr());
  throw nb::python_error();
}

nb::object CallerObject::CallTimed(nb::handle self, const nb::tuple& args, nb::dict into) {
  detail::CallProfile profile;
  const auto tell = [&] {
    const client::CallTimes& times = profile.times;
    into.update(PartsOf({.queue = times.queue,
                         .upload = times.upload,
                         .kernel = times.kernel,
                         .download = times.download,
                         .bytes_out = profile.bytes_out,
                         .bytes_in = profile.bytes_in}));
  };
  try {
    nb::object result = Call(self, args.ptr(), nullptr, &profile);
    tell();
    return result;
  } catch (nb::python_error&) {
    tell();
    throw;
  }
}

nb::object CallerObject::CallOrProfile(nb::handle self, PyObject* args, PyObject* kwargs) {
  if (!profiling_) return Call(self, args, kwargs);
  return self.attr("_profiled")(nb::borrow(args), kwargs != nullptr ? nb::borrow(kwargs) : nb::none());
}

size_t CallerObject::MatchTuple(nb::handle self, const nb::tuple& args) {
  Arguments arguments(infers_);
  for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args.ptr()); ++i) arguments.Add(PyTuple_GET_ITEM(args.ptr(), i));
  return MatchOrInfer(self, arguments, args.ptr());
}

namespace {

// One call for each row. Where some row has arrays of the farm, all results are.
std::vector<Expected<detail::KeptAnswer>> CallRows(const FunctionObject& function, const types::Type& signature,
                                                   const std::vector<std::vector<types::Value>>& rows,
                                                   int64_t timeout_ms) {
  const bool keeps = std::any_of(rows.begin(), rows.end(), [&](const auto& row) { return Keeps(signature, row); });
  return OrThrow(WithoutGil(function.farm(), [&]() -> Expected<std::vector<Expected<detail::KeptAnswer>>> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, function.state().Current());
    if (keeps) return detail::CallKept(function.state(), *prepared, 0, rows, {}, timeout_ms);
    RBC_ASSIGN_OR_RETURN(auto answers, detail::CallRows(function.state(), *prepared, 0, rows, timeout_ms));
    std::vector<Expected<detail::KeptAnswer>> out;
    for (auto& answer : answers) {
      if (answer) {
        out.emplace_back(detail::KeptAnswer{*std::move(answer), {}});
      } else {
        out.emplace_back(std::move(answer).error());
      }
    }
    return out;
  }));
}

}  // namespace

nb::list CallerObject::Batch(nb::handle self, const nb::list& rows) {
  std::deque<Arguments> all;  // keep lent buffers
  std::map<size_t, std::vector<size_t>> groups;
  for (nb::handle row : rows) {
    nb::object args = nb::borrow(row);
    if (!PyTuple_CheckExact(row.ptr()) || PyTuple_GET_SIZE(row.ptr()) != arity_)
      args = self.attr("_bind")(nb::borrow(row), nb::none());
    Arguments& arguments = all.emplace_back(infers_);
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(args.ptr()); ++i) arguments.Add(PyTuple_GET_ITEM(args.ptr(), i));
    groups[MatchOrInfer(self, arguments, args.ptr())].push_back(all.size() - 1);
  }
  std::vector<nb::object> results(all.size());
  for (const auto& [index, members] : groups) {
    const std::shared_ptr<FunctionObject> function = FunctionFor(self, index);
    std::vector<std::vector<types::Value>> values;
    values.reserve(members.size());
    for (const size_t member : members) values.push_back(all[member].TakeValues());
    auto answers = CallRows(*function, types_[index], values, timeout_ms_);
    for (size_t i = 0; i < members.size(); ++i) {
      if (!answers[i]) Print(self, answers[i].error().output);
      results[members[i]] =
          answers[i] ? Result(self, index, *function, *answers[i]) : MakeException(answers[i].error());
    }
  }
  nb::list out;
  for (nb::object& result : results) out.append(result);
  return out;
}

namespace {

// Calls come here without a detour over a Python method.
PyObject* CallSlot(PyObject* self, PyObject* args, PyObject* kwargs) {
  try {
    if (kwargs != nullptr && PyDict_GET_SIZE(kwargs) == 0) kwargs = nullptr;
    return nb::inst_ptr<CallerObject>(self)->CallOrProfile(self, args, kwargs).release().ptr();
  } catch (nb::python_error& error) {
    error.restore();
  } catch (const std::exception& error) {
    if (PyErr_Occurred() == nullptr) PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  return nullptr;
}

PyType_Slot kCallerSlots[] = {{Py_tp_call, reinterpret_cast<void*>(CallSlot)}, {0, nullptr}};

}  // namespace

void DefineCaller(nb::module_& module) {
  module.def("set_profiling", &CallerObject::SetProfiling);
  nb::class_<CallerObject>(module, "CallerBase", nb::type_slots(kCallerSlots), nb::dynamic_attr(),
                           nb::is_weak_referenceable())
      .def(nb::init<int>(), nb::arg("arity"))
      .def("_add", &CallerObject::Add)
      .def("_signature_texts", &CallerObject::Signatures)
      .def_prop_ro("_count", &CallerObject::count)
      .def("_set", &CallerObject::Set)
      .def("_get", &CallerObject::Get, nb::arg("index"))
      .def("_reset", &CallerObject::Reset)
      .def_prop_rw("_infers", &CallerObject::infers, &CallerObject::set_infers)
      .def("_set_timeout_ms", &CallerObject::set_timeout_ms)
      .def("_match", [](nb::handle_t<CallerObject> self,
                        const nb::tuple& args) { return nb::inst_ptr<CallerObject>(self)->MatchTuple(self, args); })
      .def("_call",
           [](nb::handle_t<CallerObject> self, const nb::tuple& args) {
             return nb::inst_ptr<CallerObject>(self)->Call(self, args.ptr(), nullptr);
           })
      .def("_call_timed",
           [](nb::handle_t<CallerObject> self, const nb::tuple& args, nb::dict into) {
             return nb::inst_ptr<CallerObject>(self)->CallTimed(self, args, std::move(into));
           })
      .def("_batch", [](nb::handle_t<CallerObject> self, const nb::list& rows) {
        return nb::inst_ptr<CallerObject>(self)->Batch(self, rows);
      });
}

}  // namespace rbc::python
