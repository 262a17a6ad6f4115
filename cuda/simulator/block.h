// The block of threads that runs now: what engine and warp operations share.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/simulator/abi.h"
#include "cuda/simulator/engine.h"
#include "cuda/simulator/fiber.h"

namespace rbc::simulator {

enum class State : uint8_t { kReady, kAtBarrier, kInWarp, kEnded };
enum class WarpKind : uint8_t { kBarrier, kShuffle, kVote, kMatch, kReduce };

// What a lane brings to the others of its warp, and what it gets.
struct WarpRequest {
  WarpKind kind{};
  uint32_t mode = 0;
  uint32_t mask = 0;
  uint64_t value = 0;
  uint32_t lane = 0;   // shuffle: PTX's b
  uint32_t clamp = 0;  // shuffle: PTX's c
  uint64_t result = 0;
};

struct Fiber {
  Thread thread{};  // what generated code sees
  Context context;
  FiberStack stack;
  State state = State::kReady;
  uint32_t barrier = 0;
  uint32_t barrier_result = 0;
  WarpRequest request;
};

struct Barrier {
  uint32_t waiting = 0;
  uint32_t expected = 0;  // 0: all that have not ended
  uint32_t operation = kNoReduction;
  uint32_t trues = 0;
};
inline constexpr uint32_t kBarriers = 16;

// One grid on one thread. The functions below are called on fibers unless said otherwise.
class Grid {
 public:
  Grid(const Launch& launch, const Surroundings& surroundings);
  ~Grid();
  Grid(const Grid&) = delete;
  Status Run();

  Fiber& running() { return *running_; }
  const Surroundings& surroundings() const { return surroundings_; }
  bool meets() const { return launch_.meets; }

  uint32_t AwaitBarrier(uint32_t id, uint32_t count, uint32_t operation, bool predicate);
  uint64_t AwaitWarp(const WarpRequest& request);
  uint32_t LiveLanes(uint32_t warp) const;
  void Yield();
  [[noreturn]] void EndThread();
  // Two steps, because nothing on the stack of a thread that stops is destroyed.
  void Fail(std::string cause, std::string message);
  [[noreturn]] void Stop();
  std::string Where() const;

 private:
  Status Prepare();
  Status RunBlock();
  void Place(Fiber& fiber, uint32_t index);
  static void Body(void* grid);
  void Resume(Fiber& fiber);
  void Pause();
  Status RunAlone();
  Status RunTogether();
  void ReleaseBarrier(uint32_t id);
  void TryRelease(uint32_t id);
  void TryWarp(uint32_t warp);
  Error Deadlock() const;
  Status AllocateShared();

  const Launch& launch_;
  const Surroundings& surroundings_;
  uint32_t threads_ = 0;
  uint32_t ctaid_[3] = {};
  unsigned char* shared_ = nullptr;
  void* shared_map_ = nullptr;
  size_t shared_mapped_ = 0;
  std::vector<Fiber> fibers_;
  std::array<Barrier, kBarriers> barriers_{};
  uint32_t live_ = 0;
  Fiber* running_ = nullptr;
  Context scheduler_;
  bool failed_ = false;
  Error error_;
};

// The grid that runs on this thread.
Grid* Current();

// Fills `result` of the requests of one warp operation; all lanes of `group` are there and agree in kind and mode.
void CompleteWarp(Fiber* const lanes[kWarpSize], uint32_t group);

// CUDA's printf: bytes of text, `*count` the number of arguments that were formatted.
std::string Format(const char* format, const void* arguments, int* count);

}  // namespace rbc::simulator
