// Maps, reductions and scans over arrays.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/array.h"

#include <fmt/format.h>

#include <algorithm>
#include <initializer_list>

#include "client/src/array_data.h"
#include "client/src/array_staging.h"
#include "client/src/buffer_state.h"
#include "client/src/choose.h"
#include "client/src/core.h"
#include "client/src/interrupt.h"
#include "rbc/function.h"
#include "types/array_extent.h"
#include "types/array_shape.h"

namespace rbc {
namespace {

using client::ArrayStaging;
using client::CheckedArray;

using detail::Choose;
using detail::ChooseCombining;
using detail::Chosen;

// A second run would read what the first one has written.
bool ReadsItsResult(const wire::ArrayRef& into, std::span<const wire::ArrayRef> inputs) {
  return into.__isset.buffer && std::any_of(inputs.begin(), inputs.end(), [&](const wire::ArrayRef& input) {
           return input.__isset.buffer && input.buffer == into.buffer;
         });
}
bool ReadsItsResult(const wire::ArrayMapRequest& request) {
  return ReadsItsResult(request.into, request.inputs) || ReadsItsResult(request.into, {&request.where, 1});
}
bool ReadsItsResult(const auto& request) { return ReadsItsResult(request.into, {&request.input, 1}); }

template <typename Request>
Result<wire::ArrayReply> Ask(const detail::CallerState& state, const Chosen& chosen, int64_t timeout_ms,
                             Request& request, void (wire::FarmClient::*method)(wire::ArrayReply&, const Request&),
                             uint64_t* epoch = nullptr) {
  bool is_explicit = false;
  const client::Deadline deadline = state.core->DeadlineOf(timeout_ms, &is_explicit);
  const auto ask = [&](wire::FarmClient& client, const client::Loaded& loaded) {
    request.function_id = loaded.reply->functions[chosen.declared].function_id;
    request.request_id = state.core->farm->NextRequestId();
    client::ThisWaiting().request_id = request.request_id;
    if (epoch != nullptr) *epoch = loaded.epoch;
    if (is_explicit) request.__set_deadline_ms(client::TellFarm(deadline));
    wire::ArrayReply answer;
    (client.*method)(answer, request);
    return answer;
  };
  return state.core->farm->AskLoaded(*chosen.prepared->module, deadline, ask, ReadsItsResult(request));
}

bool IsEmpty(const CheckedArray& array) {
  return std::find(array.array.shape.begin(), array.array.shape.end(), 0) != array.array.shape.end();
}

// Of the elements that lie in this process, each once.
int64_t BytesHere(const CheckedArray& array) {
  if (array.array.buffer != 0) return 0;
  auto bytes = static_cast<int64_t>(array.size);
  for (size_t i = 0; i < array.array.shape.size(); ++i)
    if (array.array.shape[i] == 0 || array.array.strides[i] != 0) bytes *= array.array.shape[i];
  return bytes;
}

ArrayTimes TimesOf(const wire::ArrayReply& reply, int64_t bytes_out, int64_t bytes_in) {
  return {reply.compile_ns, reply.queue_ns, reply.upload_ns, reply.kernel_ns, reply.download_ns, bytes_out, bytes_in};
}

Status CheckOut(const CheckedArray& out, const types::Type& result) {
  if (out.type != result)
    return Error(ErrorKind::kInvalidArgument, fmt::format("the array to write into holds `{}`, the result is `{}`",
                                                          out.type.ToString(), result.ToString()));
  if (IsEmpty(out)) return {};
  for (size_t i = 0; i < out.array.shape.size(); ++i)
    if (out.array.shape[i] > 1 && out.array.strides[i] == 0)
      return Error(ErrorKind::kInvalidArgument, "the array to write into repeats its elements: it has a stride of 0");
  return {};
}

Result<std::optional<CheckedArray>> TakeOut(const std::optional<ArrayArgument>& out) {
  if (!out) return std::optional<CheckedArray>();
  RBC_ASSIGN_OR_RETURN(CheckedArray checked, client::CheckArray(*out));
  return std::optional(std::move(checked));
}

// The request's array to write into: the one that is given, or room for a new one that is too large for the reply.
// `keeps`: some elements are not written.
template <typename Request>
Status PlaceResult(const std::optional<CheckedArray>& out, const Chosen& chosen, bool keeps,
                   const std::optional<types::Extents>& shape, ArrayStaging& staging, Request& request) {
  const types::Type& type = chosen.overload->type.result();
  if (out) {
    RBC_RETURN_IF_ERROR(CheckOut(*out, type));
    RBC_ASSIGN_OR_RETURN(request.into, staging.PackOut(*out, keeps && !IsEmpty(*out)));
    request.__isset.into = true;
    return {};
  }
  const uint64_t size = chosen.overload->layout.result_size();
  if (!shape || size == 0) return {};
  RBC_ASSIGN_OR_RETURN(auto room, staging.PackNew(type, size, *shape, keeps));
  if (!room) return {};
  request.into = *std::move(room);
  request.__isset.into = true;
  return {};
}

Result<ArrayResult> ResultOf(wire::ArrayReply& reply, const Chosen& chosen, const std::optional<CheckedArray>& out,
                             int64_t bytes_out, const ArrayStaging& staging) {
  ArrayResult result;
  result.dtype = reply.result.dtype;
  result.shape = reply.result.shape;
  result.status = reply.status;
  result.output = reply.output;
  result.signature = chosen.overload->type.ToString();
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(result.shape));
  const bool comes = !out || out->array.buffer == 0;
  result.times =
      TimesOf(reply, bytes_out, comes ? static_cast<int64_t>(count * chosen.overload->layout.result_size()) : 0);
  if (reply.__isset.row) {
    if (reply.row < 0 || static_cast<uint64_t>(reply.row) >= count)
      return Error(ErrorKind::kInternal, "the farm tells of an element that the map does not have");
    result.row = reply.row;
    result.index = types::IndexOf(static_cast<uint64_t>(reply.row), result.shape);
  }
  if (out && out->array.buffer != 0) return result;
  if (staging.has_result() && !out) {
    RBC_ASSIGN_OR_RETURN(result.data, staging.TakeResult());
    return result;
  }
  if (staging.has_result()) {
    RBC_RETURN_IF_ERROR(staging.TakeResult(*out));
    return result;
  }
  const uint64_t size = out ? out->size : chosen.overload->layout.result_size();
  if (reply.result.data.size() != count * size || (out && result.shape != out->array.shape))
    return Error(ErrorKind::kInternal, "the farm's reply does not hold the result");
  if (out)
    client::UnpackArray(reply.result.data, *out);
  else
    result.data = std::move(reply.result.data);
  return result;
}

using Named = std::initializer_list<const std::optional<ArrayArgument>*>;

Error NameLost(Error error, const detail::Core& core, std::span<const ArrayArgument> arrays, Named more) {
  std::vector<int64_t> ids;
  for (const ArrayArgument& array : arrays) ids.push_back(array.buffer);
  for (const auto* array : more)
    if (*array) ids.push_back((*array)->buffer);
  return detail::NameLost(std::move(error), core, ids);
}

// What all three share once they have their result or error.
Result<ArrayResult> Tell(Result<ArrayResult> result, const detail::CallerState& state,
                         std::span<const ArrayArgument> arrays, Named more) {
  if (!result)
    result.error() = NameLost(detail::NameIt(std::move(result.error()), state.name), *state.core, arrays, more);
  state.core->Print(result ? result->output : result.error().output);
  return result;
}

// Runs `work(staging)`; once more where the session ended with arrays that were put there for this request. Nothing has
// run then.
template <typename Work>
Result<ArrayResult> WithStaging(const detail::CallerState& state, Work&& work) {
  for (int attempt = 0;; ++attempt) {
    ArrayStaging staging(state.core);
    Result<ArrayResult> result = work(staging);
    if (result || attempt != 0 || !staging.is_used() || result.error().kind != ErrorKind::kBufferLost) return result;
  }
}

// Of the result. Nothing: there is none to make room for (no elements, or an axis that the farm refuses).
std::optional<types::Extents> ShapeOfReduction(const CheckedArray& array, std::optional<int> axis) {
  types::Extents shape = array.array.shape;
  if (IsEmpty(array)) return std::nullopt;
  if (!axis) return types::Extents();
  const int64_t at = *axis < 0 ? *axis + static_cast<int64_t>(shape.size()) : *axis;
  if (at < 0 || at >= static_cast<int64_t>(shape.size())) return std::nullopt;
  shape.erase(shape.begin() + at);
  return shape;
}

std::optional<types::Extents> ShapeOfScan(const CheckedArray& array, std::optional<int> axis) {
  if (axis) return array.array.shape;
  const auto count = types::CountElements(array.array.shape);
  if (!count) return std::nullopt;
  return types::Extents{static_cast<int64_t>(*count)};
}

struct Asked {
  uint64_t epoch = 0;  // of the session
  uint64_t ends = 0;   // Farm::Ends() before
};

// The map as a call that does it once more.
client::ReadyMap Again(std::span<const ArrayArgument> arrays, const ArrayMapOptions& options,
                       std::span<const CheckedArray> checked, const Chosen& chosen, const Asked& asked,
                       const ArrayResult& result, const wire::ReadyCall& call) {
  std::vector<uint64_t> sizes;
  for (const CheckedArray& array : checked) sizes.push_back(array.size);
  client::ReadyMap map = client::ReadyMapOf(arrays, options, sizes);
  map.prepared = chosen.prepared;
  map.declared = chosen.declared;
  map.epoch = asked.epoch;
  map.ends = asked.ends;
  map.call = call;
  map.dtype = result.dtype;
  map.shape = result.shape;
  map.signature = result.signature;
  return map;
}

}  // namespace

