// Calls: pick the signature, pack, send, unpack.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/function.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <deque>

#include "client/src/buffer_state.h"
#include "client/src/core.h"
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

namespace {

Error BadStatus(const std::string& name, int status) {
  Error error(ErrorKind::kInvalidArgument,
              fmt::format("'{}' returns status {}; see what it means by it", name, status));
  error.function = name;
  error.role = "execution worker";
  error.may_have_run = true;
  return error;
}

// The frame and payload of a typed call that has text or memory among its arguments; types/frame.h has the picture.
Status PackReferences(const TypedCall& call, Residents& residents, types::PackedCall& packed) {
  packed.frame.assign(call.frame, call.frame_size);
  packed.out_bytes = 0;
  packed.returned.clear();
  packed.buffers.clear();
  uint64_t end = call.frame_size;
  bool returns = false;
  const auto place = [&](const Reference& r, uint64_t bytes) {
    end = (end + types::kPayloadAlignment - 1) / types::kPayloadAlignment * types::kPayloadAlignment;
    const types::FrameCell cell{static_cast<uint32_t>(end), static_cast<uint32_t>(r.bytes)};
    const uint64_t where = end;
    std::memcpy(packed.frame.data() + r.slot, r.is_array ? static_cast<const void*>(&where) : &cell, sizeof cell);
    if (r.kind == ReferenceKind::kInOut || r.kind == ReferenceKind::kOut) {
      if (!returns) packed.return_from = cell.offset;
      returns = true;
      packed.returned.push_back({const_cast<void*>(r.data), cell.offset, cell.length, nullptr});
    }
    end += bytes;
  };
  uint64_t total = call.frame_size;
  for (const Reference& r : call.references)
    total += (r.buffer != nullptr ? 0 : r.bytes) + 1 + types::kPayloadAlignment;
  if (total > types::kMaxCallBytes)
    return Error(
        ErrorKind::kResourceExhausted,
        fmt::format("the arguments take {} bytes, more than the {} of a call; pass less", total, types::kMaxCallBytes));
  for (const ReferenceKind kind : {ReferenceKind::kIn, ReferenceKind::kInOut, ReferenceKind::kOut}) {
    for (const Reference& r : call.references) {
      const bool text = r.kind == ReferenceKind::kText;
      if ((text ? ReferenceKind::kIn : r.kind) != kind) continue;
      if (r.data == nullptr && !r.is_array) {
        const types::FrameCell null{types::kNullOffset, 0};
        std::memcpy(packed.frame.data() + r.slot, &null, sizeof null);
        continue;
      }
      if (r.buffer != nullptr) {
        const types::Buffer array = Inside::ArrayOf(*r.buffer, {}, {}, r.buffer->offset());
        RBC_ASSIGN_OR_RETURN(const Residents::Way way, residents.Take(Inside::StateOf(*r.buffer), r.data));
        if (way == Residents::Way::kById) packed.buffers.push_back({r.slot, r.buffer->id(), r.buffer->offset()});
        const uint64_t where = way == Residents::Way::kByPlace ? *array.in_arena | types::kInDataArena : 0;
        std::memcpy(packed.frame.data() + r.slot, &where, sizeof where);
        if (way != Residents::Way::kCopied) continue;
      }
      if (text && std::memchr(r.data, 0, r.bytes) != nullptr)
        return Error(ErrorKind::kInvalidArgument,
                     "a text argument has a NUL inside; text ends at a NUL, pass memory instead");
      place(r, r.bytes + (text ? 1 : 0));
      if (kind == ReferenceKind::kOut) continue;
      packed.frame.resize(end);
      if (r.bytes != 0) std::memcpy(packed.frame.data() + end - r.bytes - (text ? 1 : 0), r.data, r.bytes);
    }
  }
  std::sort(packed.buffers.begin(), packed.buffers.end(),
            [](const auto& a, const auto& b) { return a.position < b.position; });
  packed.out_bytes = static_cast<uint32_t>(end - packed.frame.size());
  if (!returns) packed.return_from = packed.total_bytes();
  return {};
}

}  // namespace

Expected<PackedRow> PackRow(const CallerState& caller, const Prepared& prepared, const types::FrameLayout& layout,
                            std::span<const types::Value> values) {
  PackedRow out;
  RBC_ASSIGN_OR_RETURN(out.call, PackWithResidents({caller, prepared.target}, layout, values, &out.epoch));
  return out;
}

