// Calls whose array results stay on the farm. They travel as chains, which know the session that has what stays.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/kept_call.h"

#include <fmt/format.h>

#include <utility>

#include "client/src/packed_row.h"
#include "client/src/residents.h"
#include "client/src/result_memory.h"
#include "client/src/value_maker.h"
#include "rbc/function.h"
#include "thrift/error_wire.h"
#include "types/array_extent.h"
#include "types/match.h"

namespace rbc {
namespace detail {
namespace {

Error Mismatch() {
  return {ErrorKind::kProtocolMismatch,
          "the farm's reply does not hold the arrays of a call; update the older of the two sides"};
}

uint64_t BytesOf(const std::vector<Buffer>& arrays) {
  uint64_t bytes = 0;
  for (const Buffer& array : arrays) bytes += array.bytes();
  return bytes;
}

// The types of the arrays in the result, in their order.
std::vector<types::Type> ArraysOf(const types::Type& result) {
  if (result.is(types::Kind::kArray)) return {result};
  std::vector<types::Type> out;
  for (const types::Type& member : result.members())
    if (member.is(types::Kind::kArray)) out.push_back(member);
  return out;
}

client::ChainPart PartOf(const Prepared& prepared, size_t index, const PackedRow& row, const std::string& name) {
  client::ChainPart part{prepared.module.get(), *prepared.declared[index], {}, row.epoch};
  part.step.__isset.call = true;
  wire::CallRequest& call = part.step.call;
  call.frame = row.call.frame;
  if (row.call.out_bytes != 0) call.__set_out_bytes(static_cast<int32_t>(row.call.out_bytes));
  if (!row.call.returned.empty()) call.__set_return_from(static_cast<int32_t>(row.call.return_from));
  if (!row.call.buffers.empty()) call.__set_buffers(BuffersOf(row.call));
  call.__set_keep(name);
  return part;
}

Expected<KeptAnswer> Take(const CallerState& caller, const types::Type& result, const PackedRow& row,
                          wire::ChainOutcome& outcome, const client::ChainReply& chain) {
  if (outcome.__isset.error) return NameIt(FromWire(outcome.error), caller.name);
  if (!outcome.__isset.call) return Mismatch();
  wire::CallReply& reply = outcome.call;
  KeptAnswer out;
  out.answer.status = reply.status;
  out.answer.output = reply.output;
  RBC_RETURN_IF_ERROR(TakeMemory(row.call, reply.data));
  if (reply.status != 0) return out;
  RBC_ASSIGN_OR_RETURN(out.arrays, TakeKept(caller, result, reply, chain));
  RBC_ASSIGN_OR_RETURN(out.answer.value, TakePlain(result, reply.result));
  return out;
}

CallProfile ProfileOf(const wire::CallReply& reply, const types::PackedCall& packed) {
  return {{reply.queue_ns, reply.upload_ns, reply.kernel_ns, reply.download_ns},
          static_cast<int64_t>(packed.frame.size()),
          static_cast<int64_t>(reply.result.size() + reply.data.size() + reply.output.size())};
}

// An array of this process with the elements of one on the farm.
Expected<types::Value> Fetch(const Buffer& buffer, const types::Type& element, CallProfile* profile) {
  const auto memory = client::MakeRoom(buffer.bytes());
  RBC_RETURN_IF_ERROR(buffer.try_copy_to(memory.get(), buffer.bytes()));
  if (profile != nullptr) profile->bytes_in += static_cast<int64_t>(buffer.bytes());
  types::Buffer out{.data = memory.get(), .bytes = buffer.bytes(), .element = element, .owner = memory};
  out.shape = buffer.shape();
  out.strides = types::DenseStrides(out.shape, buffer.element_size());
  return types::Value(std::move(out));
}

Expected<types::Value> FetchResult(const types::Type& result, const KeptAnswer& kept, CallProfile* profile) {
  if (result.is(types::Kind::kArray)) return Fetch(kept.arrays.front(), result.element(), profile);
  std::vector<types::Value> members = kept.answer.value.As<types::StructValue>()->members;
  auto next = kept.arrays.begin();
  for (size_t i = 0; i < members.size(); ++i) {
    const types::Type& member = result.members()[i];
    if (!member.is(types::Kind::kArray)) continue;
    RBC_ASSIGN_OR_RETURN(members[i], Fetch(*next++, member.element(), profile));
  }
  return types::Value::Struct(std::move(members));
}

}  // namespace

Expected<std::vector<Expected<KeptAnswer>>> CallKeptRows(const CallerState& caller, const Prepared& prepared,
                                                         size_t index, const std::vector<PackedRow>& rows,
                                                         const std::string& name, const client::Deadline& deadline,
                                                         bool explicit_deadline, std::atomic<int64_t>* request_id,
                                                         CallProfile* profile) {
  const Overload& overload = *prepared.overloads[index];
  std::vector<client::ChainPart> parts;
  for (const PackedRow& row : rows) {
    parts.push_back(PartOf(prepared, index, row, name));
    if (profile != nullptr) parts.back().step.call.__set_profile(true);
  }
  RBC_ASSIGN_OR_RETURN(auto chain, caller.core->farm->RunChain(parts, deadline, explicit_deadline, request_id));
  std::vector<Expected<KeptAnswer>> out;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (profile != nullptr) *profile = ProfileOf(chain.outcomes[i].call, rows[i].call);
    auto& taken = out.emplace_back(Take(caller, overload.type.result(), rows[i], chain.outcomes[i], chain));
    if (taken && taken->answer.status == 0) overload.result_bytes.Note(BytesOf(taken->arrays));
  }
  return out;
}

Expected<std::vector<Buffer>> TakeKept(const CallerState& caller, const types::Type& result, wire::CallReply& reply,
                                       const client::ChainReply& chain) {
  const std::vector<types::Type> types = ArraysOf(result);
  std::vector<Buffer> out;
  for (auto& info : reply.kept) {
    RBC_ASSIGN_OR_RETURN(Buffer buffer,
                         Inside::Adopt(caller.core, {chain.epoch, std::move(info), chain.arena, caller.name}, 0));
    out.push_back(std::move(buffer));
  }
  bool fits = out.size() == types.size();
  for (size_t i = 0; fits && i < out.size(); ++i)
    fits = out[i].dtype() == types[i].element().ToString() && out[i].shape().size() == types[i].rank();
  if (!fits) return Mismatch();
  return out;
}

Expected<types::Value> TakePlain(const types::Type& result, std::string_view bytes) {
  if (result.is(types::Kind::kArray)) return types::Value();
  RBC_ASSIGN_OR_RETURN(const types::ResultLayout layout, types::LayoutOfArrays(result));
  if (bytes.size() != layout.size) return Mismatch();
  std::vector<types::Value> members;
  for (const types::FrameSlot& slot : layout.slots)
    members.push_back(slot.op == types::SlotOp::kArray ? types::Value()
                                                       : types::LoadValue(slot.type, bytes.data() + slot.offset));
  return types::Value::Struct(std::move(members));
}

Expected<std::vector<Expected<KeptAnswer>>> CallKept(const CallerState& caller, const Prepared& prepared, size_t index,
                                                     const std::vector<std::vector<types::Value>>& rows,
                                                     const std::string& name, int64_t timeout_ms,
                                                     std::atomic<int64_t>* request_id, CallProfile* profile) {
  constexpr int32_t kSince = 4;
  if (!prepared.declared[index]) return prepared.declared[index].error();
  const Overload& overload = *prepared.overloads[index];
  if (!overload.layout.returns_arrays())
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("`{}` returns no array that could stay on the farm; call it", overload.type.ToString()));
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  RBC_ASSIGN_OR_RETURN(const auto hello, caller.core->farm->Hello(deadline));
  if (hello->protocol_minor < kSince)
    return Error(ErrorKind::kUnsupported, "this farm keeps no results of calls; update it, or call without");
  std::vector<PackedRow> packed;
  for (const auto& row : rows) {
    RBC_ASSIGN_OR_RETURN(packed.emplace_back(), PackRow(caller, prepared, overload.layout, row));
  }
  return CallKeptRows(caller, prepared, index, packed, name, deadline, is_explicit, request_id, profile);
}

