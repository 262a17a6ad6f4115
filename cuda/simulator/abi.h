// What code compiled for the simulator and the engine that runs it agree on. C layout, no dependencies.
// SPDX-License-Identifier: Apache-2.0
//
// A simulated kernel is x86-64 code in a relocatable object. Its entry is `void entry(const void* parameters)`: the
// engine calls it once for each thread of the grid, with the same packed parameters (targets/cuda/launch.h). What the
// thread is, and how it meets others, the code asks by the functions below, which the engine offers as symbols.
//
// An entry whose `meets` is false (targets/target.h) calls none of those marked (*): the engine may run its threads as
// a plain loop, one after the other on one stack. Otherwise each thread of a block is a fiber of its own.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rbc::simulator {

// One thread of a grid. The engine fills it before the entry is called; while that thread runs it does not change.
struct Thread {
  uint32_t tid[3];     //  0: threadIdx
  uint32_t ntid[3];    // 12: blockDim
  uint32_t ctaid[3];   // 24: blockIdx
  uint32_t nctaid[3];  // 36: gridDim
  // The block's shared memory, aligned to kSharedAlignment: EntryPoint::shared_bytes of static variables, then, again
  // at kSharedAlignment, the bytes that the launch asked for.
  unsigned char* shared;   // 48
  uint32_t lane;           // 56: thread within its warp of kWarpSize, by linear thread index
  uint32_t warp;           // 60
  uint32_t dynamic_bytes;  // 64: of shared memory that the launch asked for
  uint32_t grid_id;        // 68
  // From here on it is the engine's.
};
static_assert(offsetof(Thread, shared) == 48 && offsetof(Thread, lane) == 56 && offsetof(Thread, grid_id) == 68);

inline constexpr uint32_t kWarpSize = 32;
inline constexpr uint32_t kSharedAlignment = 256;
inline constexpr uint32_t kMaxBlockThreads = 1024;

enum BarrierOperation : uint32_t { kNoReduction = 0, kPopulationCount = 1, kAnd = 2, kOr = 3 };
enum ShuffleMode : uint32_t { kShuffleUp = 0, kShuffleDown = 1, kShuffleButterfly = 2, kShuffleIndex = 3 };
enum VoteMode : uint32_t { kVoteAll = 0, kVoteAny = 1, kVoteUniform = 2, kVoteBallot = 3 };
enum MatchMode : uint32_t { kMatchAny = 0, kMatchAll = 1 };
enum ReduceOperation : uint32_t {
  kReduceAdd = 0,
  kReduceMin = 1,
  kReduceMax = 2,
  kReduceUmin = 3,
  kReduceUmax = 4,
  kReduceAnd = 5,
  kReduceOr = 6,
  kReduceXor = 7,
};

extern "C" {
// The running thread. The address stays the same for as long as one call of an entry runs: generated code keeps it.
const Thread* rbc_sim_thread();

// (*) barrier.sync id, count: waits for `count` threads of the block (0: all of it that have not ended). Where an
// operation is asked for, its result over the predicates of those threads.
uint32_t rbc_sim_barrier(uint32_t id, uint32_t count, uint32_t operation, uint32_t predicate);
// (*) bar.warp.sync
void rbc_sim_warp_barrier(uint32_t mask);
// (*) shfl.sync: the value in bits 0..31; bit 32 is set where the source lane is within range. `clamp` is PTX's c
// operand: bits 0..4 the clamp, bits 8..12 the segment mask.
uint64_t rbc_sim_shuffle(uint32_t mode, uint32_t mask, uint32_t value, uint32_t lane, uint32_t clamp);
// (*) vote.sync: 0 or 1, the ballot's bits for kVoteBallot.
uint32_t rbc_sim_vote(uint32_t mode, uint32_t mask, uint32_t predicate);
// (*) match.sync: the mask of equal lanes in bits 0..31, for kMatchAll the predicate in bit 32.
uint64_t rbc_sim_match(uint32_t mode, uint32_t mask, uint64_t value);
// (*) redux.sync
uint32_t rbc_sim_reduce(uint32_t operation, uint32_t mask, uint32_t value);
// (*) activemask: the lanes of this warp that have not ended.
uint32_t rbc_sim_active_mask();
// (*) Another thread may go on: after an atomic operation or a volatile load in a loop, so that spinning ends.
void rbc_sim_yield();

// The thread ends here (PTX exit). Does not return.
[[noreturn]] void rbc_sim_exit();
// llvm.trap, or code that cannot be reached was. Ends the launch with an error. Does not return.
[[noreturn]] void rbc_sim_trap();
// A failed assert of device code. Ends the launch.
[[noreturn]] void rbc_sim_assert_fail(const char* message, const char* file, uint32_t line, const char* function,
                                      uint64_t char_size);
// CUDA's device printf: `arguments` are packed at natural alignment, floats widened to double. Returns their number.
int32_t rbc_sim_vprintf(const char* format, const void* arguments);
// The device heap. Freed with the session at the latest.
void* rbc_sim_malloc(uint64_t size);
void rbc_sim_free(void* memory);
// Nanoseconds (globaltimer) and some clock of the processor's.
uint64_t rbc_sim_global_timer();
uint64_t rbc_sim_clock();
// (*) nanosleep
void rbc_sim_sleep(uint32_t nanoseconds);
}

// The names of all of the above, for a table of symbols.
// clang-format off
#define RBC_SIMULATOR_SYMBOLS(X) \
  X(rbc_sim_thread)              \
  X(rbc_sim_barrier)             \
  X(rbc_sim_warp_barrier)        \
  X(rbc_sim_shuffle)             \
  X(rbc_sim_vote)                \
  X(rbc_sim_match)               \
  X(rbc_sim_reduce)              \
  X(rbc_sim_active_mask)         \
  X(rbc_sim_yield)               \
  X(rbc_sim_exit)                \
  X(rbc_sim_trap)                \
  X(rbc_sim_assert_fail)         \
  X(rbc_sim_vprintf)             \
  X(rbc_sim_malloc)              \
  X(rbc_sim_free)                \
  X(rbc_sim_global_timer)        \
  X(rbc_sim_clock)               \
  X(rbc_sim_sleep)
// clang-format on

}  // namespace rbc::simulator
