// A lane in the worker.
// SPDX-License-Identifier: Apache-2.0
#include "worker/lane.h"

#include <errno.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "worker/control_socket.h"
#include "worker/device_frame.h"
#include "worker/fault.h"
#include "worker/kept_frame.h"

namespace rbc::worker {
namespace {

constexpr timespec kSoon{.tv_sec = 1, .tv_nsec = 0};  // how long memory of large calls waits for the next one

// False: nothing happened for `most`; null: it waits for ever.
bool FutexWait(std::atomic<uint32_t>& word, uint32_t seen, const timespec* most) {
  return syscall(SYS_futex, &word, FUTEX_WAIT, seen, most, nullptr, 0) == 0 || errno != ETIMEDOUT;
}
void FutexWake(std::atomic<uint32_t>& word) { syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0); }

// The daemon keeps to the protocol; if it does not, this worker is of no use to it.
[[noreturn]] void EndOutOfTurn(std::string_view what) {
  EndWithFault(FaultCause::kRefused, 0, 0, nullptr, nullptr, what);
}

uint32_t FrameLength(const uint8_t* bytes) {
  uint32_t length;
  std::memcpy(&length, bytes, sizeof length);
  return __builtin_bswap32(length);
}

void AwaitReady(int fd, short events) {
  pollfd wait{fd, events, 0};
  poll(&wait, 1, -1);
}

}  // namespace

LaneRunner::LaneRunner(LaneShare& share, uint32_t index)
    : share_(share),
      index_(index),
      lane_(*LaneAt(share.ring, index)),
      runner_(context_, share.limits),
      ring_spin_(share.spin_us),
      connection_spin_(share.spin_us) {
  context_.lane = index;
  context_.capture = Capture(CaptureAt(share.ring, share.lanes, index), &lane_.capture_size, share.capture_limit);
}

bool LaneRunner::IsMine(uint32_t state) const {
  return state == kShortCall || state == kCall || state == kContinue || state == kBatch ||
         (state == kLent && connection_.load(std::memory_order_acquire) >= 0);
}

template <typename Poll>
bool LaneRunner::Spin(AdaptiveSpin& spin, Poll&& poll) {
  if (!served_ || share_.may_poll == 0) return false;
  const bool allowed = share_.polling.fetch_add(1, std::memory_order_relaxed) < share_.may_poll;
  const bool got = allowed && spin.Until(poll);
  share_.polling.fetch_sub(1, std::memory_order_relaxed);
  return got;
}

LaneState LaneRunner::AwaitTurn() {
  uint32_t state;
  const auto mine = [&] { return IsMine(state = lane_.state.load(std::memory_order_acquire)); };
  if (mine()) return static_cast<LaneState>(state);
  bool polled = Spin(ring_spin_, mine);
  if (ring_spin_.SharesCpu() && IsDirect()) step_aside_.Try();
  if (!polled && served_) polled = hand_over_.Until(mine);
  if (polled) return static_cast<LaneState>(state);
  served_ = false;
  for (;;) {
    // Store, then load, as the daemon stores the state and then loads worker_waits: one of the two sees the other.
    lane_.worker_waits.store(1, std::memory_order_seq_cst);
    state = lane_.state.load(std::memory_order_seq_cst);
    const bool keeps = runner_.holds_much() && big_reply_.empty();
    if (!IsMine(state) && !FutexWait(lane_.state, state, keeps ? &kSoon : nullptr)) runner_.GiveBack();
    lane_.worker_waits.store(0, std::memory_order_relaxed);
    if (mine()) return static_cast<LaneState>(state);
  }
}

void LaneRunner::GiveBack(LaneState state) {
  lane_.state.store(state, std::memory_order_seq_cst);
  if (lane_.daemon_waits.load(std::memory_order_seq_cst) != 0) FutexWake(lane_.state);
}

void LaneRunner::Run() {
  for (;;) {
    switch (AwaitTurn()) {
      case kShortCall:
        ServeShort();
        break;
      case kCall:
        ServeRing();
        break;
      case kContinue:
        FinishBigReply();
        break;
      case kBatch:
        ServeBatch();
        break;
      case kLent:
        ServeConnection();
        break;
      default:
        break;
    }
    served_ = true;
  }
}

