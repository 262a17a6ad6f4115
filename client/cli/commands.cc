// The commands, but for those over arrays.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/cli/cli.h"
#include "client/src/clang.h"
#include "types/match.h"
#include "types/type.h"
#include "types/value.h"

namespace rbc::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kClangMs = 120'000;
constexpr std::pair<const char*, CallAbi> kAbis[] = {{"direct", CallAbi::kDirect},
                                                     {"sysv", CallAbi::kSysv},
                                                     {"status_retptr", CallAbi::kStatusRetptr},
                                                     {"kernel", CallAbi::kKernel}};
struct EmitChoice {
  const char* name;
  EmitKind kind;
  const char* ending;
};
constexpr EmitChoice kEmits[] = {{"obj", EmitKind::kObject, ".o"},
                                 {"asm", EmitKind::kAssembly, ".s"},
                                 {"ir", EmitKind::kIr, ".ll"},
                                 {"ptx", EmitKind::kPtx, ".ptx"},
                                 {"cubin", EmitKind::kCubin, ".cubin"}};

const EmitChoice& EmitOf(const Arguments& a) {
  return *std::find_if(std::begin(kEmits), std::end(kEmits), [&](const EmitChoice& e) { return a.emit == e.name; });
}

const char* SeverityName(Severity severity) {
  constexpr const char* kNames[] = {"error", "warning", "remark", "note"};
  return kNames[std::min<size_t>(static_cast<size_t>(severity), 3)];
}

// Bytes that are no UTF-8 are replaced: JSON cannot hold them.
void PrintJson(const Json& json) { std::cout << json.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl; }

Json ToJson(const std::vector<Diagnostic>& diagnostics) {
  Json out = Json::array();
  for (const Diagnostic& d : diagnostics)
    out.push_back({{"severity", SeverityName(d.severity)},
                   {"message", d.message},
                   {"line", d.line},
                   {"column", d.column},
                   {"source", d.source_line}});
  return out;
}

Json ToJson(const std::vector<std::pair<std::string, int64_t>>& timings) {
  Json out = Json::object();
  for (const auto& [phase, us] : timings) out[phase] = us;
  return out;
}

Json ToJson(const Error& e) {
  Json out = {{"kind", KindName(e.kind)}, {"message", e.message}};
  if (!e.role.empty()) out["role"] = e.role;
  if (!e.function.empty()) out["function"] = e.function;
  if (!e.cause.empty()) out["cause"] = e.cause;
  if (e.signal != 0) out["signal"] = e.signal;
  if (!e.output.empty()) out["output"] = e.output;
  out["may_have_run"] = e.may_have_run;
  out["retry_safe"] = e.retry_safe;
  if (e.retry_after_ms != 0) out["retry_after_ms"] = e.retry_after_ms;
  if (!e.diagnostics.empty()) out["diagnostics"] = ToJson(e.diagnostics);
  return out;
}

void PrintDiagnostics(const std::vector<Diagnostic>& diagnostics) {
  for (const Diagnostic& d : diagnostics) {
    if (d.line != 0)
      fmt::print(stderr, "{}:{}: {}: {}\n", d.line, d.column, SeverityName(d.severity), d.message);
    else
      fmt::print(stderr, "{}: {}\n", SeverityName(d.severity), d.message);
    if (d.source_line.empty()) continue;
    fmt::print(stderr, "{}\n", d.source_line);
    if (d.column > 0 && d.column <= d.source_line.size() + 1) fmt::print(stderr, "{:>{}}\n", '^', d.column);
  }
}

std::string ReadAll(std::istream& in) { return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()}; }

}  // namespace

bool WriteFile(const std::string& path, const std::string& bytes) {
  if (path == "-") {
    std::cout << bytes << std::flush;
    return std::cout.good();
  }
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
  file.close();
  return file.good();
}

Json ResultToJson(const Value& value) {
  if (value.is_none() || value.is_null()) return nullptr;
  const std::string repr = value.repr();
  if (value.type() == "string" || value.type() == "char8*") return repr;
  if (repr == "True" || repr == "False") return repr == "True";
  Json number = Json::parse(repr, nullptr, false);
  return number.is_number() || number.is_array() ? number : Json(repr);
}

Budget::Budget(double seconds) {
  if (seconds > 0) deadline_ = client::Deadline::AfterMs(static_cast<int64_t>(std::ceil(seconds * 1000)));
}

int64_t Budget::LeftMs() const { return deadline_ ? std::max(1, deadline_->RemainingMs()) : 0; }

