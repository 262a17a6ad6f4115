// A lane in the worker: one thread that runs the calls of one slot of the ring, or of one lent connection.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "base/adaptive_spin.h"
#include "base/hand_over.h"
#include "base/step_aside.h"
#include "worker/call_context.h"
#include "worker/call_runner.h"
#include "worker/function_table.h"
#include "worker/protocol.h"

namespace rbc::worker {

// What all lanes of a worker share.
struct LaneShare {
  void* ring = nullptr;
  uint32_t lanes = 0;
  std::span<uint8_t> arena;
  FunctionTable* functions = nullptr;
  CallLimits limits;
  uint32_t spin_us = 0;
  uint32_t capture_limit = 0;
  std::atomic<int> polling{0};  // lanes that poll just now
  int may_poll = 0;             // how many of them may: one CPU less than there are
};

// All but Lend runs on the lane's own thread.
class LaneRunner {
 public:
  LaneRunner(LaneShare& share, uint32_t index);
  LaneRunner(const LaneRunner&) = delete;

  CallContext& context() { return context_; }
  [[noreturn]] void Run();
  // From the control thread: the lane serves this connection from now on. False: it is not idle.
  bool Lend(int fd);

 private:
  LaneState AwaitTurn();
  bool IsMine(uint32_t state) const;
  // A client has the other end.
  bool IsDirect() const { return lane_.direct.load(std::memory_order_relaxed) != 0; }
  void GiveBack(LaneState state);

  void ServeRing();
  void ServeShort();
  void ServeBatch();
  void FinishBigReply();

  void ServeConnection();
  ReturnReason ServeMessages();
  std::optional<ReturnReason> Receive();
  std::optional<ReturnReason> ServeOne(size_t message_size);
  bool Send(std::span<const uint8_t> bytes);

  bool InArena(uint64_t offset, uint64_t size) const {
    return offset <= share_.arena.size() && size <= share_.arena.size() - offset;
  }
  // The reply, in `small` where it fits. Empty: in `plain`.
  std::span<const uint8_t> Serve(const CallView& call, std::span<uint8_t> small, PlainReply* plain = nullptr);
  // No function: one of the worker itself.
  std::span<const uint8_t> RunCall(const CallView& call, const LoadedFunction* function, std::span<uint8_t> small,
                                   PlainReply* plain);
  // To the other end of the ring.
  void Answer(std::span<const uint8_t> reply);
  template <typename Poll>
  bool Spin(AdaptiveSpin& spin, Poll&& poll);

  LaneShare& share_;
  const uint32_t index_;
  Lane& lane_;
  CallContext context_;
  CallRunner runner_;
  AdaptiveSpin ring_spin_;
  AdaptiveSpin connection_spin_;
  HandOver hand_over_;
  StepAside step_aside_;
  bool served_ = false;                 // a call was served since it last blocked: polling may pay
  std::span<const uint8_t> big_reply_;  // waits for kContinue
  std::atomic<int> connection_{-1};     // lent descriptor
  uint32_t filled_ = 0;                 // bytes of the connection in lane_.request
};

}  // namespace rbc::worker