std::span<const uint8_t> LaneRunner::RunCall(const CallView& call, const LoadedFunction* function,
                                             std::span<uint8_t> small, PlainReply* plain) {
  lane_.seqid = call.seqid;
  lane_.request_id = call.request_id;
  lane_.function_id = call.function_id;
  lane_.deadline_ms = call.deadline_ms;
  lane_.phase.store(kRunning, std::memory_order_relaxed);
  const uint64_t calls = lane_.calls.load(std::memory_order_relaxed);
  lane_.calls.store(calls + 1, std::memory_order_release);
  const auto reply =
      function != nullptr ? runner_.Run(call, *function, small, plain) : runner_.RunOfWorker(call, small);
  lane_.phase.store(kSending, std::memory_order_relaxed);
  lane_.calls.store(calls + 2, std::memory_order_release);
  return reply;
}

std::span<const uint8_t> LaneRunner::Serve(const CallView& call, std::span<uint8_t> small, PlainReply* plain) {
  if (call.keep && IsDirect()) {
    Error error(ErrorKind::kUnsupported,
                "the results of a call over a ring cannot be kept; send it over the connection");
    error.role = "execution worker";
    return runner_.Refuse(call, error, small);
  }
  if (const LoadedFunction* function = share_.functions->Enter(index_, call.function_id)) {
    const auto reply = RunCall(call, function, small, plain);
    share_.functions->Leave(index_);
    return reply;
  }
  if (call.function_id == kDeviceMemoryFunction || call.function_id == kKeptResultsFunction)
    return RunCall(call, nullptr, small, nullptr);
  Error error(ErrorKind::kUnknownModule, "function id " + std::to_string(call.function_id) + " is not loaded");
  error.role = "execution worker";
  error.retry_safe = true;
  return runner_.Refuse(call, error, small);
}

void LaneRunner::ServeRing() {
  const uint32_t size = lane_.request_size;
  const uint64_t offset = lane_.request_offset;
  const uint8_t* framed = lane_.request;
  if (offset == kInline ? size > sizeof lane_.request : !InArena(offset, size))
    EndOutOfTurn("a lane's request lies outside of the shared memory");
  if (offset != kInline) framed = share_.arena.data() + offset;
  CallView call;
  if (size < 4 || FrameLength(framed) != size - 4 ||
      ParseCall({reinterpret_cast<const char*>(framed) + 4, size - 4}, &call) != CallParse::kCall)
    EndOutOfTurn("a lane's request is not a call");
  Answer(Serve(call, lane_.reply));
}

void LaneRunner::Answer(std::span<const uint8_t> reply) {
  lane_.reply_size = static_cast<uint32_t>(reply.size());
  if (reply.data() == lane_.reply) {
    lane_.reply_offset = kInline;
    GiveBack(kReply);
    return;
  }
  big_reply_ = reply;
  GiveBack(kReplyBig);
}

// What the client wrote is read once: it may write on. It leaves `phase` alone; the request's number tells the daemon
// whether the call has begun.
void LaneRunner::ServeShort() {
  const uint32_t size = lane_.short_size;
  if (!IsDirect() || size > kShortBytes) EndOutOfTurn("a lane's short call is longer than its place");
  ShortCall& short_call = lane_.short_call;
  CallView call;
  call.function_id = short_call.function_id;
  call.request_id = short_call.request_id;
  call.deadline_ms = short_call.deadline_ms;
  call.frame = {reinterpret_cast<const char*>(short_call.bytes), size};
  PlainReply plain{short_call.bytes};
  const auto reply = Serve(call, lane_.reply, &plain);
  if (!reply.empty()) return Answer(reply);
  lane_.short_size = static_cast<uint32_t>(plain.size);
  short_call.status = plain.status;
  GiveBack(kShortReply);
}

// `phase` is back at kReceived between two calls, so that the next one is known not to have begun.
void LaneRunner::ServeBatch() {
  const uint64_t in = lane_.request_offset, out = lane_.reply_offset;
  const uint32_t size = lane_.request_size, room = lane_.reply_size;
  if (IsDirect() || !InArena(in, size) || !InArena(out, room))
    EndOutOfTurn("a lane's batch lies outside of the shared memory");
  std::string_view calls(reinterpret_cast<const char*>(share_.arena.data()) + in, size);
  const auto place = share_.arena.subspan(out, room);
  uint32_t done = 0;
  while (!calls.empty() && place.size() - done >= kLaneReplyBytes) {
    CallView call;
    if (TakeCall(&calls, &call) != CallParse::kCall) EndOutOfTurn("a lane's batch holds something else than calls");
    const auto rest = place.subspan(done);
    const auto reply = Serve(call, rest);
    if (reply.data() != rest.data()) {
      lane_.reply_size = static_cast<uint32_t>(reply.size());
      big_reply_ = reply;
      return GiveBack(kReplyBig);
    }
    done += static_cast<uint32_t>(reply.size());
    lane_.done.store(done, std::memory_order_release);
    lane_.phase.store(kReceived, std::memory_order_release);
  }
  GiveBack(kReply);
}

