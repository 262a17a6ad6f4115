// Calls: pick the signature, pack, send, unpack.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/function.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "client/src/buffer_state.h"
#include "client/src/call_staging.h"
#include "client/src/core.h"
#include "client/src/kept_call.h"
#include "client/src/packed_row.h"
#include "client/src/residents.h"
#include "client/src/symbols.h"
#include "client/src/value_maker.h"
#include "thrift/error_wire.h"
#include "types/array.h"
#include "types/match.h"

namespace rbc {
namespace detail {

Error NameIt(Error error, const std::string& name) {
  if (error.function.empty()) error.function = name;
  return error;
}

// `data` has the returned memory first, then a returned text.
Status TakeMemory(const types::PackedCall& packed, std::string_view data) {
  if (packed.returned.empty()) return {};
  return types::CopyReturned(packed, data.substr(0, packed.total_bytes() - packed.return_from));
}

Error BadStatus(const std::string& name, int status) {
  Error error(ErrorKind::kInvalidArgument,
              fmt::format("'{}' returns status {}; see what it means by it", name, status));
  error.function = name;
  error.role = "execution worker";
  error.may_have_run = true;
  return error;
}

Expected<PackedRow> PackRow(const CallerState& caller, const Prepared& prepared, const types::FrameLayout& layout,
                            std::span<const types::Value> values) {
  PackedRow out;
  RBC_ASSIGN_OR_RETURN(out.call, PackWithResidents({caller, prepared.target}, layout, values, &out.epoch));
  return out;
}

client::CallMessage MessageOf(const types::PackedCall& packed, std::vector<client::CallBuffer>* buffers) {
  client::CallMessage message;
  message.frame = packed.frame;
  for (const auto& buffer : packed.buffers)
    buffers->push_back({static_cast<int32_t>(buffer.position), buffer.id, buffer.offset});
  message.buffers = *buffers;
  message.out_bytes = static_cast<int32_t>(packed.out_bytes);
  if (!packed.returned.empty()) message.return_from = static_cast<int32_t>(packed.return_from);
  return message;
}

void NoteResult(const Overload& overload, const types::PackedCall* packed, std::string_view data) {
  if (!overload.layout.returns_arrays()) return;
  const bool returns = packed != nullptr && !packed->returned.empty();
  const uint64_t returned = returns ? packed->total_bytes() - packed->return_from : 0;
  overload.result_bytes.Note(data.size() - std::min<uint64_t>(returned, data.size()));
}

namespace {

// The value and what was printed, from a reply whose memory is `data`.
Expected<Answer> Unpack(const Overload& overload, const types::PackedCall& packed, std::string_view result, int status,
                        std::string_view data, std::string_view output) {
  Answer answer;
  answer.status = status;
  answer.output = output;
  RBC_RETURN_IF_ERROR(TakeMemory(packed, data));
  if (status != 0) return answer;
  RBC_ASSIGN_OR_RETURN(answer.value, types::UnpackResult(overload.type.result(), result, data));
  NoteResult(overload, &packed, data);
  return answer;
}

// All in messages.
Expected<Answer> Send(const CallerState& caller, const Prepared& prepared, size_t index, const PackedRow& row,
                      const client::Deadline& deadline, bool is_explicit, std::atomic<int64_t>* request_id,
                      CallProfile* profile) {
  const types::PackedCall& packed = row.call;
  std::vector<client::CallBuffer> buffers;
  client::CallMessage message = MessageOf(packed, &buffers);
  message.profile = profile != nullptr;
  message.epoch = row.epoch;
  RBC_ASSIGN_OR_RETURN(
      const client::Farm::Answered answered,
      caller.core->farm->Call(*prepared.module, *prepared.declared[index], message, deadline, is_explicit, request_id));
  const client::CallAnswer& answer = answered.answer;
  if (profile != nullptr)
    *profile = {answer.times, static_cast<int64_t>(message.frame.size()),
                static_cast<int64_t>(answer.result.size() + answer.data.size() + answer.output.size())};
  return Unpack(*prepared.overloads[index], packed, answer.result, answer.status, answer.data, answer.output);
}

// Large arrays through buffers of the session.
Expected<Answer> SendStaged(CallStaging& staging, const CallerState& caller, const Prepared& prepared, size_t index,
                            std::span<const types::Value> values, const client::Deadline& deadline, bool is_explicit,
                            std::atomic<int64_t>* request_id, CallProfile* profile) {
  RBC_ASSIGN_OR_RETURN(const auto taken, staging.Take(values, deadline));
  RBC_ASSIGN_OR_RETURN(PackedRow row, PackRow(caller, prepared, prepared.overloads[index]->layout, taken));
  RBC_ASSIGN_OR_RETURN(const bool keeps, staging.KeepsResult(deadline));
  auto answer = keeps
                    ? CallAndFetch(caller, prepared, index, std::move(row), deadline, is_explicit, request_id, profile)
                    : Send(caller, prepared, index, row, deadline, is_explicit, request_id, profile);
  if (answer) RBC_RETURN_IF_ERROR(staging.TakeBack());
  if (profile != nullptr) {
    profile->bytes_out += static_cast<int64_t>(staging.bytes());
    profile->bytes_in += static_cast<int64_t>(staging.bytes_back());
  }
  return answer;
}

}  // namespace

Expected<Answer> CallValues(const CallerState& caller, const Prepared& prepared, size_t index,
                            std::span<const types::Value> values, int64_t timeout_ms, std::atomic<int64_t>* request_id,
                            CallProfile* profile) {
  if (!prepared.declared[index]) return prepared.declared[index].error();
  const Overload& overload = *prepared.overloads[index];
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  for (int tries = 1;; ++tries) {
    CallStaging staging(caller, prepared, index);
    if (!staging.Wants(values) && !staging.ExpectsLargeResult()) {
      RBC_ASSIGN_OR_RETURN(const PackedRow row, PackRow(caller, prepared, overload.layout, values));
      return Send(caller, prepared, index, row, deadline, is_explicit, request_id, profile);
    }
    auto answer = SendStaged(staging, caller, prepared, index, values, deadline, is_explicit, request_id, profile);
    if (answer || !staging.MayTryAgain(answer.error(), tries)) return answer;
  }
}

Expected<std::vector<Expected<Answer>>> CallRows(const CallerState& caller, const Prepared& prepared, size_t index,
                                                 const std::vector<std::vector<types::Value>>& rows,
                                                 int64_t timeout_ms) {
  if (!prepared.declared[index]) return prepared.declared[index].error();
  const Overload& overload = *prepared.overloads[index];
  std::vector<types::PackedCall> packed;
  packed.reserve(rows.size());
  std::vector<client::CallMessage> messages;
  messages.reserve(rows.size());
  std::deque<std::vector<client::CallBuffer>> buffers;
  for (const auto& row : rows) {
    RBC_ASSIGN_OR_RETURN(PackedRow call, PackRow(caller, prepared, overload.layout, row));
    packed.push_back(std::move(call.call));
    messages.push_back(MessageOf(packed.back(), &buffers.emplace_back()));
    messages.back().epoch = call.epoch;
  }
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  RBC_ASSIGN_OR_RETURN(
      const client::Farm::AnsweredBatch answered,
      caller.core->farm->CallBatch(*prepared.module, *prepared.declared[index], std::move(messages), deadline));
  std::vector<Expected<Answer>> out;
  out.reserve(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    const client::CallAnswer& answer = answered.answers[i];
    if (answer.error) {
      out.emplace_back(NameIt(*answer.error, caller.name));
    } else {
      out.push_back(Unpack(overload, packed[i], answer.result, answer.status, answer.data, answer.output));
    }
  }
  return out;
}

CallResult ResultOf(const Prepared& prepared, size_t index, Answer answer) {
  const Overload& overload = *prepared.overloads[index];
  CallResult result;
  result.output = std::move(answer.output);
  result.signature = overload.type.ToString();
  result.symbol = prepared.module->declarations()[*prepared.declared[index]].symbol;
  result.status = answer.status;
  if (answer.status == 0) result.value = ValueMaker::Make(std::move(answer.value), overload.type.result());
  return result;
}

}  // namespace detail

namespace {

std::vector<types::Value> Inner(std::span<const Value> values) {
  std::vector<types::Value> out;
  out.reserve(values.size());
  for (const Value& value : values) out.push_back(value.inner());
  return out;
}

}  // namespace

Result<CallResult> Caller::CallNumbered(std::span<const Value> arguments, std::atomic<int64_t>* request_id) const {
  const auto call = [&]() -> Result<CallResult> {
    RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
    const std::vector<types::Value> values = Inner(arguments);
    RBC_ASSIGN_OR_RETURN(const size_t index, types::BestMatch(prepared->types, std::span<const types::Value>(values)));
    RBC_ASSIGN_OR_RETURN(detail::Answer answer,
                         detail::CallValues(*state_, *prepared, index, values, timeout_ms_, request_id));
    return detail::ResultOf(*prepared, index, std::move(answer));
  };
  Result<CallResult> result = call();
  if (!result) result.error() = detail::NameIt(std::move(result.error()), state_->name);
  state_->core->Print(result ? result->output : result.error().output);
  return result;
}

Result<Value> Caller::ValueOf(Result<CallResult> result) const {
  if (!result) return std::move(result).error();
  if (result->status != 0) return detail::BadStatus(state_->name, result->status);
  return std::move(result->value);
}

Value Caller::call(std::span<const Value> arguments) const { return ValueOrThrow(ValueOf(try_call(arguments))); }

std::string Caller::target() const { return state_->Target(); }
std::string Caller::target(std::string_view next) { return ValueOrThrow(state_->SetTarget(next)); }
bool Caller::add_signature(std::string_view signature) { return ValueOrThrow(state_->Add(signature)); }
size_t Caller::IndexOf(std::string_view signature) { return ValueOrThrow(state_->IndexOf(signature)); }
const std::string& Caller::name() const { return state_->name; }
const std::shared_ptr<detail::Core>& Caller::core() const { return state_->core; }

std::vector<std::string> Caller::signatures() const {
  std::vector<std::string> out;
  for (const auto& overload : state_->Overloads()) out.push_back(overload->type.ToString());
  return out;
}

Caller Caller::with_timeout(std::chrono::milliseconds timeout) const { return Caller(state_, timeout.count()); }

namespace {

// Bitcode as text, by the farm.
Result<std::string> PrintIr(const detail::Core& core, const std::string& target, const std::string& ir,
                            const client::Deadline& deadline) {
  wire::EmitRequest request;
  request.target = target;
  request.ir = ir;
  request.emit = wire::Emit::Ir;
  request.options.opt_level = 0;
  return core.farm->Ask(deadline, [&](wire::FarmClient& client) {
    request.request_id = core.farm->NextRequestId();
    wire::EmitReply reply;
    client.emit(reply, request);
    return std::move(reply.code);
  });
}

Result<std::string> StoredIr(client::Farm& farm, client::Module& module, const client::Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(const client::Loaded loaded, farm.Load(module, deadline));
  return farm.Ask(deadline, [&](wire::FarmClient& client) {
    std::string ir;
    client.get_ir(ir, loaded.module_id);
    return ir;
  });
}

}  // namespace

std::string Caller::get_IR() const {
  const client::Deadline deadline = state_->core->DeadlineOf(timeout_ms_);
  std::string ir = state_->source.ir();
  if (state_->connected) {
    const auto prepared = ValueOrThrow(state_->Current());
    ir = ValueOrThrow(StoredIr(*state_->core->farm, *prepared->module, deadline));
  }
  if (!client::IsBitcode(ir)) return ir;
  return ValueOrThrow(PrintIr(*state_->core, target(), ir, deadline));
}

Result<Caller::Compiled> Caller::try_compile() const {
  RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
  RBC_ASSIGN_OR_RETURN(const client::Loaded loaded,
                       state_->core->farm->Load(*prepared->module, state_->core->DeadlineOf(timeout_ms_)));
  Digest handle{};
  if (loaded.reply->handle.size() == handle.size())
    std::memcpy(handle.data(), loaded.reply->handle.data(), handle.size());
  Compiled out{.handle = Hex(handle),
               .cached = loaded.reply->cached,
               .timings_us = {},
               .warnings = FromWire(loaded.reply->warnings)};
  for (const auto& timing : loaded.reply->timings) out.timings_us.emplace_back(timing.phase, timing.us);
  return out;
}

void Caller::compile() const { ValueOrThrow(try_compile()); }

void Caller::publish(const std::string& name, std::chrono::milliseconds expires) const {
  const auto publish = [&]() -> Status {
    RBC_ASSIGN_OR_RETURN(const auto prepared, state_->Current());
    if (prepared->overloads.size() != 1)
      return Error(
          ErrorKind::kInvalidArgument,
          fmt::format("'{}' has {} signatures and a published function has 1; publish each under a name of its own",
                      state_->name, prepared->overloads.size()));
    const client::Deadline deadline = state_->core->DeadlineOf(timeout_ms_);
    RBC_ASSIGN_OR_RETURN(const client::Loaded loaded, state_->core->farm->Load(*prepared->module, deadline));
    wire::PublishRequest request;
    request.module_id = loaded.module_id;
    request.function_id = loaded.reply->functions[0].function_id;
    request.name = name;
    if (expires.count() > 0) request.__set_expires_ms(expires.count());
    return state_->core->farm->Ask(deadline, [&](wire::FarmClient& client) { client.publish(request); });
  };
  ValueOrThrow(publish());
}

}  // namespace rbc
