// The base class of rbc.Caller: picks the signature, calls, converts; what is not hot it asks of its Python half.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <string>
#include <vector>

#include "client/python/src/convert.h"
#include "client/python/src/farm_object.h"
#include "client/src/kept_call.h"
#include "types/type.h"

namespace rbc::python {

// Guarded by the GIL.
class CallerObject {
 public:
  // Parameters of the Python function, for signatures; negative: not known.
  explicit CallerObject(int arity) : arity_(arity) {}

  // False: it was there. Throws for what is no signature of this function.
  bool Add(const std::string& signature);
  std::vector<std::string> Signatures() const;
  size_t count() const { return types_.size(); }
  void Set(size_t index, std::shared_ptr<FunctionObject> function) { functions_.at(index) = std::move(function); }
  std::shared_ptr<FunctionObject> Get(size_t index) const { return functions_.at(index); }
  // Forgets what is compiled; the signatures stay.
  void Reset() { functions_.assign(functions_.size(), nullptr); }
  void set_infers(bool infers) { infers_ = infers; }
  bool infers() const { return infers_; }
  void set_timeout_ms(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }

  // `args` is a tuple. While any profile is on, the Python half makes the call.
  nb::object CallOrProfile(nb::handle self, PyObject* args, PyObject* kwargs);
  nb::object Call(nb::handle self, PyObject* args, PyObject* kwargs, detail::CallProfile* profile = nullptr);
  // The call, with its times and bytes put into `into`, a dict, also where it raises.
  nb::object CallTimed(nb::handle self, const nb::tuple& args, nb::dict into);
  nb::list Batch(nb::handle self, const nb::list& rows);
  size_t MatchTuple(nb::handle self, const nb::tuple& args);
  static void SetProfiling(bool on) { profiling_ = on; }
  static bool profiling() { return profiling_; }
  // The signature that takes these arguments.
  size_t Match(const Arguments& arguments) const;

 private:
  std::shared_ptr<FunctionObject> FunctionFor(nb::handle self, size_t index);
  size_t MatchOrInfer(nb::handle self, const Arguments& arguments, PyObject* args);
  // Whether only the function of each element can be meant: numbers are wanted, and arrays among the arguments.
  bool MeansEachElement(PyObject* args) const;
  nb::object Result(nb::handle self, size_t index, const FunctionObject& function,
                    const detail::KeptAnswer& kept) const;

  static inline bool profiling_ = false;
  const int arity_;
  bool numbers_only_ = true;  // no parameter of any signature is anything else
  bool infers_ = false;       // adds signatures as arguments ask for them
  int64_t timeout_ms_ = 0;
  std::vector<types::Type> types_;
  std::vector<std::shared_ptr<FunctionObject>> functions_;  // null: not lowered yet
};

}  // namespace rbc::python
