// Runs one call.
// SPDX-License-Identifier: Apache-2.0
#include "worker/call_runner.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <mutex>
#include <utility>

#include "types/array.h"
#include "worker/array_places.h"
#include "worker/data_arena.h"
#include "worker/fault.h"
#include "worker/floating_point.h"
#include "worker/kept_frame.h"
#include "worker/kept_results.h"
#include "worker/launch_frame.h"
#include "worker/module_instance.h"
#include "worker/resident_arrays.h"

namespace rbc::worker {
namespace {

// types/frame.h FrameCell; offsets are relative to the call's memory, a string's NUL is not counted.
struct Cell {
  uint32_t offset;
  uint32_t length;
};
constexpr uint32_t kNullOffset = 0xffffffff;
constexpr uint32_t kNoReturn = 0xffffffff;  // CallView::return_from

uint64_t Nanoseconds() {
  return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
}

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

// Entries whose results lie in columns: what a call of one gives by itself is the first row that failed.
bool IsOverRows(EntryKind kind) {
  return kind == EntryKind::kMap || kind == EntryKind::kReduce || kind == EntryKind::kScan;
}

// The function has run.
Error Ran(Error error) {
  error.may_have_run = true;
  return error;
}

// Of CallReply::result.
size_t ReplySizeOf(const EntryPoint& point) { return IsOverRows(point.kind) ? sizeof(uint64_t) : point.reply_size(); }

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

// The reply that names them will not be sent.
void DropKept(const EntryPoint& point, const uint8_t* result) {
  if (point.result_arrays.empty()) return;
  uint64_t number;
  std::memcpy(&number, result + point.result_arrays.front().offset, sizeof number);
  KeptResultsHere().Drop(number);
}

// Puts an array's place into the result, where its address and owner were.
void StorePlace(const EntryPoint& point, size_t index, const ArrayResult& array, uint64_t where, uint8_t* result) {
  const EntryPoint::Array& described = point.result_arrays[index];
  uint8_t* const slot = result + described.offset;
  array.StoreSlot(where, slot);
  std::memset(slot + types::FrameArrayBytes(described.rank), 0, sizeof(ArrayOwner*));
}

}  // namespace

Status CallRunner::TakeHead(const LoadedFunction& function, std::string_view* frame) {
  arrays_.reset();
  arguments_.Reset();
  if (IsOverRows(function.point.kind) && ArrayCall::IsOne(*frame)) return arrays_.emplace().Take(function, frame);
  const auto short_frame = [&] { return Invalid(function, "has a frame that ends within its head"); };
  const auto no_head = [&] {
    return Invalid(function, function.point.kind == EntryKind::kKernel ? "has no grid; launch a kernel instead"
                                                                       : "has no columns; map it instead");
  };
  if (function.point.kind == EntryKind::kReduce || function.point.kind == EntryKind::kScan) return no_head();
  if (function.point.kind == EntryKind::kKernel) {
    LaunchHead head;
    if (frame->size() < sizeof head) return no_head();
    std::memcpy(&head, frame->data(), sizeof head);
    if (head.magic != kHeadMagic && head.magic != kHeadWithPointers) return no_head();
    frame->remove_prefix(sizeof head);
    if (head.magic == kHeadWithPointers) RBC_RETURN_IF_ERROR(TakePointers(function, frame));
    std::memcpy(shape_.grid, head.grid, sizeof shape_.grid);
    std::memcpy(shape_.block, head.block, sizeof shape_.block);
    shape_.shared_bytes = head.shared_bytes;
  } else if (function.point.kind == EntryKind::kMap) {
    MapHead head;
    if (frame->size() < sizeof head) return no_head();
    std::memcpy(&head, frame->data(), sizeof head);
    if (head.magic != kHeadMagic) return no_head();
    frame->remove_prefix(sizeof head);
    const size_t expected = function.point.parameters.size();
    if (head.columns != expected)
      return Invalid(function, "has " + std::to_string(head.columns) + " columns, its parameters and result are " +
                                   std::to_string(expected));
    if (frame->size() < head.columns * sizeof(MapHeadColumn)) return short_frame();
    rows_ = head.rows;
    columns_.resize(head.columns);
    for (size_t i = 0; i < columns_.size(); ++i) {
      MapHeadColumn column;
      std::memcpy(&column, frame->data() + i * sizeof column, sizeof column);
      columns_[i] = {column.offset, column.stride, function.point.parameters[i].size};
    }
    frame->remove_prefix(head.columns * sizeof(MapHeadColumn));
  }
  return {};
}

Status CallRunner::TakePointers(const LoadedFunction& function, std::string_view* frame) {
  uint64_t count;
  if (frame->size() < sizeof count) return Invalid(function, "has a frame that ends within its pointers");
  std::memcpy(&count, frame->data(), sizeof count);
  frame->remove_prefix(sizeof count);
  if (count > frame->size() / sizeof(LaunchPointer))
    return Invalid(function, "has a frame that ends within its pointers");
  for (uint64_t i = 0; i < count; ++i) {
    LaunchPointer pointer;
    std::memcpy(&pointer, frame->data(), sizeof pointer);
    frame->remove_prefix(sizeof pointer);
    if (uint64_t{pointer.position} + sizeof(Cell) > function.point.frame_size)
      return Invalid(function, "has a pointer behind its parameters");
    if (Status added = arguments_.Add(pointer); !added) return Invalid(function, added.error().message);
  }
  return {};
}

// On a device those of the arena have been taken away before.
Status CallRunner::PlaceArrays(const LoadedFunction& function, const Memory& memory) const {
  ArraySpaces spaces{{memory.bytes, memory.size}, {}};
  if (function.entry != nullptr) spaces.arena = DataArena();
  for (const auto& array : function.point.arrays) {
    if (function.entry == nullptr && (memory.bytes[array.offset + 7] & 0x80) != 0) continue;  // kInDataArena
    if (Status placed = PlaceArray(array, spaces); !placed) return Invalid(function, placed.error().message);
  }
  return {};
}

// Each row of each column must lie within the call's memory, aligned as its elements are.
Status CallRunner::CheckColumns(const LoadedFunction& function, const Memory& memory) const {
  for (size_t i = 0; i < columns_.size(); ++i) {
    const MapColumn& column = columns_[i];
    const auto invalid = [&](const std::string& why) {
      return Invalid(function, "has a column " + std::to_string(i + 1) + " " + why);
    };
    const uint64_t alignment = std::min<uint64_t>(column.size & (0 - uint64_t{column.size}), 16);
    const auto stride = static_cast<uint64_t>(column.stride);
    if (alignment > 1 && (column.offset % alignment != 0 || stride % alignment != 0))
      return invalid("whose rows are not aligned to " + std::to_string(alignment) + "; make it contiguous");
    if (rows_ == 0) continue;
    __int128 first = column.offset, last = static_cast<__int128>(column.stride) * (rows_ - 1) + column.offset;
    if (last < first) std::swap(first, last);
    if (first < 0 || last + column.size > static_cast<__int128>(memory.size))
      return invalid("of " + std::to_string(rows_) + " rows that does not lie in the " + std::to_string(memory.size) +
                     " bytes of the call's memory");
  }
  return {};
}

Status CallRunner::CheckShort(const LoadedFunction& function, std::string_view frame) const {
  constexpr size_t kWhere = sizeof(uint64_t);  // how the slot of an array begins
  const auto& arrays = function.point.arrays;
  const bool names_one = std::any_of(arrays.begin(), arrays.end(), [frame](const EntryPoint::Array& array) {
    if (frame.size() < array.offset + kWhere) return false;  // refused as too short
    uint64_t where;
    std::memcpy(&where, frame.data() + array.offset, kWhere);
    return (where & kInDataArena) != 0;
  });
  if (!names_one && !arrays_ && arguments_.empty()) return {};
  return Invalid(function, "names arrays of the session and is a short one; send it as a message");
}

Expected<CallRunner::Memory> CallRunner::Prepare(const CallView& call, std::string_view frame,
                                                 const LoadedFunction& function) {
  const EntryPoint& point = function.point;
  const bool map = IsOverRows(point.kind);
  const uint64_t size = uint64_t{frame.size()} + call.out_bytes;
  if (!map && frame.size() < point.frame_size)
    return Invalid(function, "has a frame of " + std::to_string(frame.size()) + " bytes, its parameters take " +
                                 std::to_string(point.frame_size));
  if (size > limits_.max_message) return TooLarge(function, "the memory of a call", size, limits_.max_message);
  if (call.return_from != kNoReturn && call.return_from > size)
    return Invalid(function, "wants its memory back from byte " + std::to_string(call.return_from) + " of " +
                                 std::to_string(size));
  const size_t result_size = map ? sizeof(uint64_t) : point.result_size;
  const size_t result_room = RoundUp(result_size, 64);
  if (function.entry == nullptr && !map) {
    const std::span bytes(reinterpret_cast<const uint8_t*>(frame.data()), frame.size());
    for (const auto& array : point.arrays)
      if (Status added = arguments_.Add(array, bytes); !added) return Invalid(function, added.error().message);
  }
  const uint64_t room = arguments_.RoomBehind(size);
  const size_t total = result_room + size + room;
  uint8_t* base = total <= kSmallMemory ? small_memory_ : memory_.Get(total);
  const Memory memory{base, base + result_room, static_cast<size_t>(size), room};
  std::memset(memory.result, 0, result_size);
  if (!frame.empty()) std::memcpy(memory.bytes, frame.data(), frame.size());
  if (call.out_bytes != 0) std::memset(memory.bytes + frame.size(), 0, call.out_bytes);
  if (arrays_) {
    RBC_RETURN_IF_ERROR(arrays_->Place(function, {memory.bytes, memory.size}));
    return memory;
  }
  if (map) {
    RBC_RETURN_IF_ERROR(CheckColumns(function, memory));
    return memory;
  }
  RBC_RETURN_IF_ERROR(CheckCells(function, memory.bytes, memory.size));
  RBC_RETURN_IF_ERROR(PlaceArrays(function, memory));
  return memory;
}

Expected<int32_t> CallRunner::EnterArrays(const LoadedFunction& function, uint64_t* failed) {
  Scratch scratch;
  ResidentArrays resident;
  RBC_RETURN_IF_ERROR(resident.Bring(function, *arrays_, scratch));
  RBC_RETURN_IF_ERROR(arrays_->Separate(function, function.point.kind == EntryKind::kMap, scratch));
  if (function.entry == nullptr) {
    RBC_ASSIGN_OR_RETURN(const int32_t status, RunArraysOnDevice(function, *arrays_, failed));
    RBC_RETURN_IF_ERROR(resident.PutBack());
    return status;
  }
  switch (function.point.kind) {
    case EntryKind::kReduce:
      return RunArrayReduction(function, *arrays_, context_);
    case EntryKind::kScan:
      return RunArrayScan(function, *arrays_, context_);
    default:
      return RunArrayMap(function, *arrays_, context_, failed);
  }
}

Expected<int32_t> CallRunner::EnterHostMap(const LoadedFunction& function, const Memory& memory) {
  std::vector<HostMapColumn> frame;  // rows, then the columns
  frame.reserve(columns_.size() + 1);
  frame.push_back({reinterpret_cast<void*>(rows_), 0});
  for (const MapColumn& column : columns_) frame.push_back({memory.bytes + column.offset, column.stride});
  return function.entry(frame.data(), memory.result);
}

Expected<int32_t> CallRunner::EnterOnDevice(const LoadedFunction& function, const Memory& memory, size_t returned_from,
                                            EntryTimes* times) {
  const std::span<uint8_t> bytes(memory.bytes, memory.size + memory.room);
  RBC_RETURN_IF_ERROR(arguments_.Bring(bytes));
  Invocation invocation;
  invocation.memory = bytes;
  invocation.returned_from = std::min(returned_from, memory.size);
  invocation.result = memory.result;
  invocation.shape = &shape_;
  invocation.rows = rows_;
  invocation.times = times;
  invocation.pointers = arguments_.pointers();
  if (function.point.kind == EntryKind::kMap) invocation.columns = columns_;
  RBC_ASSIGN_OR_RETURN(const int32_t status, function.module->code().Run(function.index, invocation));
  if (function.point.kind == EntryKind::kMap) std::memcpy(memory.result, &invocation.failed_row, sizeof(uint64_t));
  context_.phase = kPutsBack;
  RBC_RETURN_IF_ERROR(arguments_.PutBack(bytes));
  return status;
}

Expected<int32_t> CallRunner::Enter(const LoadedFunction& function, const Memory& memory, size_t returned_from,
                                    EntryTimes* times) {
  std::unique_lock<std::mutex> lock;
  if (auto* serial = function.module->serial()) lock = std::unique_lock(*serial);
  context_.function = &function;
  context_.module = function.module;
  context_.phase = "call";
  function.module->ShowConstructorOutput(context_.capture);
  Expected<int32_t> status = 0;
  const uint64_t begin = times != nullptr ? Nanoseconds() : 0;
  if (arrays_) {
    uint64_t failed = 0;
    status = EnterArrays(function, &failed);
    std::memcpy(memory.result, &failed, sizeof failed);
  } else if (function.entry != nullptr && function.point.kind == EntryKind::kMap) {
    status = EnterHostMap(function, memory);
  } else if (function.entry != nullptr) {
    status = function.entry(memory.bytes, memory.result);
  } else {
    status = EnterOnDevice(function, memory, returned_from, times);
    arguments_.Reset();
  }
  // Devices that tell nothing of their steps are all kernel.
  if (times != nullptr && times->kernel == 0) times->kernel = Nanoseconds() - begin;
  ResetFloatingPoint();
  if (!status && IsSticky(status.error())) EndByDevice(status.error());
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

Expected<std::string_view> CallRunner::TakeArrays(const LoadedFunction& function, const Memory& memory,
                                                  std::string_view tail, bool keep) {
  const EntryPoint& point = function.point;
  std::vector<ArrayResult> arrays;
  Status read;
  uint64_t size = tail.size();
  for (const auto& described : point.result_arrays) {
    auto array = ArrayResult::Read(described, memory.result);
    if (!array) {
      if (read) read = Ran(Invalid(function, array.error().message));
      continue;  // the others are released all the same
    }
    const uint64_t bytes = array->bytes();
    arrays.push_back(*std::move(array));
    if (keep) continue;
    if (bytes > limits_.max_message || size + bytes > limits_.max_message) {
      if (read) read = Ran(TooLarge(function, "the array result", size + bytes, limits_.max_message));
    } else {
      size += bytes;
    }
  }
  RBC_RETURN_IF_ERROR(std::move(read));
  if (keep) {
    for (size_t i = 0; i < arrays.size(); ++i) StorePlace(point, i, arrays[i], 0, memory.result);
    const uint64_t number = KeptResultsHere().Add(std::move(arrays));
    for (const auto& described : point.result_arrays)
      std::memcpy(memory.result + described.offset, &number, sizeof number);
    return tail;
  }
  data_.resize(size);
  if (!tail.empty()) std::memcpy(data_.data(), tail.data(), tail.size());
  uint64_t where = tail.size();
  for (size_t i = 0; i < arrays.size(); ++i) {
    arrays[i].CopyTo(data_.data() + where);
    StorePlace(point, i, arrays[i], where, memory.result);
    where += arrays[i].bytes();
  }
  return std::string_view(data_);
}

Expected<std::string_view> CallRunner::TakeData(const CallView& call, const LoadedFunction& function,
                                                const Memory& memory, std::string_view tail, int32_t status) {
  if (!function.point.result_arrays.empty()) {
    if (status == 0) return TakeArrays(function, memory, tail, call.keep);
    std::memset(memory.result, 0, function.point.result_size);
    return tail;
  }
  if (!function.point.result_is_string) return tail;
  if (status == 0) return TakeString(function, memory, tail);
  const Cell none{kNullOffset, 0};
  std::memcpy(memory.result, &none, sizeof none);
  return tail;
}

std::span<const uint8_t> CallRunner::Refuse(const CallView& call, const Error& error, std::span<uint8_t> small) {
  const std::string reply = ErrorReply(call.seqid, error);
  uint8_t* out = reply.size() <= small.size() ? small.data() : reply_.Get(reply.size());
  std::memcpy(out, reply.data(), reply.size());
  return {out, reply.size()};
}

namespace {

Status RunOnDeviceMemory(std::string_view frame) {
  if (BuffersOnDevice() == nullptr) return Error(ErrorKind::kUnsupported, "this worker has no device");
  return BuffersOnDevice()->Run(frame);
}

}  // namespace

std::span<const uint8_t> CallRunner::RunOfWorker(const CallView& call, std::span<uint8_t> small) {
  context_.capture.Reset();
  Status done =
      call.function_id == kKeptResultsFunction ? KeptResultsHere().Place(call.frame) : RunOnDeviceMemory(call.frame);
  if (!done && IsSticky(done.error())) EndByDevice(done.error());
  if (!done) {
    done.error().role = "execution worker";
    return Refuse(call, done.error(), small);
  }
  uint8_t* const out = small.data();
  return {out, WriteReply(out, call.seqid, {}, 0, {}, {})};
}

void CallRunner::Forget() {
  arguments_.Reset();
  arrays_.reset();
  memory_.Trim();
  if (data_.capacity() > kSmallMemory) std::string().swap(data_);
}

std::span<const uint8_t> CallRunner::Run(const CallView& call, const LoadedFunction& function, std::span<uint8_t> small,
                                         PlainReply* plain) {
  context_.capture.Reset();
  std::string_view frame = call.frame;
  Status head = TakeHead(function, &frame);
  if (head && plain != nullptr) head = CheckShort(function, frame);
  auto memory = head ? Prepare(call, frame, function) : Expected<Memory>(head.error());
  if (!memory) {
    Forget();
    return Refuse(call, memory.error(), small);
  }
  EntryTimes times;
  auto entered = Enter(function, *memory, call.return_from, call.profile ? &times : nullptr);
  const int32_t status = entered ? *entered : 0;
  std::string_view data;
  if (call.return_from != kNoReturn)
    data = {reinterpret_cast<const char*>(memory->bytes) + call.return_from, memory->size - call.return_from};
  std::span<const uint8_t> reply;
  Status outcome;
  if (!entered) {
    outcome = std::move(entered).error();
    outcome.error().role = "execution worker";
    outcome.error().function = function.name;
  } else if (arrays_) {
    // The results lie where the request wants them.
  } else if (auto taken = TakeData(call, function, *memory, data, status)) {
    data = *taken;
  } else {
    outcome = std::move(taken).error();
  }
  const size_t result_size = ReplySizeOf(function.point);
  const std::string_view result(reinterpret_cast<const char*>(memory->result), result_size);
  const std::string_view output = context_.capture.text();
  const size_t size = kReplyOverhead + result.size() + data.size() + output.size();
  if (outcome && size > limits_.max_message) {
    Error error = TooLarge(function, "the reply", size, limits_.max_message);
    error.may_have_run = true;
    outcome = std::move(error);
    if (call.keep && status == 0) DropKept(function.point, memory->result);
  }
  context_.phase = nullptr;
  context_.function = nullptr;
  context_.module = nullptr;
  if (!outcome) {
    outcome.error().output = std::string(output);
    reply = Refuse(call, outcome.error(), small);
  } else if (plain != nullptr && data.empty() && output.empty() && result.size() <= plain->place.size()) {
    std::memcpy(plain->place.data(), result.data(), result.size());
    plain->size = result.size();
    plain->status = status;
  } else {
    uint8_t* out = size <= small.size() ? small.data() : reply_.Get(size);
    reply = {out, WriteReply(out, call.seqid, result, status, data, output, call.profile ? &times : nullptr)};
  }
  context_.FreeAfterCall();
  context_.capture.Reset();  // the reply has a copy; should the worker die between calls, none of it is theirs
  Forget();
  return reply;
}

}  // namespace rbc::worker