void LaneRunner::FinishBigReply() {
  const uint64_t offset = lane_.reply_offset;
  if (big_reply_.empty() || !InArena(offset, big_reply_.size()))
    EndOutOfTurn("the place for a reply lies outside of the arena");
  std::memcpy(share_.arena.data() + offset, big_reply_.data(), big_reply_.size());
  big_reply_ = {};
  runner_.DropReply();
  GiveBack(kReply);
}

bool LaneRunner::Lend(int fd) {
  const uint32_t state = lane_.state.load(std::memory_order_acquire);
  if ((state != kIdle && state != kLent) || connection_.load() >= 0) return false;
  connection_.store(fd, std::memory_order_seq_cst);
  lane_.state.store(kLent, std::memory_order_seq_cst);
  FutexWake(lane_.state);
  return true;
}

void LaneRunner::ServeConnection() {
  lane_.return_reason = ServeMessages();
  lane_.request_size = filled_;
  filled_ = 0;
  close(connection_.load(std::memory_order_relaxed));
  connection_.store(-1, std::memory_order_release);
  GiveBack(kReturned);
  SendPacket(kWorkerControlFd, MessageType::kLaneReturned, LaneBody{index_, 0});
}

// The request always begins with the first message that is not served yet; request_size says how much of the
// connection it holds, so that the daemon can go on with it or knows what is lost.
ReturnReason LaneRunner::ServeMessages() {
  filled_ = 0;
  std::memset(lane_.request, 0xff, sizeof lane_.request);
  for (;;) {
    lane_.request_size = filled_;
    lane_.phase.store(kReceiving, std::memory_order_release);
    while (filled_ < 4 || filled_ < size_t{4} + FrameLength(lane_.request)) {
      if (filled_ >= 4 && FrameLength(lane_.request) > sizeof lane_.request - 4) return kNotACall;
      if (const auto reason = Receive()) return *reason;
    }
    if (const auto reason = ServeOne(4 + FrameLength(lane_.request))) return *reason;
    served_ = true;
  }
}

// Adds at least one byte to the request.
std::optional<ReturnReason> LaneRunner::Receive() {
  const int fd = connection_.load(std::memory_order_relaxed);
  ssize_t got = -1;
  const auto receive = [&](int flags) {
    got = recvfrom(fd, lane_.request + filled_, sizeof lane_.request - filled_, flags, nullptr, nullptr);
    return got >= 0 || (errno != EAGAIN && errno != EINTR);
  };
  const bool got_by_polling = Spin(connection_spin_, [&] { return receive(MSG_DONTWAIT); });
  if (connection_spin_.SharesCpu()) step_aside_.Try();
  if (!got_by_polling) {
    // The daemon may have made the connection non-blocking or given it a time-out: then this waits by poll.
    while (!receive(0)) AwaitReady(fd, POLLIN);
  }
  if (got == 0) return kEndOfStream;
  if (got < 0) return kSocketError;
  filled_ += static_cast<uint32_t>(got);
  lane_.request_size = filled_;
  return std::nullopt;
}

std::optional<ReturnReason> LaneRunner::ServeOne(size_t message_size) {
  lane_.phase.store(kReceived, std::memory_order_release);
  CallView call;
  const std::string_view message(reinterpret_cast<const char*>(lane_.request) + 4, message_size - 4);
  if (ParseCall(message, &call) != CallParse::kCall || call.keep) return kNotACall;
  const LoadedFunction* function = share_.functions->Enter(index_, call.function_id);
  if (function == nullptr) return kNotACall;
  const auto reply = RunCall(call, function, lane_.reply, nullptr);
  share_.functions->Leave(index_);
  const bool sent = Send(reply);
  runner_.GiveBack();  // nobody looks after it while the connection is waited for
  filled_ -= static_cast<uint32_t>(message_size);
  if (filled_ != 0) std::memmove(lane_.request, lane_.request + message_size, filled_);
  std::memset(lane_.request + filled_, 0xff, message_size);
  if (!sent) return kSocketError;
  return std::nullopt;
}

bool LaneRunner::Send(std::span<const uint8_t> bytes) {
  const int fd = connection_.load(std::memory_order_relaxed);
  while (!bytes.empty()) {
    const ssize_t sent = sendto(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, nullptr, 0);
    if (sent >= 0)
      bytes = bytes.subspan(static_cast<size_t>(sent));
    else if (errno == EAGAIN)
      AwaitReady(fd, POLLOUT);
    else if (errno != EINTR)
      return false;
  }
  return true;
}

}  // namespace rbc::worker
