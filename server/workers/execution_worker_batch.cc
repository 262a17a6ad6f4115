// Many calls in one turn of a lane.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cstring>

#include "server/workers/execution_worker_impl.h"

namespace rbc::server {
namespace {

// Of replies; the arena keeps the pages of pieces up to this size.
constexpr uint32_t kReplyRoom = 256 * 1024;
constexpr size_t kLeastCall = 16;  // bytes of a CallRequest that names a function

}  // namespace

Status ExecutionWorkerImpl::CallBatch(std::string_view calls, const worker::CallView& batch, std::string* replies) {
  const auto request = arena_.Take(calls.size());
  const auto place = arena_.Take(kReplyRoom);
  if (!request || !place || calls.size() > UINT32_MAX) return CallFirst(calls, replies);
  const auto each = DeadlineOf(batch);
  RBC_ASSIGN_OR_RETURN(const uint32_t index, TakeLane(Clock::now() + each, batch.request_id));
  worker::Lane* const l = ports_[index].lane();
  std::memcpy(request.data(), calls.data(), calls.size());
  l->request_offset = request.offset();
  l->request_size = static_cast<uint32_t>(calls.size());
  l->reply_offset = place.offset();
  l->reply_size = kReplyRoom;
  l->done.store(0, std::memory_order_relaxed);
  std::string last;
  auto status = RelayBatch(index, each, calls.size() / kLeastCall + 1, &last);
  if (!status) status = AfterDeath(index, batch.function_id);
  TakeDone(index, place.data(), replies);
  replies->append(last);
  FreeLane(index);
  return *std::move(status);
}

std::optional<Status> ExecutionWorkerImpl::RelayBatch(uint32_t index, Clock::duration each, uint64_t most,
                                                      std::string* replies) {
  LanePort& port = ports_[index];
  port.lane()->phase.store(worker::kReceived, std::memory_order_relaxed);
  port.lane()->capture_size.store(0, std::memory_order_relaxed);
  if (!port.Post(worker::kBatch)) return std::nullopt;
  switch (port.AwaitBatch(each, most)) {
    case LaneEvent::kReply:
      port.Release();
      return Status();
    case LaneEvent::kBigReply:
      return TakeBigReply(index, Clock::now() + each, replies);
    case LaneEvent::kTimeout:
      return Doom(index, Error(ErrorKind::kDeadlineExceeded, "the call ran longer than its deadline and was stopped"));
    case LaneEvent::kViolation:
      return Doom(index, Violation("lane state"));
    case LaneEvent::kDead:
      break;
  }
  return std::nullopt;
}

// Also what a worker that died had answered before.
void ExecutionWorkerImpl::TakeDone(uint32_t index, const char* place, std::string* replies) const {
  const uint32_t done = std::min(lane(index)->done.load(std::memory_order_acquire), kReplyRoom);
  replies->assign(place, done);
}

}  // namespace rbc::server
