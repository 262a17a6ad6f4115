// Runs one call.
// SPDX-License-Identifier: Apache-2.0
#include "worker/call_runner.h"

#include <cstring>
#include <mutex>

#include "worker/floating_point.h"
#include "worker/module_instance.h"

namespace rbc::worker {
namespace {

// types/frame.h FrameCell; offsets are relative to the call's memory, a string's NUL is not counted.
struct Cell {
  uint32_t offset;
  uint32_t length;
};
constexpr uint32_t kNullOffset = 0xffffffff;
constexpr uint32_t kNoReturn = 0xffffffff;  // CallView::return_from

size_t RoundUp(size_t size, size_t to) { return (size + to - 1) / to * to; }

Error Invalid(const LoadedFunction& function, std::string text) {
  Error error(ErrorKind::kInvalidArgument, "a call of '" + function.name + "' " + std::move(text));
  error.role = "execution worker";
  error.function = function.name;
  return error;
}

Error TooLarge(const LoadedFunction& function, const std::string& what, uint64_t size, uint64_t limit) {
  Error error(ErrorKind::kResourceExhausted, what + " of '" + function.name + "' takes " + std::to_string(size) +
                                                 " bytes, more than the limit of " + std::to_string(limit) +
                                                 " - ask for less at once");
  error.role = "execution worker";
  error.function = function.name;
  return error;
}

// Each pointer and string must lie within the call's memory.
Status CheckCells(const LoadedFunction& function, const uint8_t* memory, size_t size) {
  const auto& cells = function.point.cells;
  for (size_t i = 0; i < cells.size(); ++i) {
    Cell cell;
    std::memcpy(&cell, memory + cells[i].first, sizeof cell);
    if (cell.offset == kNullOffset) continue;
    const bool text = cells[i].second == EntryPoint::Cell::kString;
    const uint64_t end = uint64_t{cell.offset} + cell.length + (text ? 1 : 0);
    const auto name = [&] {
      return std::string("has a ") + (text ? "string" : "pointer") + " at byte " + std::to_string(cells[i].first) +
             " of its frame ";
    };
    if (end > size)
      return Invalid(function, name() + "that covers bytes " + std::to_string(cell.offset) + " to " +
                                   std::to_string(end) + " of a memory of " + std::to_string(size));
    if (text && memory[end - 1] != 0) return Invalid(function, name() + "without a NUL at its end");
  }
  return {};
}

}  // namespace

Expected<CallRunner::Memory> CallRunner::Prepare(const CallView& call, const LoadedFunction& function) {
  const EntryPoint& point = function.point;
  const uint64_t size = uint64_t{call.frame.size()} + call.out_bytes;
  if (call.frame.size() < point.frame_size)
    return Invalid(function, "has a frame of " + std::to_string(call.frame.size()) + " bytes, its parameters take " +
                                 std::to_string(point.frame_size));
  if (size > limits_.max_message) return TooLarge(function, "the memory of a call", size, limits_.max_message);
  if (call.return_from != kNoReturn && call.return_from > size)
    return Invalid(function, "wants its memory back from byte " + std::to_string(call.return_from) + " of " +
                                 std::to_string(size));
  const size_t result_room = RoundUp(point.result_size, 64);
  const size_t total = result_room + size;
  uint8_t* base = total <= kSmallMemory ? small_memory_ : memory_.Get(total);
  const Memory memory{base, base + result_room, static_cast<size_t>(size)};
  std::memset(memory.result, 0, point.result_size);
  if (!call.frame.empty()) std::memcpy(memory.bytes, call.frame.data(), call.frame.size());
  if (call.out_bytes != 0) std::memset(memory.bytes + call.frame.size(), 0, call.out_bytes);
  RBC_RETURN_IF_ERROR(CheckCells(function, memory.bytes, memory.size));
  return memory;
}

int32_t CallRunner::Enter(const LoadedFunction& function, const Memory& memory) {
  std::unique_lock<std::mutex> lock;
  if (auto* serial = function.module->serial()) lock = std::unique_lock(*serial);
  context_.function = &function;
  context_.module = function.module;
  context_.phase = "call";
  function.module->ShowConstructorOutput(context_.capture);
  const int32_t status = function.entry(memory.bytes, memory.result);
  ResetFloatingPoint();
  return status;
}

// Replaces the char* in the result by a cell; the string's bytes follow `tail` in the returned data.
Expected<std::string_view> CallRunner::TakeString(const LoadedFunction& function, const Memory& memory,
                                                  std::string_view tail) {
  const char* text;
  std::memcpy(&text, memory.result, sizeof text);
  Cell cell{kNullOffset, 0};
  data_.assign(tail);
  if (text != nullptr) {
    const size_t length = strnlen(text, limits_.max_string + 1);
    if (length > limits_.max_string) {
      Error error(ErrorKind::kResourceExhausted, "the string that '" + function.name + "' returns is longer than " +
                                                     std::to_string(limits_.max_string) + " bytes");
      error.role = "execution worker";
      error.function = function.name;
      error.may_have_run = true;
      return error;
    }
    cell = {static_cast<uint32_t>(tail.size()), static_cast<uint32_t>(length)};
    data_.append(text, length);
  }
  std::memcpy(memory.result, &cell, sizeof cell);
  return std::string_view(data_);
}

std::span<const uint8_t> CallRunner::Refuse(const CallView& call, const Error& error, std::span<uint8_t> small) {
  const std::string reply = ErrorReply(call.seqid, error);
  uint8_t* out = reply.size() <= small.size() ? small.data() : reply_.Get(reply.size());
  std::memcpy(out, reply.data(), reply.size());
  return {out, reply.size()};
}

std::span<const uint8_t> CallRunner::Run(const CallView& call, const LoadedFunction& function,
                                         std::span<uint8_t> small) {
  context_.capture.Reset();
  auto memory = Prepare(call, function);
  if (!memory) {
    memory_.Trim();
    return Refuse(call, memory.error(), small);
  }
  const int32_t status = Enter(function, *memory);
  std::string_view data;
  if (call.return_from != kNoReturn)
    data = {reinterpret_cast<const char*>(memory->bytes) + call.return_from, memory->size - call.return_from};
  std::span<const uint8_t> reply;
  Status outcome;
  if (function.point.result_is_string && status == 0) {
    auto with_text = TakeString(function, *memory, data);
    if (with_text)
      data = *with_text;
    else
      outcome = std::move(with_text).error();
  } else if (function.point.result_is_string) {
    const Cell none{kNullOffset, 0};
    std::memcpy(memory->result, &none, sizeof none);
  }
  const std::string_view result(reinterpret_cast<const char*>(memory->result), function.point.result_size);
  const std::string_view output = context_.capture.text();
  const size_t size = kReplyOverhead + result.size() + data.size() + output.size();
  if (outcome && size > limits_.max_message) {
    Error error = TooLarge(function, "the reply", size, limits_.max_message);
    error.may_have_run = true;
    outcome = std::move(error);
  }
  context_.phase = nullptr;
  context_.function = nullptr;
  context_.module = nullptr;
  if (!outcome) {
    outcome.error().output = std::string(output);
    reply = Refuse(call, outcome.error(), small);
  } else {
    uint8_t* out = size <= small.size() ? small.data() : reply_.Get(size);
    reply = {out, WriteReply(out, call.seqid, result, status, data, output)};
  }
  context_.capture.Reset();  // the reply has a copy; should the worker die between calls, none of it is theirs
  memory_.Trim();
  if (data_.capacity() > kSmallMemory) std::string().swap(data_);
  return reply;
}

}  // namespace rbc::worker
