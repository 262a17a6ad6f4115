// `rbc map`, `rbc reduce`, `rbc scan` and `rbc launch`.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>

#include "client/cli/cli.h"
#include "client/cli/npy.h"
#include "client/src/clang.h"
#include "types/array.h"
#include "types/array_extent.h"
#include "types/array_shape.h"
#include "types/frame.h"
#include "types/match.h"
#include "types/pack.h"
#include "types/type.h"

namespace rbc::cli {
namespace {

bool IsFile(const std::string& text) { return text.ends_with(".npy"); }

Result<Npy> ReadArray(const std::string& path) {
  RBC_ASSIGN_OR_RETURN(const std::string bytes, client::ReadFile(path));
  auto array = ReadNpy(bytes);
  if (!array) array.error().message += fmt::format(" - while reading '{}'", path);
  return array;
}

// One value as it lies in a frame.
Result<Npy> OneValue(const types::Type& type, const std::string& text) {
  RBC_ASSIGN_OR_RETURN(const types::Type function, types::Type::Parse(fmt::format("void({})", type.ToString())));
  RBC_ASSIGN_OR_RETURN(const Value value, Value::Parse(type.ToString(), text));
  const types::Value inner[] = {value.inner()};
  RBC_ASSIGN_OR_RETURN(const types::PackedCall packed, types::PackArguments(function, inner));
  return Npy{type.ToString(), {}, packed.frame};
}

Result<std::vector<Npy>> ReadArguments(const Arguments& a) {
  RBC_ASSIGN_OR_RETURN(const types::Type signature, types::Type::Parse(a.signature));
  RBC_RETURN_IF_ERROR(types::CheckSignature(signature, std::nullopt));
  const auto parameters = signature.parameters();
  if (parameters.size() != a.values.size())
    return Error(ErrorKind::kInvalidArgument, fmt::format("`{}` takes {} columns and {} are given", a.signature,
                                                          parameters.size(), a.values.size()));
  std::vector<Npy> out;
  for (size_t i = 0; i < parameters.size(); ++i) {
    RBC_ASSIGN_OR_RETURN(Npy array,
                         IsFile(a.values[i]) ? ReadArray(a.values[i]) : OneValue(parameters[i], a.values[i]));
    out.push_back(std::move(array));
  }
  return out;
}

ArrayArgument ArgumentOf(const Npy& array, size_t element_size) {
  ArrayArgument out{array.dtype, array.data.data(), array.shape, {}};
  out.strides = types::DenseStrides(array.shape, element_size, array.fortran);
  return out;
}

Result<ArrayArgument> ArgumentOf(const Npy& array) {
  RBC_ASSIGN_OR_RETURN(const types::Type type, types::Type::Parse(array.dtype));
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(type));
  return ArgumentOf(array, element.size);
}

// A status as an error.
Result<ArrayResult> WithoutFailure(Result<ArrayResult> result, const std::string& name) {
  if (!result || result->status == 0) return result;
  std::string where;
  if (result->index.size() == 1) where = fmt::format(" for row {}", result->row);
  if (result->index.size() > 1) where = fmt::format(" for element {}", types::ShapeText(result->index));
  Error error(ErrorKind::kInvalidArgument,
              fmt::format("'{}' returns status {}{}; see what it means by it", name, result->status, where));
  error.function = name;
  error.may_have_run = true;
  return error;
}

Result<ArrayResult> RunMap(const Arguments& a, const Budget& budget, std::string* captured) {
  RBC_ASSIGN_OR_RETURN(const auto arrays, ReadArguments(a));
  if (std::none_of(a.values.begin(), a.values.end(), IsFile))
    return Error(ErrorKind::kInvalidArgument, "a map needs at least one array from a .npy file; or use rbc call");
  std::vector<ArrayArgument> arguments;
  for (const Npy& array : arrays) {
    RBC_ASSIGN_OR_RETURN(arguments.emplace_back(), ArgumentOf(array));
  }
  ArrayMapOptions options;
  options.accuracy = a.accuracy;
  Npy where;
  if (!a.where.empty()) {
    RBC_ASSIGN_OR_RETURN(where, ReadArray(a.where));
    RBC_ASSIGN_OR_RETURN(options.where, ArgumentOf(where));
  }
  RBC_ASSIGN_OR_RETURN(const Source source, ReadSource(a, budget));
  Progress progress("running " + a.name);
  const auto function = Connect(a, budget, captured, &progress).function(source, a.name, {a.signature}, ToOptions(a));
  const auto limited = function.with_timeout(std::chrono::milliseconds(budget.LeftMs()));
  return WithoutFailure(limited.try_map_arrays(arguments, options), a.name);
}

// `run(function, array)` of the command's own function and array.
template <typename F>
Result<ArrayResult> OverOneArray(const Arguments& a, const Budget& budget, std::string* captured, F run) {
  RBC_ASSIGN_OR_RETURN(const Npy array, ReadArray(a.values.front()));
  RBC_ASSIGN_OR_RETURN(const ArrayArgument argument, ArgumentOf(array));
  RBC_ASSIGN_OR_RETURN(const Source source, ReadSource(a, budget));
  Progress progress("running " + a.name);
  const auto function = Connect(a, budget, captured, &progress).function(source, a.name, {a.signature}, ToOptions(a));
  const auto limited = function.with_timeout(std::chrono::milliseconds(budget.LeftMs()));
  return WithoutFailure(run(limited, argument), a.name);
}

Result<ArrayResult> RunReduction(const Arguments& a, const Budget& budget, std::string* captured) {
  ArrayReduceOptions options;
  options.axis = a.axis;
  options.ordered = a.ordered;
  options.accuracy = a.accuracy;
  return OverOneArray(a, budget, captured, [&](const Caller& function, const ArrayArgument& array) {
    return function.try_reduce(array, options);
  });
}

Result<ArrayResult> RunScan(const Arguments& a, const Budget& budget, std::string* captured) {
  ArrayScanOptions options;
  options.axis = a.axis;
  options.accuracy = a.accuracy;
  return OverOneArray(a, budget, captured, [&](const Caller& function, const ArrayArgument& array) {
    return function.try_scan(array, options);
  });
}

// "2,1" or "64"
Result<std::vector<int32_t>> ParseShape(const char* what, const std::string& text) {
  std::vector<int32_t> out;
  const char* at = text.data();
  const char* const end = text.data() + text.size();
  for (;;) {
    int32_t size = 0;
    const auto [next, failure] = std::from_chars(at, end, size);
    if (failure != std::errc() || size <= 0 || out.size() == 3 || (next != end && *next != ','))
      return Error(ErrorKind::kInvalidArgument,
                   fmt::format("the {} '{}' is none; give 1 to 3 numbers, as 2,1", what, text));
    out.push_back(size);
    if (next == end) return out;
    at = next + 1;
  }
}

// The memory behind an argument as a list; text otherwise.
std::string Show(const types::Value& value) {
  const auto* buffer = value.As<types::Buffer>();
  if (buffer == nullptr) return "";
  const auto function = types::Type::Parse(fmt::format("{}()", buffer->element.ToString()));
  const auto layout = function ? types::FrameLayout::Make(*function) : Expected<types::FrameLayout>(function.error());
  if (!layout || layout->result_size() == 0) return "";
  std::string out = "[";
  const size_t size = layout->result_size();
  for (size_t at = 0; at + size <= buffer->bytes; at += size) {
    const std::string_view bytes(static_cast<const char*>(buffer->data) + at, size);
    const auto element = types::UnpackResult(buffer->element, bytes, "");
    out += (at == 0 ? "" : ", ") + (element ? Value(*element).repr() : "?");
  }
  return out + "]";
}

// The elements of a result in C order, one after the other.
class Elements {
 public:
  explicit Elements(const ArrayResult& result) : data_(result.data) {
    if (auto type = types::Type::Parse(result.dtype)) type_ = *std::move(type);
    if (const auto layout = types::ElementLayout(type_)) size_ = layout->size;
  }
  bool any() const { return size_ != 0; }  // false: the function gives nothing
  std::optional<Value> Next() {
    const auto value = types::UnpackResult(type_, data_.substr(0, size_), "");
    data_.remove_prefix(std::min(size_, data_.size()));
    return value ? std::optional(Value(*value)) : std::nullopt;
  }