namespace {

// `buffers` has what the message names by id; it outlives the message.
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

Status TakeText(const Overload& overload, const client::CallAnswer& answer, std::string* text) {
  RBC_ASSIGN_OR_RETURN(const types::Value value,
                       types::UnpackResult(overload.type.result(), answer.result, answer.data));
  if (const std::string* as_text = value.As<std::string>()) *text = *as_text;
  if (const types::ByteString* bytes = value.As<types::ByteString>()) *text = bytes->bytes;
  if (const types::Buffer* array = value.As<types::Buffer>())
    text->assign(static_cast<const char*>(array->data), array->bytes);
  return {};
}

// The returned memory is there although the function ended with a status.
Status TakeAnswer(const std::string& name, const Overload& overload, const types::PackedCall* packed,
                  const client::CallAnswer& answer, const TypedCall& call) {
  if (packed != nullptr) RBC_RETURN_IF_ERROR(TakeMemory(*packed, answer.data));
  if (answer.status != 0) return BadStatus(name, answer.status);
  if (call.text != nullptr) return TakeText(overload, answer, call.text);
  if (answer.result.size() != call.result_size)
    return Error(
        ErrorKind::kProtocolMismatch,
        fmt::format("the farm answers with a result of {} bytes instead of {}; update the older of the two sides",
                    answer.result.size(), call.result_size));
  if (call.result_size != 0) std::memcpy(call.result, answer.result.data(), call.result_size);
  return {};
}

Status InvokeTyped(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call) {
  RBC_ASSIGN_OR_RETURN(const std::shared_ptr<const Prepared> prepared, caller.Current());
  const Overload& overload = *prepared->overloads[index];
  const Expected<size_t>& declared = prepared->declared[index];
  if (!declared) return declared.error();
  const uint32_t result_size = call.text != nullptr ? 0 : overload.layout.result_size();
  if (overload.layout.fixed_size() != call.frame_size || result_size != call.result_size)
    return Error(
        ErrorKind::kUnsupported,
        fmt::format("`{}` has {} bytes of parameters and {} of result in this program and {} and {} on the farm; "
                    "order the members of its structs as they are declared",
                    overload.type.ToString(), call.frame_size, call.result_size, overload.layout.fixed_size(),
                    result_size));
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  client::CallMessage message;
  message.frame = std::string_view(call.frame, call.frame_size);
  std::optional<types::PackedCall> packed;
  std::vector<client::CallBuffer> buffers;
  if (!call.references.empty()) {
    Residents residents(caller, prepared->target);
    RBC_RETURN_IF_ERROR(PackReferences(call, residents, packed.emplace()));
    message = MessageOf(*packed, &buffers);
    message.epoch = residents.epoch();
  }
  RBC_ASSIGN_OR_RETURN(
      const client::Farm::Answered answered,
      caller.core->farm->Call(*prepared->module, *declared, message, deadline, is_explicit, call.request_id));
  caller.core->Print(answered.answer.output);
  return TakeAnswer(caller.name, overload, packed ? &*packed : nullptr, answered.answer, call);
}

}  // namespace

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
  return answer;
}

}  // namespace

Expected<Answer> CallValues(const CallerState& caller, const Prepared& prepared, size_t index,
                            std::span<const types::Value> values, int64_t timeout_ms, std::atomic<int64_t>* request_id,
                            CallProfile* profile) {
  if (!prepared.declared[index]) return prepared.declared[index].error();
  const Overload& overload = *prepared.overloads[index];
  RBC_ASSIGN_OR_RETURN(const PackedRow row, PackRow(caller, prepared, overload.layout, values));
  const types::PackedCall& packed = row.call;
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
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
  return Unpack(overload, packed, answer.result, answer.status, answer.data, answer.output);
}

Expected<std::vector<Expected<Answer>>> CallRows(const CallerState& caller, const Prepared& prepared, size_t index,
                                                 const std::vector<std::vector<types::Value>>& rows,
                                                 int64_t timeout_ms) {
  if (!prepared.declared[index]) return prepared.declared[index].error();
  const Overload& overload = *prepared.overloads[index];
  std::vector<types::PackedCall> packed;
  packed.reserve(rows.size());
  std::vector<client::CallMessage> messages;
  std::deque<std::vector<client::CallBuffer>> buffers;
  for (const auto& row : rows) {
    RBC_ASSIGN_OR_RETURN(PackedRow call, PackRow(caller, prepared, overload.layout, row));
    packed.push_back(std::move(call.call));
    messages.push_back(MessageOf(packed.back(), &buffers.emplace_back()));
    messages.back().epoch = call.epoch;
  }
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  RBC_ASSIGN_OR_RETURN(const std::vector<wire::CallOutcome> outcomes,
                       caller.core->farm->CallBatch(*prepared.module, *prepared.declared[index], messages, deadline));
  std::vector<Expected<Answer>> out;
  out.reserve(rows.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const wire::CallReply& reply = outcomes[i].reply;
    if (outcomes[i].__isset.error) {
      out.emplace_back(NameIt(FromWire(outcomes[i].error), caller.name));
    } else {
      out.push_back(Unpack(overload, packed[i], reply.result, reply.status, reply.data, reply.output));
    }
  }
  return out;
}

std::unique_ptr<Error> Invoke(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call) {
  Status status = InvokeTyped(caller, index, timeout_ms, call);
  if (status) return nullptr;
  Error error = NameIt(std::move(status).error(), caller.name);
  caller.core->Print(error.output);
  return std::make_unique<Error>(std::move(error));
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
    const detail::Overload& overload = *prepared->overloads[index];
    RBC_ASSIGN_OR_RETURN(detail::Answer answer,
                         detail::CallValues(*state_, *prepared, index, values, timeout_ms_, request_id));
    CallResult result;
    result.output = std::move(answer.output);
    result.signature = overload.type.ToString();
    result.symbol = prepared->module->declarations()[*prepared->declared[index]].symbol;
    result.status = answer.status;
    if (answer.status == 0) result.value = ValueMaker::Make(std::move(answer.value), overload.type.result());
    return result;
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
