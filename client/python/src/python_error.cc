// Errors of the library as Python exceptions.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/python_error.h"

#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>

#include <atomic>
#include <string>

namespace rbc::python {
namespace {

constexpr auto kStale = std::chrono::seconds(1);  // a copy tells more often

// Of the copy that was last heard of.
std::atomic<int> copied_percent{0};
std::atomic<client::Clock::time_point> copied_at{};

std::string Waiting() {
  const int percent = copied_percent;
  if (percent >= 100 || client::Clock::now() - copied_at.load() > kStale) return "waiting for the farm";
  return "copying, " + std::to_string(percent) + " %";
}

thread_local std::shared_ptr<CancelToken> token_of_thread;

constexpr int64_t kCancelMs = 2000;
constexpr double kShowAfterS = 1.0;

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kRemark:
      return "remark";
    case Severity::kNote:
      return "note";
  }
  return "note";
}

nb::list Diagnostics(const Error& error) {
  nb::list out;
  for (const Diagnostic& d : error.diagnostics) {
    nb::dict item;
    item["severity"] = SeverityName(d.severity);
    item["message"] = d.message;
    item["line"] = d.line;
    item["column"] = d.column;
    item["source_line"] = d.source_line;
    out.append(item);
  }
  return out;
}

// Bytes that a client's function or a peer made need not be UTF-8.
nb::object Text(const std::string& bytes) {
  return nb::steal(PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace"));
}

}  // namespace

nb::object MakeException(const Error& error) {
  nb::dict fields;
  fields["role"] = Text(error.role);
  fields["function"] = Text(error.function);
  fields["cause"] = Text(error.cause);
  fields["signal"] = error.signal;
  fields["may_have_run"] = error.may_have_run;
  fields["retry_safe"] = error.retry_safe;
  fields["retry_after_ms"] = error.retry_after_ms;
  fields["output"] = Text(error.output);
  fields["diagnostics"] = Diagnostics(error);
  return nb::module_::import_("rbc._errors")
      .attr("from_farm")(std::string(Name(error.kind)), Text(error.message), fields);
}

void Throw(const Error& error) {
  const nb::object exception = MakeException(error);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

void DefineCancelToken(nb::module_& module) {
  nb::class_<CancelToken>(module, "CancelToken").def(nb::init<>()).def("cancel", &CancelToken::Cancel);
  module.def(
      "set_cancel_token", [](std::shared_ptr<CancelToken> token) { token_of_thread = std::move(token); },
      nb::arg("token").none());
}

Interruptible::~Interruptible() { Py_XDECREF(raised_); }

PyObject* Interruptible::Raised() const {
  if (PyErr_CheckSignals() == 0) {
    if (raised_ != nullptr || token_of_thread == nullptr || !token_of_thread->cancelled()) return nullptr;
    return nb::module_::import_("concurrent.futures").attr("CancelledError")().release().ptr();
  }
  PyObject *type = nullptr, *value = nullptr, *trace = nullptr;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  Py_XDECREF(type);
  Py_XDECREF(trace);
  return value;
}

client::Impatience::Wish Interruptible::Ask(int64_t request_id) {
  {
    nb::gil_scoped_acquire acquire;
    PyObject* const raised = Raised();
    if (raised == nullptr) {
      Show();
      return Wish::kWait;
    }
    Py_XDECREF(raised_);
    raised_ = raised;
  }
  if (++times_ > 1 || request_id == 0) return Wish::kLeave;
  const client::WithImpatience none(nullptr);
  (void)farm_->Cancel(request_id, client::Deadline::AfterMs(kCancelMs));
  return Wish::kCancel;
}

void CopyMoved(uint64_t done, uint64_t total) {
  const double part = total == 0 ? 1 : static_cast<double>(done) / static_cast<double>(total);
  copied_percent = static_cast<int>(part * 100);
  copied_at = client::Clock::now();
}

void Interruptible::Show() {
  const auto now = client::Clock::now();
  if (begin_ == client::Clock::time_point{}) begin_ = now;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  if (seconds < kShowAfterS) return;
  try {
    nb::module_::import_("rbc._progress").attr("show")(Waiting(), seconds);
    shown_ = true;
  } catch (nb::python_error& error) {
    error.discard_as_unraisable("rbc progress");
  }
}

void Interruptible::Finish() {
  if (shown_) nb::module_::import_("rbc._progress").attr("clear")();
  if (raised_ == nullptr) return;
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(raised_)), raised_);
  throw nb::python_error();
}

}  // namespace rbc::python