 private:
  types::Type type_;
  std::string_view data_;
  size_t size_ = 0;
};

// Nested lists as Python prints them.
std::string Show(Elements& elements, std::span<const int64_t> shape) {
  if (shape.empty()) {
    const auto value = elements.Next();
    return value ? value->repr() : "?";
  }
  std::string out;
  for (int64_t i = 0; i < shape[0]; ++i) out += (i == 0 ? "" : ", ") + Show(elements, shape.subspan(1));
  return "[" + out + "]";
}

nlohmann::ordered_json ToJson(Elements& elements, std::span<const int64_t> shape) {
  if (shape.empty()) {
    const auto value = elements.Next();
    return value ? ResultToJson(*value) : nlohmann::ordered_json();
  }
  auto out = nlohmann::ordered_json::array();
  for (int64_t i = 0; i < shape[0]; ++i) out.push_back(ToJson(elements, shape.subspan(1)));
  return out;
}

Result<std::vector<std::string>> RunLaunch(const Arguments& a, const Budget& budget, std::string* captured) {
  Grid grid;
  RBC_ASSIGN_OR_RETURN(grid.blocks, ParseShape("grid", a.grid));
  RBC_ASSIGN_OR_RETURN(grid.threads, ParseShape("block", a.block));
  grid.shared_bytes = a.shared_bytes;
  RBC_ASSIGN_OR_RETURN(const types::Type signature, types::Type::Parse(a.signature));
  RBC_RETURN_IF_ERROR(types::CheckSignature(signature, a.values.size()));
  std::vector<Value> values;
  for (size_t i = 0; i < a.values.size(); ++i) {
    RBC_ASSIGN_OR_RETURN(Value value, ReadArgument(signature.parameters()[i], a.values[i]));
    values.push_back(std::move(value));
  }
  RBC_ASSIGN_OR_RETURN(const Source source, ReadSource(a, budget));
  Progress progress("running " + a.name);
  auto options = ToOptions(a);
  options.abi = CallAbi::kKernel;
  const auto function = Connect(a, budget, captured, &progress).function(source, a.name, {a.signature}, options);
  RBC_ASSIGN_OR_RETURN(const CallResult result,
                       function.with_timeout(std::chrono::milliseconds(budget.LeftMs())).try_launch(grid, values));
  std::vector<std::string> out;
  for (const Value& value : values)
    if (value.inner().As<types::Buffer>() != nullptr) out.push_back(Show(value.inner()));
  return out;
}

}  // namespace

