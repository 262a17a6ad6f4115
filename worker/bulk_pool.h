// Threads that help a lane with a call over many rows. Made before lock-down, asleep while there is nothing to do.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/expected.h"
#include "worker/call_context.h"

namespace rbc::worker {

// A piece of work that any thread may do: number `chunk`. Runs client code.
class ChunkBody {
 public:
  virtual ~ChunkBody() = default;
  virtual void Run(uint64_t chunk) = 0;
};

// Run() may be called by any lane; one at a time has the threads, others work alone meanwhile.
class BulkPool {
 public:
  BulkPool() = default;
  BulkPool(const BulkPool&) = delete;

  // `helpers` threads that are never joined: this object is never destroyed after. They wait when this returns.
  Status Start(uint32_t helpers);
  uint32_t helpers() const { return static_cast<uint32_t>(helpers_.size()); }

  // Every chunk below `chunks` once, on the calling thread and on others, which take over what its context says about
  // the call. The floating-point environment is the default one for each. Back when all are done.
  void Run(const CallContext& caller, uint64_t chunks, ChunkBody& body);

 private:
  struct Helper {
    CallContext context;
  };
  [[noreturn]] void Serve(Helper& helper);
  void Help(Helper& helper);
  void TakeChunks();

  // How many helpers are inside of the job; with kOpen more may enter.
  static constexpr uint32_t kOpen = 1u << 31;

  std::mutex busy_;
  std::vector<std::unique_ptr<Helper>> helpers_;
  // Of the job that runs; set before it is opened.
  const CallContext* caller_ = nullptr;
  ChunkBody* body_ = nullptr;
  uint64_t chunks_ = 0;
  alignas(64) std::atomic<uint64_t> next_{0};
  alignas(64) std::atomic<uint32_t> inside_{0};
  std::atomic<uint32_t> jobs_{0};  // helpers wait for it to change
};

// This process's.
BulkPool& SharedBulkPool();

}  // namespace rbc::worker
