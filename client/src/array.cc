// Maps, reductions and scans over arrays.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/array.h"

#include <fmt/format.h>

#include <algorithm>

#include "client/src/array_data.h"
#include "client/src/core.h"
#include "client/src/interrupt.h"
#include "rbc/function.h"
#include "types/array_extent.h"
#include "types/array_shape.h"
#include "types/match.h"

namespace rbc {
namespace {

using client::CheckedArray;

// The signature that takes elements of these types, and where the module has it.
struct Chosen {
  std::shared_ptr<const detail::Prepared> prepared;
  const detail::Overload* overload = nullptr;
  size_t declared = 0;
};

Result<Chosen> Choose(detail::CallerState& state, std::span<const types::Type> given) {
  Chosen out;
  RBC_ASSIGN_OR_RETURN(out.prepared, state.Current());
  RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(out.prepared->types, given));
  if (!out.prepared->declared[index]) return out.prepared->declared[index].error();
  out.declared = *out.prepared->declared[index];
  out.overload = out.prepared->overloads[index].get();
  return out;
}

template <typename Request>
Result<wire::ArrayReply> Ask(const detail::CallerState& state, const Chosen& chosen, int64_t timeout_ms,
                             Request& request, void (wire::FarmClient::*method)(wire::ArrayReply&, const Request&)) {
  bool is_explicit = false;
  const client::Deadline deadline = state.core->DeadlineOf(timeout_ms, &is_explicit);
  return state.core->farm->AskLoaded(*chosen.prepared->module, deadline,
                                     [&](wire::FarmClient& client, const client::Loaded& loaded) {
                                       request.function_id = loaded.reply->functions[chosen.declared].function_id;
                                       request.request_id = state.core->farm->NextRequestId();
                                       client::ThisWaiting().request_id = request.request_id;
                                       if (is_explicit)
                                         request.__set_deadline_ms(std::max(1, deadline.RemainingMs() - 1));
                                       wire::ArrayReply answer;
                                       (client.*method)(answer, request);
                                       return answer;
                                     });
}

// An array to write into, as the wire has it. What it holds goes along where some of it stays.
Result<wire::ArrayRef> PackOut(const CheckedArray& out, const types::Type& result, bool keeps) {
  if (out.type != result)
    return Error(ErrorKind::kInvalidArgument, fmt::format("the array to write into holds `{}`, the result is `{}`",
                                                          out.type.ToString(), result.ToString()));
  for (size_t i = 0; i < out.array.shape.size(); ++i)
    if (out.array.shape[i] > 1 && out.array.strides[i] == 0)
      return Error(ErrorKind::kInvalidArgument, "the array to write into repeats its elements: it has a stride of 0");
  if (keeps || out.array.buffer != 0) return client::PackArray(out, result);
  wire::ArrayRef ref;
  ref.dtype = result.ToString();
  ref.shape = out.array.shape;
  ref.strides = types::DenseStrides(out.array.shape, out.size);
  return ref;
}

Result<std::optional<CheckedArray>> TakeOut(const std::optional<ArrayArgument>& out) {
  if (!out) return std::optional<CheckedArray>();
  RBC_ASSIGN_OR_RETURN(CheckedArray checked, client::CheckArray(*out));
  return std::optional(std::move(checked));
}

Result<ArrayResult> ResultOf(wire::ArrayReply& reply, const Chosen& chosen, const std::optional<CheckedArray>& out) {
  ArrayResult result;
  result.dtype = reply.result.dtype;
  result.shape = reply.result.shape;
  result.status = reply.status;
  result.output = reply.output;
  result.signature = chosen.overload->type.ToString();
  RBC_ASSIGN_OR_RETURN(const uint64_t count, types::CountElements(result.shape));
  if (reply.__isset.row) {
    if (reply.row < 0 || static_cast<uint64_t>(reply.row) >= count)
      return Error(ErrorKind::kInternal, "the farm tells of an element that the map does not have");
    result.row = reply.row;
    result.index = types::IndexOf(static_cast<uint64_t>(reply.row), result.shape);
  }
  if (out && out->array.buffer != 0) return result;
  const uint64_t size = out ? out->size : chosen.overload->layout.result_size();
  if (reply.result.data.size() != count * size || (out && result.shape != out->array.shape))
    return Error(ErrorKind::kInternal, "the farm's reply does not hold the result");
  if (out)
    client::UnpackArray(reply.result.data, *out);
  else
    result.data = std::move(reply.result.data);
  return result;
}

// What all three share once they have their result or error.
Result<ArrayResult> Tell(Result<ArrayResult> result, const detail::CallerState& state) {
  if (!result) result.error() = detail::NameIt(std::move(result.error()), state.name);
  state.core->Print(result ? result->output : result.error().output);
  return result;
}

// `f(x, x)`: the one type whose elements are combined.
Result<Chosen> ChooseCombining(detail::CallerState& state, const CheckedArray& array) {
  const std::vector<types::Type> given = {array.type, array.type};
  RBC_ASSIGN_OR_RETURN(Chosen chosen, Choose(state, given));
  const types::Type& type = chosen.overload->type;
  if (type.parameters()[0] != type.result() || type.parameters()[1] != type.result())
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("`{}` combines no elements: it must take two values of one type and give a third",
                             type.ToString()));
  return chosen;
}

}  // namespace

