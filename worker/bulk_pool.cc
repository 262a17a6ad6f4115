// Threads that help a lane.
// SPDX-License-Identifier: Apache-2.0
#include "worker/bulk_pool.h"

#include <pthread.h>

#include "worker/fault.h"
#include "worker/floating_point.h"
#include "worker/stack.h"

namespace rbc::worker {

Status BulkPool::Start(uint32_t helpers) {
  if (helpers == 0) return {};
  pthread_barrier_t started;
  pthread_barrier_init(&started, nullptr, helpers + 1);
  for (uint32_t i = 0; i < helpers; ++i) {
    helpers_.push_back(std::make_unique<Helper>());
    RBC_RETURN_IF_ERROR(StartOnOwnStack(&helpers_.back()->context, [this, helper = helpers_.back().get(), &started] {
      UseAlternateStack();
      SetCurrentContext(&helper->context);
      pthread_barrier_wait(&started);
      Serve(*helper);
    }));
  }
  pthread_barrier_wait(&started);
  pthread_barrier_destroy(&started);
  return {};
}

void BulkPool::Serve(Helper& helper) {
  for (uint32_t seen = 0;;) {
    jobs_.wait(seen, std::memory_order_acquire);
    seen = jobs_.load(std::memory_order_acquire);
    Help(helper);
  }
}

void BulkPool::Help(Helper& helper) {
  uint32_t inside = inside_.load(std::memory_order_acquire);
  do {
    if ((inside & kOpen) == 0) return;  // the others were faster
  } while (!inside_.compare_exchange_weak(inside, inside + 1, std::memory_order_acq_rel));
  CallContext& context = helper.context;
  context.lane = caller_->lane;
  context.function = caller_->function;
  context.module = caller_->module;
  context.shares_capture_of = const_cast<CallContext*>(caller_);
  context.phase = caller_->phase;
  TakeChunks();
  context.phase = nullptr;
  context.function = nullptr;
  context.module = nullptr;
  context.shares_capture_of = nullptr;
  if (inside_.fetch_sub(1, std::memory_order_acq_rel) == 1) inside_.notify_one();
}

void BulkPool::TakeChunks() {
  for (uint64_t chunk; (chunk = next_.fetch_add(1, std::memory_order_relaxed)) < chunks_;) {
    body_->Run(chunk);
    ResetFloatingPoint();
  }
}

void BulkPool::Run(const CallContext& caller, uint64_t chunks, ChunkBody& body) {
  const std::unique_lock alone(busy_, std::try_to_lock);
  if (chunks < 2 || helpers_.empty() || !alone) {
    for (uint64_t chunk = 0; chunk < chunks; ++chunk) {
      body.Run(chunk);
      ResetFloatingPoint();
    }
    return;
  }
  caller_ = &caller;
  body_ = &body;
  chunks_ = chunks;
  next_.store(0, std::memory_order_relaxed);
  inside_.store(kOpen, std::memory_order_release);
  jobs_.fetch_add(1, std::memory_order_release);
  if (chunks > helpers_.size())
    jobs_.notify_all();
  else
    for (uint64_t i = 1; i < chunks; ++i) jobs_.notify_one();
  TakeChunks();
  uint32_t inside = inside_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  while (inside != 0) {
    inside_.wait(inside, std::memory_order_acquire);
    inside = inside_.load(std::memory_order_acquire);
  }
}

BulkPool& SharedBulkPool() {
  static auto* pool = new BulkPool;  // its threads outlive every destructor
  return *pool;
}

}  // namespace rbc::worker
