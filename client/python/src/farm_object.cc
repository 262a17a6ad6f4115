// A farm and a compiled function as Python holds them.
// SPDX-License-Identifier: Apache-2.0
#include "client/python/src/farm_object.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/vector.h>

#include <memory>
#include <vector>

#include "client/python/src/convert.h"
#include "client/python/src/python_error.h"
#include "client/python/src/queue_object.h"

namespace rbc::python {
namespace {

RemoteJIT::Options MakeOptions(int64_t timeout_ms, int64_t connect_timeout_ms, const std::string& token,
                               const std::string& name_space) {
  RemoteJIT::Options options;
  options.timeout = std::chrono::milliseconds(timeout_ms);
  options.connect_timeout = std::chrono::milliseconds(connect_timeout_ms);
  options.token = token;
  options.name_space = name_space;
  options.on_progress = CopyMoved;
  options.on_output = [](std::string_view) {};  // the Python half prints, to sys.stdout
  return options;
}

RemoteJIT::Saving SavingOf(const std::string& name) {
  if (name == "auto") return RemoteJIT::Saving::kAuto;
  if (name == "on") return RemoteJIT::Saving::kOn;
  if (name == "off") return RemoteJIT::Saving::kOff;
  throw nb::value_error(("compress is '" + name + "'; there are auto, on and off").c_str());
}

RemoteJIT MakeRemoteJit(const std::string& address, RemoteJIT::Options options) {
  try {
    return RemoteJIT(address, std::move(options));
  } catch (const Exception& e) {
    Throw(e.error());
  }
}

CallAbi AbiOf(const std::string& name) {
  if (name == "sysv") return CallAbi::kSysv;
  if (name == "status_retptr") return CallAbi::kStatusRetptr;
  if (name == "direct") return CallAbi::kDirect;
  if (name == "kernel") return CallAbi::kKernel;
  throw nb::value_error(("no ABI is called '" + name + "'; there are direct, sysv, status_retptr and kernel").c_str());
}

// The throwing half of the library, as values.
template <typename F>
auto Caught(F f) -> Expected<decltype(f())> {
  try {
    if constexpr (std::is_void_v<decltype(f())>) {
      f();
      return {};
    } else {
      return f();
    }
  } catch (const Exception& e) {
    return e.error();
  }
}

template <typename F>
auto Waited(const std::shared_ptr<client::Farm>& farm, F f) {
  return OrThrow(WithoutGil(farm, [&] { return Caught(f); }));
}

}  // namespace

std::string FunctionObject::Signature() const {
  const auto signatures = caller_.signatures();
  return signatures.empty() ? "" : signatures.front();
}

nb::dict FunctionObject::Compile() const {
  const rbc::Caller::Compiled compiled = OrThrow(WithoutGil(farm(), [&] { return caller_.try_compile(); }));
  nb::dict out;
  out["handle"] = compiled.handle;
  out["cached"] = compiled.cached;
  nb::dict timings;
  for (const auto& [phase, us] : compiled.timings_us) timings[nb::str(phase.c_str())] = us;
  out["timings_us"] = timings;
  nb::list warnings;
  for (const Diagnostic& d : compiled.warnings) warnings.append(d.message);
  out["warnings"] = warnings;
  return out;
}

std::string FunctionObject::GetIr() const {
  return Waited(farm(), [&] { return caller_.get_IR(); });
}

nb::bytes FunctionObject::Launch(const std::vector<int32_t>& blocks, const std::vector<int32_t>& threads,
                                 int32_t shared_bytes, const nb::tuple& args) const {
  Arguments arguments;
  for (nb::handle argument : args) arguments.Add(argument.ptr());
  std::vector<Value> values;
  for (types::Value& value : arguments.TakeValues()) values.emplace_back(std::move(value));
  const Grid grid{.blocks = blocks, .threads = threads, .shared_bytes = shared_bytes};
  auto launched = WithoutGil(farm(), [&] { return caller_.try_launch(grid, values); });
  const CallResult result = OrThrow(std::move(launched));
  return nb::bytes(result.output.data(), result.output.size());
}

void FunctionObject::Publish(const std::string& name, double expires_s) const {
  Waited(farm(), [&] { caller_.publish(name, std::chrono::milliseconds(static_cast<int64_t>(expires_s * 1000))); });
}

FarmObject::FarmObject(const std::string& address, int64_t timeout_ms, int64_t connect_timeout_ms,
                       const std::string& token, const std::string& name_space, const std::string& ca,
                       const std::string& certificate, const std::string& key, bool direct, const std::string& compress)
    : rjit_(MakeRemoteJit(address, [&] {
        RemoteJIT::Options options = MakeOptions(timeout_ms, connect_timeout_ms, token, name_space);
        options.ca = ca;
        options.certificate = certificate;
        options.key = key;
        options.direct = direct;
        options.compress = SavingOf(compress);
        return options;
      }())) {}

nb::list FarmObject::Targets() const {
  const auto targets = OrThrow(WithoutGil(farm(), [&] { return rjit_.try_targets(); }));
  nb::list out;
  for (const TargetDescription& t : targets) {
    nb::dict item;
    item["name"] = t.name;
    item["triple"] = t.triple;
    item["data_layout"] = t.data_layout;
    item["cpu"] = t.cpu;
    item["llvm_version"] = t.llvm_version;
    item["pointer_bits"] = t.pointer_bits;
    nb::list devices;
    for (const std::string& d : t.devices) devices.append(d);
    item["devices"] = devices;
    item["simulated"] = t.simulated;
    out.append(item);
  }
  return out;
}

std::string FarmObject::Status() const {
  return OrThrow(WithoutGil(farm(), [&] { return rjit_.try_status(); }));
}

void FarmObject::Close() const {
  nb::gil_scoped_release release;
  rjit_.close();
}

std::shared_ptr<FunctionObject> FarmObject::Function(nb::bytes ir, const std::string& name,
                                                     const std::string& signature,
                                                     const FunctionOptionsText& options) const {
  FunctionOptions how;
  how.target = options.target;
  how.abi = AbiOf(options.abi);
  how.opt_level = options.opt_level;
  how.debug = options.debug;
  how.allow_contract = options.allow_contract;
  return std::make_shared<FunctionObject>(OrThrow(
      Caught([&] { return rjit_.function(Source::Ir(std::string(ir.c_str(), ir.size())), name, {signature}, how); })));
}

std::shared_ptr<FunctionObject> FarmObject::Connect(const std::string& name) const {
  return std::make_shared<FunctionObject>(Waited(farm(), [&] { return rjit_.connect(name); }));
}

void FarmObject::Withdraw(const std::string& name) const {
  Waited(farm(), [&] { rjit_.withdraw(name); });
}

std::unique_ptr<BufferObject> FarmObject::Empty(const std::string& dtype, const std::vector<int64_t>& shape,
                                                bool fortran, const std::string& name,
                                                const std::string& target) const {
  const BufferOptions options{.name = name, .fortran = fortran, .target = target};
  auto made = WithoutGil(farm(), [&] { return rjit_.try_empty(dtype, shape, options); });
  return std::make_unique<BufferObject>(OrThrow(std::move(made)), farm());
}

size_t FarmObject::Free(const std::string& name) const {
  return OrThrow(WithoutGil(farm(), [&] { return rjit_.try_free(name); }));
}

nb::list FarmObject::Buffers() const {
  const auto buffers = OrThrow(WithoutGil(farm(), [&] { return rjit_.try_buffers(); }));
  nb::list out;
  for (const BufferDescription& b : buffers) {
    nb::dict item;
    item["id"] = b.id;
    item["name"] = b.name;
    item["dtype"] = b.dtype;
    item["shape"] = b.shape;
    item["bytes"] = b.bytes;
    item["target"] = b.target;
    out.append(item);
  }
  return out;
}

nb::object FarmObject::Emit(const nb::bytes& ir, const std::string& target, int kind, int opt_level) const {
  FunctionOptions how;
  how.target = target;
  how.opt_level = opt_level;
  const Source source = Source::Ir(std::string(ir.c_str(), ir.size()));
  const Emitted emitted =
      OrThrow(WithoutGil(farm(), [&] { return rjit_.try_emit(source, static_cast<EmitKind>(kind), how); }));
  return nb::bytes(emitted.code.data(), emitted.code.size());
}

void DefineFarm(nb::module_& module) {
  nb::class_<FunctionObject>(module, "Function")
      .def_prop_ro("signature", &FunctionObject::Signature)
      .def_prop_ro("name", [](const FunctionObject& f) { return f.caller().name(); })
      .def_prop_ro("target", [](const FunctionObject& f) { return f.caller().target(); })
      .def("compile", &FunctionObject::Compile)
      .def("get_IR", &FunctionObject::GetIr)
      .def("map_arrays", &FunctionObject::MapArrays, nb::arg("arrays"), nb::arg("into").none(), nb::arg("where").none(),
           nb::arg("accuracy"))
      .def("reduce_array", &FunctionObject::ReduceArray, nb::arg("array"), nb::arg("axis").none(), nb::arg("into"),
           nb::arg("ordered"), nb::arg("accuracy"))
      .def("scan_array", &FunctionObject::ScanArray)
      .def("has", &FunctionObject::Has)
      .def("launch", &FunctionObject::Launch)
      .def("publish", &FunctionObject::Publish, nb::arg("name"), nb::arg("expires_s") = 0.0);
  nb::class_<FarmObject>(module, "Farm")
      .def(nb::init<const std::string&, int64_t, int64_t, const std::string&, const std::string&, const std::string&,
                    const std::string&, const std::string&, bool, const std::string&>(),
           nb::arg("address"), nb::arg("timeout_ms") = 0, nb::arg("connect_timeout_ms") = 10'000, nb::arg("token") = "",
           nb::arg("namespace") = "", nb::arg("ca") = "", nb::arg("certificate") = "", nb::arg("key") = "",
           nb::arg("direct") = true, nb::arg("compress") = "auto")
      .def("targets", &FarmObject::Targets)
      .def("status", &FarmObject::Status)
      .def("close", &FarmObject::Close)
      .def_prop_ro("address", &FarmObject::address)
      .def(
          "function",
          [](const FarmObject& farm, nb::bytes ir, const std::string& name, const std::string& signature,
             const std::string& target, const std::string& abi, int opt_level, bool debug, bool allow_contract) {
            return farm.Function(std::move(ir), name, signature, {target, abi, opt_level, debug, allow_contract});
          },
          nb::arg("ir"), nb::arg("name"), nb::arg("signature"), nb::arg("target") = "host",
          nb::arg("abi") = "status_retptr", nb::arg("opt_level") = 2, nb::arg("debug") = false,
          nb::arg("allow_contract") = false)
      .def("connect", &FarmObject::Connect)
      .def("withdraw", &FarmObject::Withdraw)
      .def("empty", &FarmObject::Empty, nb::arg("dtype"), nb::arg("shape"), nb::arg("fortran"), nb::arg("name"),
           nb::arg("target") = "")
      .def("buffers", &FarmObject::Buffers)
      .def("free", &FarmObject::Free, nb::arg("name"))
      .def("queue", [](const FarmObject& farm, bool eager,
                       int64_t timeout_ms) { return std::make_unique<QueueObject>(farm.rjit(), eager, timeout_ms); })
      .def("emit", &FarmObject::Emit, nb::arg("ir"), nb::arg("target"), nb::arg("kind"), nb::arg("opt_level") = 2);
}

}  // namespace rbc::python
