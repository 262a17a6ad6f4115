// Calls of functions of a C++ type.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "client/src/buffer_state.h"
#include "client/src/call_staging.h"
#include "client/src/core.h"
#include "client/src/kept_call.h"
#include "client/src/packed_row.h"
#include "client/src/residents.h"
#include "rbc/function.h"
#include "types/array.h"

namespace rbc::detail {
namespace {

// A result that is text or an array.
bool IsTaken(const TypedCall& call) { return call.text != nullptr || call.resize != nullptr; }

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

Status TakeText(const Overload& overload, const client::CallAnswer& answer, const TypedCall& call) {
  RBC_ASSIGN_OR_RETURN(const types::Value value,
                       types::UnpackResult(overload.type.result(), answer.result, answer.data));
  if (const types::Buffer* array = value.As<types::Buffer>(); array != nullptr && call.resize != nullptr) {
    void* const elements = call.resize(call.vector, array->bytes);
    if (array->bytes != 0) std::memcpy(elements, array->data, array->bytes);
  }
  if (call.text == nullptr) return {};
  if (const std::string* as_text = value.As<std::string>()) *call.text = *as_text;
  if (const types::ByteString* bytes = value.As<types::ByteString>()) *call.text = bytes->bytes;
  return {};
}

// Of a call of plain values.
Status TakePlain(const CallerState& caller, const client::CallAnswer& answer, const TypedCall& call) {
  caller.core->Print(answer.output);
  if (answer.status != 0) return BadStatus(caller.name, answer.status);
  return CopyResult(answer.result, call.result, call.result_size);
}

// The returned memory is there although the function ended with a status.
Status TakeAnswer(const std::string& name, const Overload& overload, const types::PackedCall* packed,
                  const client::CallAnswer& answer, const TypedCall& call) {
  if (packed != nullptr) RBC_RETURN_IF_ERROR(TakeMemory(*packed, answer.data));
  if (answer.status != 0) return BadStatus(name, answer.status);
  if (IsTaken(call)) return TakeText(overload, answer, call);
  return CopyResult(answer.result, call.result, call.result_size);
}

// What a function wrote comes back although it ended with a status.
Status Send(CallerState& caller, const Prepared& prepared, size_t index, const TypedCall& call,
            const client::Deadline& deadline, bool is_explicit, CallStaging& staging) {
  const Overload& overload = *prepared.overloads[index];
  client::CallMessage message;
  message.frame = std::string_view(call.frame, call.frame_size);
  std::optional<types::PackedCall> packed;
  std::vector<client::CallBuffer> buffers;
  if (!call.references.empty()) {
    Residents residents(caller, prepared.target);
    RBC_RETURN_IF_ERROR(PackReferences(call, residents, packed.emplace()));
    message = MessageOf(*packed, &buffers);
    message.epoch = residents.epoch();
  }
  RBC_ASSIGN_OR_RETURN(const client::Farm::Answered answered,
                       caller.core->farm->Call(*prepared.module, *prepared.declared[index], message, deadline,
                                               is_explicit, call.request_id));
  caller.core->Print(answered.answer.output);
  const types::PackedCall* const sent = packed ? &*packed : nullptr;
  if (answered.answer.status == 0) NoteResult(overload, sent, answered.answer.data);
  RBC_RETURN_IF_ERROR(staging.TakeBack());
  return TakeAnswer(caller.name, overload, sent, answered.answer, call);
}

// The array of the result stays on the farm until it is fetched.
Status SendAndFetch(CallerState& caller, const Prepared& prepared, size_t index, const TypedCall& call,
                    const client::Deadline& deadline, bool is_explicit, CallStaging& staging) {
  Residents residents(caller, prepared.target);
  PackedRow row;
  RBC_RETURN_IF_ERROR(PackReferences(call, residents, row.call));
  row.epoch = residents.epoch();
  RBC_ASSIGN_OR_RETURN(auto answers, CallKeptRows(caller, prepared, index, {std::move(row)}, {}, deadline, is_explicit,
                                                  call.request_id, nullptr));
  RBC_ASSIGN_OR_RETURN(const KeptAnswer kept, std::move(answers.front()));
  caller.core->Print(kept.answer.output);
  RBC_RETURN_IF_ERROR(staging.TakeBack());
  if (kept.answer.status != 0) return BadStatus(caller.name, kept.answer.status);
  const Buffer& array = kept.arrays.front();
  Status fetched = array.try_copy_to(call.resize(call.vector, array.bytes()), array.bytes());
  if (!fetched) fetched.error().may_have_run = true;
  return fetched;
}

// Large arrays through buffers of the session.
Status SendStaged(CallStaging& staging, CallerState& caller, const Prepared& prepared, size_t index,
                  const TypedCall& call, const client::Deadline& deadline, bool is_explicit) {
  RBC_ASSIGN_OR_RETURN(const std::vector<Reference> references, staging.Take(call.references, deadline));
  RBC_ASSIGN_OR_RETURN(const bool keeps, staging.KeepsResult(deadline));
  TypedCall staged = call;
  staged.references = references;
  const auto send = keeps && call.resize != nullptr ? SendAndFetch : Send;
  return send(caller, prepared, index, staged, deadline, is_explicit, staging);
}

// A call of plain values that finds a ring and all else at hand. False: it has not run and goes its whole way.
bool InvokeShort(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call, Status* ended) {
  if (!call.references.empty() || IsTaken(call) || call.frame_size > worker::kShortBytes) return false;
  client::Farm::Line line;
  const auto prepared = caller.TakeLine(index, call.frame_size, call.result_size, &line);
  if (!prepared) return false;
  client::Farm::ShortCall asked{.frame = {call.frame, call.frame_size},
                                .result = {static_cast<char*>(call.result), call.result_size},
                                .request_id = call.request_id};
  asked.timeout_ms = caller.core->TimeoutOf(timeout_ms, &asked.explicit_deadline);
  std::optional<Expected<client::Farm::Answered>> other;
  const auto status = caller.core->farm->CallShort(*prepared->module, std::move(line), asked, &other);
  if (!status && !other) return false;
  if (status && *status != 0) *ended = BadStatus(caller.name, *status);
  if (other) *ended = *other ? TakePlain(caller, (*other)->answer, call) : Status(std::move(*other).error());
  return true;
}

Status InvokeTyped(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call) {
  Status ended;
  if (InvokeShort(caller, index, timeout_ms, call, &ended)) return ended;
  RBC_ASSIGN_OR_RETURN(const std::shared_ptr<const Prepared> prepared, caller.Current());
  const Overload& overload = *prepared->overloads[index];
  const Expected<size_t>& declared = prepared->declared[index];
  if (!declared) return declared.error();
  RBC_RETURN_IF_ERROR(
      CheckSizes(overload, call.frame_size, IsTaken(call) ? overload.layout.result_size() : call.result_size));
  bool is_explicit = false;
  const client::Deadline deadline = caller.core->DeadlineOf(timeout_ms, &is_explicit);
  for (int tries = 1;; ++tries) {
    CallStaging staging(caller, *prepared, index);
    if (!staging.Wants(call.references) && !staging.ExpectsLargeResult())
      return Send(caller, *prepared, index, call, deadline, is_explicit, staging);
    Status status = SendStaged(staging, caller, *prepared, index, call, deadline, is_explicit);
    if (status || !staging.MayTryAgain(status.error(), tries)) return status;
  }
}

}  // namespace

Status CopyResult(std::string_view result, void* out, uint32_t size) {
  if (result.size() != size)
    return Error(
        ErrorKind::kProtocolMismatch,
        fmt::format("the farm answers with a result of {} bytes instead of {}; update the older of the two sides",
                    result.size(), size));
  if (size != 0) std::memcpy(out, result.data(), size);
  return {};
}

Status CheckSizes(const Overload& overload, uint32_t frame_size, uint32_t result_size) {
  const types::FrameLayout& layout = overload.layout;
  if (layout.fixed_size() == frame_size && layout.result_size() == result_size) return {};
  return Error(
      ErrorKind::kUnsupported,
      fmt::format("`{}` has {} bytes of parameters and {} of result in this program and {} and {} on the farm; "
                  "order the members of its structs as they are declared",
                  overload.type.ToString(), frame_size, result_size, layout.fixed_size(), layout.result_size()));
}

std::unique_ptr<Error> Invoke(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call) {
  Status status = InvokeTyped(caller, index, timeout_ms, call);
  if (status) return nullptr;
  Error error = NameIt(std::move(status).error(), caller.name);
  caller.core->Print(error.output);
  return std::make_unique<Error>(std::move(error));
}

}  // namespace rbc::detail
