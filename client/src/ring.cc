// A lane of the session's worker in shared memory.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/ring.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/platform.h"

namespace rbc::client {
namespace {

// As for sockets: a wake across CPUs costs 60 us and more.
constexpr uint32_t kSpinUs = 50;
constexpr uint32_t kMostLanes = 4096;

}  // namespace

Expected<std::unique_ptr<Ring>> Ring::Map(UniqueFd fd, int32_t layout, uint64_t size, uint32_t lanes, uint32_t lane) {
  if (!fd || layout != worker::kLaneLayout || lanes == 0 || lanes > kMostLanes || lane >= lanes ||
      size != worker::RingSize(lanes))
    return Error(ErrorKind::kProtocolMismatch,
                 fmt::format("the farm shares a lane of layout {}, this client knows {}", layout, worker::kLaneLayout));
  void* const memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (memory == MAP_FAILED)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("the farm's lane cannot be mapped: {}", std::strerror(errno)));
  platform::KeepFromChildren(memory, size);  // the lane is not a child's
  return std::unique_ptr<Ring>(new Ring(memory, size, worker::LaneAt(memory, lane)));
}

Ring::Ring(void* memory, size_t size, worker::Lane* lane) : memory_(memory), size_(size), lane_(lane), spin_(kSpinUs) {}

Ring::~Ring() { ::munmap(memory_, size_); }

void Ring::Put(std::string_view framed) {
  std::memcpy(lane_->request, framed.data(), framed.size());
  lane_->request_size = static_cast<uint32_t>(framed.size());
  lane_->request_offset = worker::kInline;
  lane_->phase.store(worker::kReceived, std::memory_order_relaxed);
  lane_->short_size = worker::kNotShort;
}

void Ring::Put(const CallMessage& call) {
  worker::ShortCall& out = lane_->short_call;
  out.function_id = static_cast<uint64_t>(call.function_id);
  out.request_id = call.request_id;
  out.deadline_ms = static_cast<uint32_t>(call.deadline_ms);
  if (!call.frame.empty()) std::memcpy(out.bytes, call.frame.data(), call.frame.size());
  lane_->short_size = static_cast<uint32_t>(call.frame.size());
}

void Ring::Post(worker::LaneState as) {
  posted_ = as;
  uint32_t idle = worker::kIdle;
  if (!lane_->state.compare_exchange_strong(idle, as)) return;  // dead: Await sees it
  if (lane_->worker_waits.load() != 0) platform::WakeAll(lane_->state);
}

bool Ring::Block(int ms) {
  lane_->daemon_waits.store(1);
  if (!IsOurs()) platform::WaitWhile(lane_->state, posted_, ms);
  lane_->daemon_waits.store(0);
  return IsOurs();
}

RingEvent Ring::Event() const {
  switch (lane_->state.load(std::memory_order_acquire)) {
    case worker::kReply: {
      const uint32_t size = lane_->reply_size;
      return size >= 4 && size <= worker::kLaneReplyBytes ? RingEvent::kReply : RingEvent::kLost;
    }
    case worker::kShortReply:
      return lane_->short_size <= worker::kShortBytes ? RingEvent::kShortReply : RingEvent::kLost;
    case worker::kReplyBig:
    case worker::kDead:
      return RingEvent::kElsewhere;
    default:
      return RingEvent::kLost;
  }
}

std::string_view Ring::TakeReply() {
  const size_t size = std::clamp<size_t>(lane_->reply_size, 4, worker::kLaneReplyBytes);
  reply_.assign(reinterpret_cast<const char*>(lane_->reply), size);
  lane_->state.store(worker::kIdle, std::memory_order_release);
  return std::string_view(reply_).substr(4);
}

CallAnswer Ring::TakeShortReply() {
  const size_t size = std::min(lane_->short_size, worker::kShortBytes);
  std::memcpy(short_reply_, lane_->short_call.bytes, size);
  CallAnswer answer;
  answer.status = lane_->short_call.status;
  answer.result = std::string_view(short_reply_, size);
  lane_->state.store(worker::kIdle, std::memory_order_release);
  return answer;
}

std::optional<int32_t> Ring::TakeShortReply(std::span<char> result) {
  if (lane_->short_size != result.size()) return std::nullopt;
  if (!result.empty()) std::memcpy(result.data(), lane_->short_call.bytes, result.size());
  const int32_t status = lane_->short_call.status;
  lane_->state.store(worker::kIdle, std::memory_order_release);
  return status;
}

bool RingUse::CalledOverSocket(int64_t function) {
  if (calls_.size() >= kMostFunctions) calls_.clear();
  return ++calls_[function] >= kCallsBefore;
}

}  // namespace rbc::client