Expected<Answer> CallAndFetch(const CallerState& caller, const Prepared& prepared, size_t index, PackedRow row,
                              const client::Deadline& deadline, bool explicit_deadline,
                              std::atomic<int64_t>* request_id, CallProfile* profile) {
  RBC_ASSIGN_OR_RETURN(auto answers, CallKeptRows(caller, prepared, index, {std::move(row)}, {}, deadline,
                                                  explicit_deadline, request_id, profile));
  RBC_ASSIGN_OR_RETURN(KeptAnswer kept, std::move(answers.front()));
  if (kept.answer.status != 0) return std::move(kept.answer);
  auto value = FetchResult(prepared.overloads[index]->type.result(), kept, profile);
  if (!value) {
    value.error().may_have_run = true;
    value.error().retry_safe = false;
    return std::move(value).error();
  }
  kept.answer.value = *std::move(value);
  return std::move(kept.answer);
}

}  // namespace detail

Result<CallResult> Caller::try_keep(std::span<const Value> arguments, const std::string& name) const {
  const auto call = [&]() -> Result<CallResult> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
    std::vector<types::Value> values;
    for (const Value& argument : arguments) values.push_back(argument.inner());
    RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(prepared->types, std::span<const types::Value>(values)));
    const types::Type& type = prepared->overloads[index]->type;
    RBC_ASSIGN_OR_RETURN(auto answers, detail::CallKept(*state_, *prepared, index, {values}, name, timeout_ms_));
    RBC_ASSIGN_OR_RETURN(detail::KeptAnswer kept, std::move(answers.front()));
    CallResult result;
    result.output = std::move(kept.answer.output);
    result.signature = type.ToString();
    result.symbol = prepared->module->declarations()[*prepared->declared[index]].symbol;
    result.status = kept.answer.status;
    result.kept = std::move(kept.arrays);
    if (result.status == 0) result.value = ValueMaker::Make(std::move(kept.answer.value), type.result());
    return result;
  };
  Result<CallResult> result = call();
  if (!result) result.error() = detail::NameIt(std::move(result.error()), state_->name);
  state_->core->Print(result ? result->output : result.error().output);
  return result;
}

Result<Buffer> Caller::KeptArray(Result<CallResult> result) const {
  RBC_RETURN_IF_ERROR(ValueOf(result));
  if (result->kept.size() == 1) return std::move(result->kept.front());
  return Error(ErrorKind::kInvalidArgument,
               fmt::format("'{}' returns {} arrays; take them by try_keep", state_->name, result->kept.size()));
}

}  // namespace rbc