Result<ArrayResult> Caller::try_map_arrays(std::span<const ArrayArgument> arrays,
                                           const ArrayMapOptions& options) const {
  const auto map = [&]() -> Result<ArrayResult> {
    std::vector<CheckedArray> checked;
    std::vector<types::Type> given;
    for (const ArrayArgument& array : arrays) {
      RBC_ASSIGN_OR_RETURN(checked.emplace_back(), client::CheckArray(array));
      given.push_back(checked.back().type);
    }
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, Choose(*state_, given));
    const types::Type& type = chosen.overload->type;
    wire::ArrayMapRequest request;
    for (size_t i = 0; i < checked.size(); ++i) {
      RBC_ASSIGN_OR_RETURN(request.inputs.emplace_back(), client::PackArray(checked[i], type.parameters()[i]));
    }
    RBC_ASSIGN_OR_RETURN(const auto out, TakeOut(options.out));
    if (out) {
      RBC_ASSIGN_OR_RETURN(request.into, PackOut(*out, type.result(), options.where.has_value()));
      request.__isset.into = true;
    }
    if (options.where) {
      RBC_ASSIGN_OR_RETURN(const CheckedArray where, client::CheckArray(*options.where));
      RBC_ASSIGN_OR_RETURN(request.where, client::PackArray(where, types::Type::Bool()));
      request.__isset.where = true;
    }
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::map_arrays));
    return ResultOf(reply, chosen, out);
  };
  return Tell(map(), *state_);
}

Result<ArrayResult> Caller::try_reduce(const ArrayArgument& array, const ArrayReduceOptions& options) const {
  const auto reduce = [&]() -> Result<ArrayResult> {
    RBC_ASSIGN_OR_RETURN(const CheckedArray checked, client::CheckArray(array));
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, ChooseCombining(*state_, checked));
    const types::Type& element = chosen.overload->type.result();
    wire::ArrayReduceRequest request;
    RBC_ASSIGN_OR_RETURN(request.input, client::PackArray(checked, element));
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
    if (out) {
      RBC_ASSIGN_OR_RETURN(request.into, PackOut(*out, element, false));
      request.__isset.into = true;
    }
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::reduce_array));
    return ResultOf(reply, chosen, out);
  };
  return Tell(reduce(), *state_);
}

Result<ArrayResult> Caller::try_scan(const ArrayArgument& array, const ArrayScanOptions& options) const {
  const auto scan = [&]() -> Result<ArrayResult> {
    RBC_ASSIGN_OR_RETURN(const CheckedArray checked, client::CheckArray(array));
    RBC_ASSIGN_OR_RETURN(const Chosen chosen, ChooseCombining(*state_, checked));
    const types::Type& element = chosen.overload->type.result();
    wire::ArrayScanRequest request;
    RBC_ASSIGN_OR_RETURN(request.input, client::PackArray(checked, element));
    if (options.axis) request.__set_axis(*options.axis);
    RBC_ASSIGN_OR_RETURN(const auto out, TakeOut(options.out));
    if (out) {
      RBC_ASSIGN_OR_RETURN(request.into, PackOut(*out, element, false));
      request.__isset.into = true;
    }
    request.accuracy = static_cast<wire::MathAccuracy::type>(options.accuracy);
    RBC_ASSIGN_OR_RETURN(auto reply, Ask(*state_, chosen, timeout_ms_, request, &wire::FarmClient::scan_array));
    return ResultOf(reply, chosen, out);
  };
  return Tell(scan(), *state_);
}

}  // namespace rbc