client::Deadline Budget::Deadline(int64_t otherwise_ms) const {
  return deadline_ ? *deadline_ : client::Deadline::AfterMs(otherwise_ms);
}

int Fail(const Arguments& arguments, const Error& error) {
  if (arguments.json) {
    PrintJson({{"error", ToJson(error)}});
    return kFailed;
  }
  if (!error.output.empty()) {
    std::cout << error.output;
    if (error.output.back() != '\n') std::cout << '\n';
    std::cout.flush();
  }
  fmt::print(stderr, "error: {}: {}\n", KindName(error.kind), error.message);
  PrintDiagnostics(error.diagnostics);
  return kFailed;
}

Result<Source> ReadSource(const Arguments& a, const Budget& budget) {
  const bool from_input = a.file == "-";
  const char* const language = from_input ? (a.language.empty() || a.language == "ir" ? nullptr : a.language.c_str())
                                          : client::LanguageOf(a.file);
  const std::string path = from_input ? "" : a.file;
  if (language == nullptr && !from_input) {
    RBC_ASSIGN_OR_RETURN(std::string ir, client::ReadFile(path));
    return Source::Ir(std::move(ir));
  }
  const std::string input = from_input ? ReadAll(std::cin) : "";
  if (language == nullptr) return Source::Ir(input);
  RBC_ASSIGN_OR_RETURN(std::string ir, client::LowerWithClang(language, path, input, {}, budget.Deadline(kClangMs)));
  return Source::Ir(std::move(ir));  // the ABI is in the options
}

namespace {

// How clang lowers C and C++: to the platform's ABI. Of CUDA source kernels are what is wanted.
CallAbi AbiOfSource(const Arguments& a) {
  const char* const by_name = client::LanguageOf(a.file);
  const std::string_view language = a.file == "-" ? std::string_view(a.language) : by_name == nullptr ? "ir" : by_name;
  if (language == "cuda") return CallAbi::kKernel;
  return language == "c" || language == "c++" ? CallAbi::kSysv : CallAbi::kDirect;
}

}  // namespace

FunctionOptions ToOptions(const Arguments& a) {
  FunctionOptions out;
  out.target = a.target;
  out.opt_level = a.opt_level;
  out.sm = a.sm;
  out.abi = AbiOfSource(a);
  for (const auto& [name, abi] : kAbis)
    if (a.abi == name) out.abi = abi;
  return out;
}

RemoteJIT Connect(const Arguments& a, const Budget& budget, std::string* captured, Progress* progress) {
  RemoteJIT::Options options;
  options.token = a.token;
  options.ca = a.ca;
  options.certificate = a.certificate;
  options.key = a.key;
  options.compress = a.compress;
  options.timeout = std::chrono::milliseconds(budget.LeftMs());
  options.on_output = [captured](std::string_view text) {
    if (captured != nullptr) captured->append(text);
  };
  if (progress != nullptr)
    options.on_progress = [progress](uint64_t done, uint64_t total) { progress->Moved(done, total); };
  return RemoteJIT(a.farm, std::move(options));
}