Result<ArrayResult> Caller::try_map_arrays(std::span<const ArrayArgument> arrays,
                                           const ArrayMapOptions& options) const {
  if (auto repeated = client::RepeatMap(*state_, arrays, options, timeout_ms_))
    return Tell(*std::move(repeated), *state_, arrays, {&options.out});
  const auto map = [&](ArrayStaging& staging) -> Result<ArrayResult> {
    std::vector<CheckedArray> checked;
    std::vector<types::Type> given;
    for (const ArrayArgument& array : arrays) {
      RBC_ASSIGN_OR_RETURN(checked.emplace_back(), client::CheckArray(array));
      given.push_back(checked.back().type);
    }
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, Choose(*state_, given));
    const types::Type& type = chosen.overload->type;
    wire::ArrayMapRequest request;
    std::vector<types::Extents> shapes;
    int64_t bytes_out = 0;
    for (size_t i = 0; i < checked.size(); ++i) {
      RBC_ASSIGN_OR_RETURN(request.inputs.emplace_back(), staging.Pack(checked[i], type.parameters()[i]));
      shapes.push_back(checked[i].array.shape);
      bytes_out += BytesHere(checked[i]);
    }
    if (options.where) {
      RBC_ASSIGN_OR_RETURN(const CheckedArray where, client::CheckArray(*options.where));
      RBC_ASSIGN_OR_RETURN(request.where, staging.Pack(where, types::Type::Bool()));
      request.__isset.where = true;
      shapes.push_back(where.array.shape);
      bytes_out += BytesHere(where);
    }
    RBC_ASSIGN_OR_RETURN(const auto out, TakeOut(options.out));
    RBC_ASSIGN_OR_RETURN(const types::Extents shape, types::BroadcastShapes(shapes));
    RBC_RETURN_IF_ERROR(PlaceResult(out, chosen, options.where.has_value(), shape, staging, request));
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    if (options.profile) request.__set_profile(true);
    if (client::MayBeRepeated(arrays, options)) request.__set_ready(true);
    uint64_t epoch = 0;
    const uint64_t ends = state_->core->farm->Ends();
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::map_arrays, &epoch));
    auto result = ResultOf(reply, chosen, out, bytes_out, staging);
    if (result && request.ready && reply.__isset.ready)
      client::KeepReadyMap(*state_, Again(arrays, options, checked, chosen, {epoch, ends}, *result, reply.ready));
    return result;
  };
  return Tell(WithStaging(*state_, map), *state_, arrays, {&options.out, &options.where});
}

