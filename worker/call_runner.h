// Runs one call: from a parsed message to a framed reply.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "worker/array_call.h"
#include "worker/call_context.h"
#include "worker/call_message.h"
#include "worker/device_arguments.h"
#include "worker/function_table.h"
#include "worker/page_buffer.h"

namespace rbc::worker {

struct CallLimits {
  uint64_t max_message = 0;  // bytes of a message, a call's memory or a reply
  uint64_t max_string = 0;   // bytes of a returned string
};

// Where a reply that is a status and a short result alone goes instead of a message.
struct PlainReply {
  std::span<uint8_t> place;
  size_t size = 0;  // of the result
  int32_t status = 0;
};

// One a lane, used by the lane's thread alone.
class CallRunner {
 public:
  CallRunner(CallContext& context, const CallLimits& limits) : context_(context), limits_(limits) {}

  // `function` stays loaded meanwhile. The reply lies in `small` if it fits, else in memory of this object that is kept
  // until DropReply. A refusal is a reply too. Empty: it is in `plain`, which may be null.
  std::span<const uint8_t> Run(const CallView& call, const LoadedFunction& function, std::span<uint8_t> small,
                               PlainReply* plain = nullptr);
  // A call of kDeviceMemoryFunction (device_frame.h) or kKeptResultsFunction (kept_frame.h). `small` has at least
  // kReplyOverhead bytes.
  std::span<const uint8_t> RunOfWorker(const CallView& call, std::span<uint8_t> small);
  std::span<const uint8_t> Refuse(const CallView& call, const Error& error, std::span<uint8_t> small);
  void DropReply() { reply_.Trim(); }
  // What large calls have left for the next; for when none comes. REQUIRES: no reply is kept.
  bool holds_much() const { return memory_.holds_much() || reply_.holds_much(); }
  void GiveBack() {
    memory_.GiveBack();
    reply_.GiveBack();
  }

 private:
  struct Memory {
    uint8_t* result;  // aligned to 64
    uint8_t* bytes;   // frame and zero bytes behind it, aligned to 64
    size_t size;
    size_t room;  // behind it, for arguments in the session's arena
  };
  // The head of the frame of a kernel or a map is taken off it.
  Status TakeHead(const LoadedFunction& function, std::string_view* frame);
  Status TakePointers(const LoadedFunction& function, std::string_view* frame);
  // A short call is to name no arrays of the session: were it to die, nobody could tell which it was writing.
  Status CheckShort(const LoadedFunction& function, std::string_view frame) const;
  Expected<Memory> Prepare(const CallView& call, std::string_view frame, const LoadedFunction& function);
  Status PlaceArrays(const LoadedFunction& function, const Memory& memory) const;
  Status CheckColumns(const LoadedFunction& function, const Memory& memory) const;
  Expected<int32_t> Enter(const LoadedFunction& function, const Memory& memory, size_t returned_from,
                          EntryTimes* times);
  Expected<int32_t> EnterArrays(const LoadedFunction& function, uint64_t* failed);
  Expected<int32_t> EnterOnDevice(const LoadedFunction& function, const Memory& memory, size_t returned_from,
                                  EntryTimes* times);
  Expected<int32_t> EnterHostMap(const LoadedFunction& function, const Memory& memory);
  // The returned data: `tail`, then what the result points to, whose place it becomes.
  Expected<std::string_view> TakeString(const LoadedFunction& function, const Memory& memory, std::string_view tail);
  Expected<std::string_view> TakeArrays(const LoadedFunction& function, const Memory& memory, std::string_view tail,
                                        bool keep);
  Expected<std::string_view> TakeData(const CallView& call, const LoadedFunction& function, const Memory& memory,
                                      std::string_view tail, int32_t status);

  // What a call used, buffers on the device among it.
  void Forget();

  static constexpr size_t kSmallMemory = 1024;
  CallContext& context_;
  const CallLimits limits_;
  alignas(64) uint8_t small_memory_[kSmallMemory];
  PageBuffer memory_;
  PageBuffer reply_;
  GridShape shape_;    // of the running kernel
  uint64_t rows_ = 0;  // of the running map
  std::vector<MapColumn> columns_;
  std::optional<ArrayCall> arrays_;  // of the running call over arrays
  DeviceArguments arguments_;        // of the running call on a device
  std::string data_;
};

}  // namespace rbc::worker