Result<Value> ReadArgument(const types::Type& type, const std::string& text) {
  const bool memory = type.is(types::Kind::kPointer) || type.is(types::Kind::kArray);
  if (!memory || !IsFile(text)) return Value::Parse(type.ToString(), text);
  RBC_ASSIGN_OR_RETURN(const Npy array, ReadArray(text));
  if (array.fortran && array.shape.size() > 1)
    return Error(ErrorKind::kUnsupported, fmt::format("'{}' is in Fortran order; save it in C order", text));
  RBC_ASSIGN_OR_RETURN(const types::Type element, types::Type::Parse(array.dtype));
  return Value(types::MakeArray(element, array.shape, array.data));
}

Result<std::string> ArrayFile(const Value& value) {
  const auto* array = value.inner().As<types::Buffer>();
  if (array == nullptr || array->shape.empty())
    return Error(ErrorKind::kInvalidArgument, "the result is no array; leave -o out to have it printed");
  return WriteNpy(
      {array->element.ToString(), array->shape, std::string(static_cast<const char*>(array->data), array->bytes)});
}

namespace {

template <typename F>
int Guard(const Arguments& a, F command) {
  try {
    return command();
  } catch (const Exception& exception) {
    return Fail(a, exception.error());
  }
}

}  // namespace

namespace {

// What a map, a reduction or a scan gives: printed, or written to a file.
int TellArray(const Arguments& a, Result<ArrayResult> (*run)(const Arguments&, const Budget&, std::string*)) {
  return Guard(a, [&] {
    const Budget budget(a.timeout_s);
    std::string captured;
    const auto result = run(a, budget, &captured);
    if (!result) {
      Error error = result.error();
      error.output = captured;
      return Fail(a, error);
    }
    if (!a.json) std::cout << captured << std::flush;
    if (!a.output.empty() && !WriteFile(a.output, WriteNpy({result->dtype, result->shape, result->data})))
      return Fail(a, Error(ErrorKind::kInvalidArgument,
                           fmt::format("'{}' cannot be written; check its name and the space left", a.output)));
    Elements elements(*result);
    if (a.json) {
      int64_t rows = 1;
      for (const int64_t length : result->shape) rows *= length;
      nlohmann::ordered_json json = {{"rows", rows},
                                     {"shape", result->shape},
                                     {"dtype", result->dtype},
                                     {"signature", result->signature},
                                     {"output_file", a.output},
                                     {"output", captured}};
      if (a.output.empty() && elements.any()) json["result"] = ToJson(elements, result->shape);
      std::cout << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
    } else if (a.output.empty() && elements.any()) {
      std::cout << Show(elements, result->shape) << std::endl;
    }
    return kOk;
  });
}

}  // namespace

int Map(const Arguments& a) { return TellArray(a, RunMap); }
int Reduce(const Arguments& a) { return TellArray(a, RunReduction); }
int Scan(const Arguments& a) { return TellArray(a, RunScan); }

int Launch(const Arguments& a) {
  return Guard(a, [&] {
    const Budget budget(a.timeout_s);
    std::string captured;
    const auto memory = RunLaunch(a, budget, &captured);
    if (!memory) {
      Error error = memory.error();
      error.output = captured;
      return Fail(a, error);
    }
    if (a.json) {
      const nlohmann::ordered_json json = {{"memory", *memory}, {"output", captured}};
      std::cout << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
      return kOk;
    }
    std::cout << captured;
    for (const std::string& line : *memory) std::cout << line << '\n';
    std::cout.flush();
    return kOk;
  });
}

}  // namespace rbc::cli