namespace {

// What the public classes throw becomes a value again here, once.
template <typename F>
int Guarded(const Arguments& a, F command) {
  try {
    return command();
  } catch (const Exception& exception) {
    return Fail(a, exception.error());
  }
}

Json ToJson(const DeviceDescription& d) {
  return {{"number", d.number},
          {"name", d.name},
          {"uuid", d.uuid},
          {"sm", d.sm},
          {"memory", d.memory},
          {"free_memory", d.free_memory},
          {"driver", d.driver},
          {"contexts", d.contexts},
          {"max_contexts", d.max_contexts},
          {"simulated", d.simulated}};
}

// What scripts/gpu-check showed last: device, date, commit.
constexpr const char* kLastHardwareRun = "none yet; the simulator and NVIDIA's assembler are what checks this target";

Json ToJson(const TargetDescription& t) {
  Json devices = Json::array();
  for (const DeviceDescription& d : t.device_infos) devices.push_back(ToJson(d));
  return {{"name", t.name},
          {"triple", t.triple},
          {"data_layout", t.data_layout},
          {"cpu", t.cpu},
          {"pointer_bits", t.pointer_bits},
          {"llvm_version", t.llvm_version},
          {"devices", t.devices},
          {"device_infos", devices},
          {"last_hardware_run", t.name.starts_with("cuda") ? Json(kLastHardwareRun) : Json()},
          {"simulated", t.simulated}};
}

void PrintDevice(const TargetDescription& t, const DeviceDescription& d) {
  constexpr double kGib = 1 << 30;
  fmt::print("         {}:{} {}", t.name, d.number, d.name);
  if (d.simulated) {
    fmt::print(" (simulated)");
  } else {
    fmt::print(", sm_{}, {:.1f} of {:.1f} GiB free, driver {}, {}", d.sm, static_cast<double>(d.free_memory) / kGib,
               static_cast<double>(d.memory) / kGib, d.driver, d.uuid);
  }
  fmt::print(", {} of {} contexts\n", d.contexts, d.max_contexts);
}

void PrintTarget(const TargetDescription& t) {
  fmt::print("{:<8} {} {} LLVM {}{}\n", t.name, t.triple, t.cpu, t.llvm_version, t.simulated ? " (simulated)" : "");
  for (const DeviceDescription& d : t.device_infos) PrintDevice(t, d);
  if (t.name.starts_with("cuda")) fmt::print("         last run on hardware: {}\n", kLastHardwareRun);
  if (!t.device_infos.empty()) return;
  for (const std::string& device : t.devices) fmt::print("         device: {}\n", device);
  if (t.devices.empty()) fmt::print("         no device\n");
}

std::string DefaultOutput(const Arguments& a) {
  const size_t slash = a.file.rfind('/');
  std::string base = a.file == "-" ? "out" : a.file.substr(slash == std::string::npos ? 0 : slash + 1);
  if (const size_t dot = base.rfind('.'); dot != std::string::npos && dot != 0) base.resize(dot);
  return base + EmitOf(a).ending;
}

Result<std::vector<Value>> ParseArguments(const Arguments& a) {
  RBC_ASSIGN_OR_RETURN(const types::Type signature, types::Type::Parse(a.signature));
  RBC_RETURN_IF_ERROR(types::CheckSignature(signature, std::nullopt));
  const std::span<const types::Type> parameters = signature.parameters();
  if (parameters.size() != a.values.size())
    return Error(ErrorKind::kInvalidArgument, fmt::format("`{}` takes {} arguments and {} are given", a.signature,
                                                          parameters.size(), a.values.size()));
  std::vector<Value> out;
  for (size_t i = 0; i < parameters.size(); ++i) {
    RBC_ASSIGN_OR_RETURN(Value value, ReadArgument(parameters[i], a.values[i]));
    out.push_back(std::move(value));
  }
  return out;
}

struct Calls {
  CallResult last;
  Caller::Compiled compiled;
  std::vector<int64_t> us;  // of each call
};

Result<Calls> RunCalls(const Caller& function, const Arguments& a, const std::vector<Value>& values,
                       const Budget& budget) {
  const auto left = [&] { return function.with_timeout(std::chrono::milliseconds(budget.LeftMs())); };
  Calls calls;
  RBC_ASSIGN_OR_RETURN(calls.compiled, left().try_compile());
  for (int64_t i = 0; i < a.repeat; ++i) {
    const auto start = client::Clock::now();
    RBC_ASSIGN_OR_RETURN(calls.last, left().try_call(values));
    calls.us.push_back(std::chrono::duration_cast<std::chrono::microseconds>(client::Clock::now() - start).count());
    if (calls.last.status != 0) {
      Error error(ErrorKind::kInvalidArgument,
                  fmt::format("'{}' returns status {}; see what it means by it", a.name, calls.last.status));
      error.function = a.name;
      error.may_have_run = true;
      return error;
    }
  }
  return calls;
}

Json ToJson(const Calls& calls, const Arguments& a, const std::string& target, const std::string& output) {
  Json timings = ToJson(calls.compiled.timings_us);
  timings["call"] = calls.us.back();
  Json out = {{"result", ResultToJson(calls.last.value)},
              {"target", target},
              {"handle", calls.compiled.handle},
              {"cached", calls.compiled.cached},
              {"symbol", calls.last.symbol},
              {"signature", calls.last.signature},
              {"output", output},
              {"timings", timings}};
  if (!calls.compiled.warnings.empty()) out["warnings"] = ToJson(calls.compiled.warnings);
  if (a.repeat > 1) {
    std::vector<int64_t> sorted = calls.us;
    std::sort(sorted.begin(), sorted.end());
    out["repeat"] = {{"count", a.repeat},
                     {"min_us", sorted.front()},
                     {"median_us", sorted[sorted.size() / 2]},
                     {"max_us", sorted.back()}};
  }
  return out;
}

// A function without a result writes into its arrays.
void PrintResult(const Value& result, const std::vector<Value>& arguments) {
  if (!result.is_none()) std::cout << result.repr() << '\n';
  for (const Value& argument : arguments) {
    const auto* array = argument.inner().As<types::Buffer>();
    if (result.is_none() && array != nullptr && !array->shape.empty()) std::cout << argument.repr() << '\n';
  }
  std::cout.flush();
}

Error CannotWrite(const std::string& path) {
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("'{}' cannot be written; check its name and the space left", path));
}

}  // namespace

