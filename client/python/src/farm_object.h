// A farm and a compiled function as Python holds them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nanobind/nanobind.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "client/python/src/buffer_object.h"
#include "client/src/core.h"
#include "rbc/rbc.h"

namespace rbc::python {

namespace nb = nanobind;

struct FunctionOptionsText {
  std::string target;
  std::string abi;
  int opt_level = 2;
  bool debug = false;
  bool allow_contract = false;
};

// The parts of a request's time, in seconds, as the profile's rows have them.
nb::dict PartsOf(const ArrayTimes& times);

// One signature of a function, compiled at its first call.
class FunctionObject {
 public:
  explicit FunctionObject(rbc::Caller caller) : caller_(std::move(caller)), state_(detail::Inside::State(caller_)) {}
  const rbc::Caller& caller() const { return caller_; }
  detail::CallerState& state() const { return *state_; }
  const std::shared_ptr<client::Farm>& farm() const { return state_->core->farm; }

  std::string Signature() const;
  nb::dict Compile() const;
  std::string GetIr() const;
  // An array is (type text, Buffer or NumPy memory, shape, strides, offset); `into` is one that is written. A dict of
  // status, row and output. Over elements `where` (an array of bool, or None) says so.
  nb::object MapArrays(const nb::list& arrays, nb::handle into, nb::handle where, int accuracy) const;
  // Without an axis over all elements.
  nb::object ReduceArray(nb::handle array, std::optional<int> axis, nb::handle into, bool ordered, int accuracy) const;
  nb::object ScanArray(nb::handle array, int axis, nb::handle into, int accuracy) const;
  // Whether the buffer is of this function's farm and session.
  bool Has(const BufferObject& buffer) const { return buffer.farm() == farm(); }
  // A kernel over a grid; blocks and threads have 1 to 3 dimensions. What the kernel printed.
  nb::bytes Launch(const std::vector<int32_t>& blocks, const std::vector<int32_t>& threads, int32_t shared_bytes,
                   const nb::tuple& args) const;
  void Publish(const std::string& name, double expires_s) const;

 private:
  rbc::Caller caller_;
  std::shared_ptr<detail::CallerState> state_;
};

class FarmObject {
 public:
  FarmObject(const std::string& address, int64_t timeout_ms, int64_t connect_timeout_ms, const std::string& token,
             const std::string& name_space, const std::string& ca, const std::string& certificate,
             const std::string& key, bool direct, const std::string& compress);
  nb::list Targets() const;
  std::string Status() const;
  void Close() const;
  std::string address() const { return rjit_.address(); }
  std::shared_ptr<FunctionObject> Function(nb::bytes ir, const std::string& name, const std::string& signature,
                                           const FunctionOptionsText& options) const;
  std::shared_ptr<FunctionObject> Connect(const std::string& name) const;
  void Withdraw(const std::string& name) const;
  // New, with whatever its elements happen to be.
  std::unique_ptr<BufferObject> Empty(const std::string& dtype, const std::vector<int64_t>& shape, bool fortran,
                                      const std::string& name, const std::string& target) const;
  nb::list Buffers() const;
  size_t Free(const std::string& name) const;  // how many
  const rbc::RemoteJIT& rjit() const { return rjit_; }
  nb::object Emit(const nb::bytes& ir, const std::string& target, int kind, int opt_level) const;

 private:
  const std::shared_ptr<client::Farm>& farm() const { return detail::Inside::CoreOf(rjit_)->farm; }
  rbc::RemoteJIT rjit_;
};

void DefineFarm(nb::module_& module);
void DefineCaller(nb::module_& module);
void DefineTypes(nb::module_& module);

}  // namespace rbc::python