Result<ArrayResult> Caller::try_reduce(const ArrayArgument& array, const ArrayReduceOptions& options) const {
  const auto reduce = [&](ArrayStaging& staging) -> Result<ArrayResult> {
    RBC_ASSIGN_OR_RETURN(const CheckedArray checked, client::CheckArray(array));
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, ChooseCombining(*state_, checked.type));
    const types::Type& element = chosen.overload->type.result();
    wire::ArrayReduceRequest request;
    RBC_ASSIGN_OR_RETURN(request.input, staging.Pack(checked, element));
    if (options.axis) request.__set_axis(*options.axis);
    if (options.identity) {
      RBC_ASSIGN_OR_RETURN(const CheckedArray identity, client::CheckArray(*options.identity));
      if (!identity.array.shape.empty() || identity.array.buffer != 0)
        return Error(ErrorKind::kInvalidArgument, "an identity is one value");
      RBC_ASSIGN_OR_RETURN(wire::ArrayRef value, client::PackArray(identity, element));
      request.__set_identity(std::move(value.data));
    }
    request.ordered = options.ordered;
    RBC_ASSIGN_OR_RETURN(const auto out, TakeOut(options.out));
    RBC_RETURN_IF_ERROR(PlaceResult(out, chosen, false, ShapeOfReduction(checked, options.axis), staging, request));
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    if (options.profile) request.__set_profile(true);
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::reduce_array));
    return ResultOf(reply, chosen, out, BytesHere(checked), staging);
  };
  return Tell(WithStaging(*state_, reduce), *state_, {&array, 1}, {&options.out});
}

Result<ArrayResult> Caller::try_scan(const ArrayArgument& array, const ArrayScanOptions& options) const {
  const auto scan = [&](ArrayStaging& staging) -> Result<ArrayResult> {
    RBC_ASSIGN_OR_RETURN(const CheckedArray checked, client::CheckArray(array));
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, ChooseCombining(*state_, checked.type));
    const types::Type& element = chosen.overload->type.result();
    wire::ArrayScanRequest request;
    RBC_ASSIGN_OR_RETURN(request.input, staging.Pack(checked, element));
    if (options.axis) request.__set_axis(*options.axis);
    RBC_ASSIGN_OR_RETURN(const auto out, TakeOut(options.out));
    RBC_RETURN_IF_ERROR(PlaceResult(out, chosen, false, ShapeOfScan(checked, options.axis), staging, request));
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    if (options.profile) request.__set_profile(true);
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::scan_array));
    return ResultOf(reply, chosen, out, BytesHere(checked), staging);
  };
  return Tell(WithStaging(*state_, scan), *state_, {&array, 1}, {&options.out});
}

}  // namespace rbc