int Targets(const Arguments& a) {
  return Guarded(a, [&] {
    const Budget budget(a.timeout_s);
    const auto targets = Connect(a, budget, nullptr, nullptr).try_targets();
    if (!targets) return Fail(a, targets.error());
    Json all = Json::array();
    for (const TargetDescription& t : *targets) {
      if (a.json)
        all.push_back(ToJson(t));
      else
        PrintTarget(t);
    }
    if (a.json) PrintJson({{"targets", all}});
    return kOk;
  });
}

int FarmStatus(const Arguments& a) {
  return Guarded(a, [&] {
    const Budget budget(a.timeout_s);
    const auto status = Connect(a, budget, nullptr, nullptr).try_status();
    if (!status) return Fail(a, status.error());
    const Json json = Json::parse(*status, nullptr, false);
    if (json.is_discarded())
      return Fail(
          a, Error(ErrorKind::kProtocolMismatch, "the farm's status is no JSON; update the older of the two sides"));
    PrintJson(json);
    return kOk;
  });
}

int Buffers(const Arguments& a) {
  return Guarded(a, [&] {
    const Budget budget(a.timeout_s);
    const auto status = Connect(a, budget, nullptr, nullptr).try_status();
    if (!status) return Fail(a, status.error());
    const auto buffers = BuffersJson(*status);
    if (!buffers) return Fail(a, buffers.error());
    if (a.json)
      std::cout << *buffers << std::endl;
    else
      PrintBuffers(*buffers);
    return kOk;
  });
}

int Compile(const Arguments& a) {
  return Guarded(a, [&] {
    const Budget budget(a.timeout_s);
    const auto source = ReadSource(a, budget);
    if (!source) return Fail(a, source.error());
    std::optional<Progress> progress("compiling " + a.file);
    const auto emitted = Connect(a, budget, nullptr, &*progress).try_emit(*source, EmitOf(a).kind, ToOptions(a));
    progress.reset();
    if (!emitted) return Fail(a, emitted.error());
    const std::string output = a.output.empty() ? DefaultOutput(a) : a.output;
    if (!a.json || output != "-") {
      if (!WriteFile(output, emitted->code)) return Fail(a, CannotWrite(output));
    }
    if (a.json)
      PrintJson({{"target", a.target.empty() ? "host" : a.target},
                 {"emit", a.emit},
                 {"output_file", output},
                 {"bytes", emitted->code.size()},
                 {"warnings", ToJson(emitted->warnings)},
                 {"timings", ToJson(emitted->timings_us)}});
    else
      PrintDiagnostics(emitted->warnings);
    return kOk;
  });
}

int Call(const Arguments& a) {
  return Guarded(a, [&] {
    const Budget budget(a.timeout_s);
    const auto values = ParseArguments(a);
    if (!values) return Fail(a, values.error());
    const auto source = ReadSource(a, budget);
    if (!source) return Fail(a, source.error());
    std::optional<Progress> progress("calling " + a.name);
    std::string captured;
    const RemoteJIT rjit = Connect(a, budget, &captured, &*progress);
    const Caller function = rjit.function(*source, a.name, {a.signature}, ToOptions(a));
    const auto calls = RunCalls(function, a, *values, budget);
    progress.reset();
    if (!calls) {
      Error error = calls.error();
      error.output = captured;  // of all calls, the last one's included
      return Fail(a, error);
    }
    if (!a.output.empty()) {
      const auto file = ArrayFile(calls->last.value);
      if (!file) return Fail(a, file.error());
      if (!WriteFile(a.output, *file)) return Fail(a, CannotWrite(a.output));
    }
    if (a.json) {
      PrintJson(ToJson(*calls, a, function.target(), captured));
      return kOk;
    }
    PrintDiagnostics(calls->compiled.warnings);
    std::cout << captured;
    if (a.output.empty()) PrintResult(calls->last.value, *values);
    return kOk;
  });
}

}  // namespace rbc::cli
