// `rbc map` and `rbc launch`.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "client/cli/cli.h"
#include "client/cli/npy.h"
#include "client/src/clang.h"
#include "types/array.h"
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

Result<Npy> ReadColumn(const std::string& path) {
  RBC_ASSIGN_OR_RETURN(Npy array, ReadArray(path));
  if (array.shape.size() == 1) return array;
  return Error(ErrorKind::kUnsupported,
               fmt::format("the array in '{}' has {} dimensions; columns of a map have one", path, array.shape.size()));
}

// One value as it lies in a frame.
Result<Npy> OneValue(const types::Type& type, const std::string& text) {
  RBC_ASSIGN_OR_RETURN(const types::Type function, types::Type::Parse(fmt::format("void({})", type.ToString())));
  RBC_ASSIGN_OR_RETURN(const Value value, Value::Parse(type.ToString(), text));
  const types::Value inner[] = {value.inner()};
  RBC_ASSIGN_OR_RETURN(const types::PackedCall packed, types::PackArguments(function, inner));
  return Npy{type.ToString(), -1, packed.frame};
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
                         IsFile(a.values[i]) ? ReadColumn(a.values[i]) : OneValue(parameters[i], a.values[i]));
    out.push_back(std::move(array));
  }
  return out;
}

Result<int64_t> RowsOf(const std::vector<Npy>& arrays) {
  int64_t rows = -1;
  for (const Npy& array : arrays) {
    if (array.rows < 0) continue;
    if (rows >= 0 && rows != array.rows)
      return Error(ErrorKind::kInvalidArgument,
                   fmt::format("the columns of a map are of one length; these have {} and {} rows", rows, array.rows));
    rows = array.rows;
  }
  if (rows < 0)
    return Error(ErrorKind::kInvalidArgument, "a map needs at least one column from a .npy file; or use rbc call");
  return rows;
}

Result<MapResult> RunMap(const Arguments& a, const Budget& budget, std::string* captured) {
  RBC_ASSIGN_OR_RETURN(const auto arrays, ReadArguments(a));
  RBC_ASSIGN_OR_RETURN(const int64_t rows, RowsOf(arrays));
  std::vector<Column> columns;
  for (const Npy& array : arrays) {
    const auto count = static_cast<size_t>(std::max<int64_t>(array.rows, 1));
    const size_t size = array.rows == 0 ? 0 : array.data.size() / count;
    columns.push_back(
        {array.dtype, array.data.data(), array.data.size(), array.rows < 0 ? 0 : static_cast<int64_t>(size)});
  }
  RBC_ASSIGN_OR_RETURN(const Source source, ReadSource(a, budget));
  const auto function = Connect(a, budget, captured).function(source, a.name, {a.signature}, ToOptions(a));
  RBC_ASSIGN_OR_RETURN(MapResult result,
                       function.with_timeout(std::chrono::milliseconds(budget.LeftMs())).try_map(rows, columns));
  if (result.status == 0) return result;
  Error error(ErrorKind::kInvalidArgument, fmt::format("'{}' returns status {} for row {}; see what it means by it",
                                                       a.name, result.status, result.row));
  error.function = a.name;
  error.may_have_run = true;
  return error;
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
  auto options = ToOptions(a);
  options.abi = CallAbi::kKernel;
  const auto function = Connect(a, budget, captured).function(source, a.name, {a.signature}, options);
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
  RBC_ASSIGN_OR_RETURN(const types::Type element, types::Type::Parse(array.dtype));
  return Value(types::MakeArray(element, array.shape, array.data));
}

Result<std::string> ArrayFile(const Value& value) {
  const auto* array = value.inner().As<types::Buffer>();
  if (array == nullptr || array->shape.empty())
    return Error(ErrorKind::kInvalidArgument, "the result is no array; leave -o out to have it printed");
  return WriteNpy({array->element.ToString(), array->shape[0],
                   std::string(static_cast<const char*>(array->data), array->bytes), array->shape});
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

int Map(const Arguments& a) {
  return Guard(a, [&] {
    const Budget budget(a.timeout_s);
    std::string captured;
    const auto result = RunMap(a, budget, &captured);
    if (!result) {
      Error error = result.error();
      error.output = captured;
      return Fail(a, error);
    }
    if (!a.json) std::cout << captured << std::flush;
    if (!a.output.empty() && !WriteFile(a.output, WriteNpy({result->dtype, result->rows, result->data})))
      return Fail(a, Error(ErrorKind::kInvalidArgument,
                           fmt::format("'{}' cannot be written; check its name and the space left", a.output)));
    if (a.json) {
      const nlohmann::ordered_json json = {{"rows", result->rows},
                                           {"dtype", result->dtype},
                                           {"signature", result->signature},
                                           {"output_file", a.output},
                                           {"output", captured}};
      std::cout << json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) << std::endl;
    } else if (a.output.empty()) {
      types::Buffer rows;
      rows.data = const_cast<char*>(result->data.data());
      rows.bytes = result->data.size();
      if (auto type = types::Type::Parse(result->dtype)) rows.element = *std::move(type);
      std::cout << Show(types::Value(std::move(rows))) << std::endl;
    }
    return kOk;
  });
}

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
