// Runs simulated kernels.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/simulator/engine.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <time.h>
#include <x86intrin.h>

#include <cstdlib>
#include <cstring>

#include "cuda/simulator/block.h"

namespace rbc::simulator {
namespace {

constinit thread_local Grid* current = nullptr;

constexpr size_t kPage = 4096;
constexpr uint32_t kMaxBlock[3] = {1024, 1024, 64};
constexpr uint32_t kMaxGrid[3] = {0x7fffffff, 65535, 65535};

size_t RoundUp(size_t size, size_t to) { return (size + to - 1) / to * to; }

std::string Show(const uint32_t v[3]) { return fmt::format("({},{},{})", v[0], v[1], v[2]); }

Status CheckShape(const Launch& launch) {
  uint64_t threads = 1;
  for (int i = 0; i < 3; ++i) {
    threads *= launch.block[i];
    if (launch.block[i] == 0 || launch.block[i] > kMaxBlock[i] || threads > kMaxBlockThreads)
      return {ErrorKind::kInvalidArgument,
              fmt::format("a block of {} threads is not possible: 1 to {} threads, at most ({},{},{})",
                          Show(launch.block), kMaxBlockThreads, kMaxBlock[0], kMaxBlock[1], kMaxBlock[2])};
    if (launch.grid[i] == 0 || launch.grid[i] > kMaxGrid[i])
      return {ErrorKind::kInvalidArgument, fmt::format("a grid of {} blocks is not possible: at most ({},{},{})",
                                                       Show(launch.grid), kMaxGrid[0], kMaxGrid[1], kMaxGrid[2])};
  }
  const uint64_t shared = uint64_t{launch.static_shared} + launch.dynamic_shared;
  if (shared > kMaxShared)
    return {ErrorKind::kInvalidArgument,
            fmt::format("{} bytes of shared memory are more than the {} that a block may have", shared, kMaxShared)};
  return {};
}

}  // namespace

Grid* Current() { return current; }

Grid::Grid(const Launch& launch, const Surroundings& surroundings) : launch_(launch), surroundings_(surroundings) {}

Grid::~Grid() {
  if (shared_map_ != nullptr) munmap(shared_map_, shared_mapped_);
}

std::string Grid::Where() const {
  if (running_ == nullptr) return "no thread";
  return fmt::format("block {}, thread {}", Show(running_->thread.ctaid), Show(running_->thread.tid));
}

// An index that is too large ends here, not in whatever lies behind.
constexpr size_t kSharedGuard = size_t{1} << 20;

// Ends where a page ends, so that what runs over it is a fault and no neighbour's value.
Status Grid::AllocateShared() {
  const size_t wanted =
      RoundUp(RoundUp(launch_.static_shared, kSharedAlignment) + launch_.dynamic_shared, kSharedAlignment);
  if (wanted == 0) return {};
  shared_mapped_ = RoundUp(wanted, kPage) + kSharedGuard;
  void* memory = mmap(nullptr, shared_mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return {ErrorKind::kResourceExhausted, "no memory is left for the shared memory of a block"};
  shared_map_ = memory;
  auto* base = static_cast<unsigned char*>(memory);
  mprotect(base + shared_mapped_ - kSharedGuard, kSharedGuard, PROT_NONE);
  shared_ = base + (shared_mapped_ - kSharedGuard - wanted);
  return {};
}

Status Grid::Prepare() {
  RBC_RETURN_IF_ERROR(CheckShape(launch_));
  threads_ = launch_.block[0] * launch_.block[1] * launch_.block[2];
  RBC_RETURN_IF_ERROR(AllocateShared());
  fibers_ = std::vector<Fiber>(launch_.meets ? threads_ : 1);
  for (Fiber& fiber : fibers_) {
    fiber.stack = FiberStack::Take();
    if (!fiber.stack)
      return {ErrorKind::kResourceExhausted,
              fmt::format("no memory is left for the stacks of a block of {} threads", threads_)};
  }
  return {};
}

Status Grid::Run() {
  RBC_RETURN_IF_ERROR(Prepare());
  Grid* const outer = std::exchange(current, this);
  Status status;
  for (uint32_t z = 0; z < launch_.grid[2] && status; ++z)
    for (uint32_t y = 0; y < launch_.grid[1] && status; ++y)
      for (uint32_t x = 0; x < launch_.grid[0] && status; ++x) {
        ctaid_[0] = x;
        ctaid_[1] = y;
        ctaid_[2] = z;
        status = RunBlock();
      }
  current = outer;
  if (surroundings_.on_stack != nullptr) surroundings_.on_stack(0, 0);
  return status;
}

Status Grid::RunBlock() {
  barriers_ = {};
  live_ = threads_;
  return launch_.meets ? RunTogether() : RunAlone();
}

// Thread number `index` of the block, about to begin.
void Grid::Place(Fiber& fiber, uint32_t index) {
  Thread& thread = fiber.thread;
  for (int i = 0; i < 3; ++i) {
    thread.ntid[i] = launch_.block[i];
    thread.ctaid[i] = ctaid_[i];
    thread.nctaid[i] = launch_.grid[i];
  }
  thread.tid[0] = index % launch_.block[0];
  thread.tid[1] = index / launch_.block[0] % launch_.block[1];
  thread.tid[2] = index / (launch_.block[0] * launch_.block[1]);
  thread.shared = shared_;
  thread.lane = index % kWarpSize;
  thread.warp = index / kWarpSize;
  thread.dynamic_bytes = launch_.dynamic_shared;
  fiber.state = State::kReady;
}

void Grid::Body(void* self) {
  Grid& grid = *static_cast<Grid*>(self);
  Context::Arrived(grid.running_->context);
  if (!grid.launch_.meets) {
    // One stack for all: thread after thread, until one of them ends by rbc_sim_exit and leaves this loop.
    Fiber& fiber = *grid.running_;
    for (;;) {
      grid.launch_.entry(grid.launch_.parameters);
      if (--grid.live_ == 0) break;
      grid.Place(fiber, grid.threads_ - grid.live_);
    }
    fiber.state = State::kEnded;
    for (;;) grid.Pause();
  }
  grid.launch_.entry(grid.launch_.parameters);
  grid.EndThread();
}

void Grid::Resume(Fiber& fiber) {
  running_ = &fiber;
  if (surroundings_.on_stack != nullptr) surroundings_.on_stack(fiber.stack.low(), fiber.stack.high());
  Context::Switch(scheduler_, fiber.context);
  running_ = nullptr;
}

void Grid::Pause() { Context::Switch(running_->context, scheduler_); }

Status Grid::RunAlone() {
  Fiber& fiber = fibers_[0];
  while (live_ != 0) {
    Place(fiber, threads_ - live_);
    fiber.context.Prepare(fiber.stack, Body, this);
    Resume(fiber);
    if (failed_) return error_;
  }
  return {};
}

Status Grid::RunTogether() {
  for (uint32_t i = 0; i < threads_; ++i) {
    Place(fibers_[i], i);
    fibers_[i].context.Prepare(fibers_[i].stack, Body, this);
  }
  while (live_ != 0) {
    bool progress = false;
    for (Fiber& fiber : fibers_) {
      if (fiber.state != State::kReady) continue;
      progress = true;
      Resume(fiber);
      if (failed_) return error_;
    }
    if (!progress) return Deadlock();
  }
  return {};
}

void Grid::EndThread() {
  --live_;
  if (launch_.meets) {
    Fiber& self = *running_;
    self.state = State::kEnded;
    // Whoever waits for all does not wait for this one any more.
    for (uint32_t id = 0; id < kBarriers; ++id) TryRelease(id);
    TryWarp(self.thread.warp);
  }
  for (;;) Pause();
}

void Grid::Fail(std::string cause, std::string message) {
  error_ = Error(ErrorKind::kRemoteCrash, std::move(message));
  error_.cause = std::move(cause);
  error_.may_have_run = true;
  failed_ = true;
}

void Grid::Stop() {
  for (;;) Pause();
}

Error Grid::Deadlock() const {
  std::string waiting;
  uint32_t at_barrier = 0, in_warp = 0;
  const Fiber* first = nullptr;
  for (const Fiber& fiber : fibers_) {
    if (fiber.state == State::kEnded) continue;
    if (first == nullptr) first = &fiber;
    ++(fiber.state == State::kAtBarrier ? at_barrier : in_warp);
  }
  Error error(
      ErrorKind::kRemoteCrash,
      fmt::format("the threads of block {} wait for each other for ever: {} at a barrier, {} for lanes of their "
                  "warp, the first is thread {}",
                  Show(first->thread.ctaid), at_barrier, in_warp, Show(first->thread.tid)));
  error.cause = "deadlock";
  error.may_have_run = true;
  return error;
}

// ---- Barriers ----------------------------------------------------------------------------------------------------

uint32_t Grid::AwaitBarrier(uint32_t id, uint32_t count, uint32_t operation, bool predicate) {
  if (id >= kBarriers) {
    Fail("trap", fmt::format("there is no barrier {}, only 0 to {}, in {}", id, kBarriers - 1, Where()));
    Stop();
  }
  Fiber& self = *running_;
  Barrier& barrier = barriers_[id];
  barrier.expected = count;
  barrier.operation = operation;
  barrier.trues += predicate ? 1 : 0;
  ++barrier.waiting;
  self.state = State::kAtBarrier;
  self.barrier = id;
  TryRelease(id);
  if (self.state == State::kAtBarrier) Pause();
  return self.barrier_result;
}

void Grid::TryRelease(uint32_t id) {
  const Barrier& barrier = barriers_[id];
  if (barrier.waiting == 0) return;
  if (barrier.waiting >= (barrier.expected == 0 ? live_ : barrier.expected)) ReleaseBarrier(id);
}

void Grid::ReleaseBarrier(uint32_t id) {
  const Barrier done = std::exchange(barriers_[id], Barrier());
  const uint32_t result = done.operation == kPopulationCount ? done.trues
                          : done.operation == kAnd           ? done.trues == done.waiting
                          : done.operation == kOr            ? done.trues != 0
                                                             : 0;
  for (Fiber& fiber : fibers_) {
    if (fiber.state != State::kAtBarrier || fiber.barrier != id) continue;
    fiber.barrier_result = result;
    fiber.state = State::kReady;
  }
}

// ---- Warps -------------------------------------------------------------------------------------------------------

uint32_t Grid::LiveLanes(uint32_t warp) const {
  uint32_t live = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    const uint32_t index = warp * kWarpSize + lane;
    if (index < fibers_.size() && fibers_[index].state != State::kEnded) live |= 1u << lane;
  }
  return live;
}

uint64_t Grid::AwaitWarp(const WarpRequest& request) {
  Fiber& self = *running_;
  if ((request.mask >> self.thread.lane & 1) == 0) {
    Fail("trap",
         fmt::format("a lane is not in the mask {:#x} of its own warp operation, in {}", request.mask, Where()));
    Stop();
  }
  self.request = request;
  self.state = State::kInWarp;
  TryWarp(self.thread.warp);
  if (self.state == State::kInWarp) Pause();
  return self.request.result;
}

// Completes the operations for which all lanes are there.
void Grid::TryWarp(uint32_t warp) {
  Fiber* const lanes = fibers_.data() + size_t{warp} * kWarpSize;
  const uint32_t live = LiveLanes(warp);
  uint32_t seen = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if ((live >> lane & 1) == 0 || (seen >> lane & 1) != 0 || lanes[lane].state != State::kInWarp) continue;
    const WarpRequest& leader = lanes[lane].request;
    const uint32_t group = leader.mask & live;
    Fiber* members[kWarpSize] = {};
    bool complete = true;
    for (uint32_t i = 0; i < kWarpSize && complete; ++i) {
      if ((group >> i & 1) == 0) continue;
      members[i] = lanes + i;
      const WarpRequest& other = lanes[i].request;
      complete = lanes[i].state == State::kInWarp && other.kind == leader.kind && other.mode == leader.mode &&
                 other.mask == leader.mask;
    }
    seen |= group;
    if (!complete) continue;
    CompleteWarp(members, group);
    for (Fiber* member : members)
      if (member != nullptr) member->state = State::kReady;
  }
}

void Grid::Yield() {
  if (launch_.meets) Pause();
}

Status Run(const Launch& launch, const Surroundings& surroundings) { return Grid(launch, surroundings).Run(); }

size_t DescribeRunning(char* text, size_t size) {
  if (current == nullptr || size == 0) return 0;
  // By hand: a signal handler formats nothing by library.
  size_t at = 0;
  const auto put = [&](const char* s) {
    while (*s != '\0' && at + 1 < size) text[at++] = *s++;
  };
  const auto number = [&](uint32_t value) {
    char digits[11];
    size_t i = sizeof digits;
    digits[--i] = '\0';
    do {
      digits[--i] = static_cast<char>('0' + value % 10);
      value /= 10;
    } while (value != 0);
    put(digits + i);
  };
  const auto triple = [&](const char* name, const uint32_t v[3]) {
    put(name);
    number(v[0]);
    put(",");
    number(v[1]);
    put(",");
    number(v[2]);
    put(")");
  };
  const Thread& thread = current->running().thread;
  triple("block (", thread.ctaid);
  triple(", thread (", thread.tid);
  text[at] = '\0';
  return at;
}

}  // namespace rbc::simulator

// ---- What generated code calls -----------------------------------------------------------------------------------

namespace rbc::simulator {
extern "C" {

const Thread* rbc_sim_thread() { return &Current()->running().thread; }

uint32_t rbc_sim_barrier(uint32_t id, uint32_t count, uint32_t operation, uint32_t predicate) {
  return Current()->AwaitBarrier(id, count, operation, predicate != 0);
}

void rbc_sim_warp_barrier(uint32_t mask) {
  WarpRequest request;
  request.kind = WarpKind::kBarrier;
  request.mask = mask;
  Current()->AwaitWarp(request);
}

uint64_t rbc_sim_shuffle(uint32_t mode, uint32_t mask, uint32_t value, uint32_t lane, uint32_t clamp) {
  WarpRequest request;
  request.kind = WarpKind::kShuffle;
  request.mode = mode;
  request.mask = mask;
  request.value = value;
  request.lane = lane;
  request.clamp = clamp;
  return Current()->AwaitWarp(request);
}

uint32_t rbc_sim_vote(uint32_t mode, uint32_t mask, uint32_t predicate) {
  WarpRequest request;
  request.kind = WarpKind::kVote;
  request.mode = mode;
  request.mask = mask;
  request.value = predicate;
  return static_cast<uint32_t>(Current()->AwaitWarp(request));
}

uint64_t rbc_sim_match(uint32_t mode, uint32_t mask, uint64_t value) {
  WarpRequest request;
  request.kind = WarpKind::kMatch;
  request.mode = mode;
  request.mask = mask;
  request.value = value;
  return Current()->AwaitWarp(request);
}

uint32_t rbc_sim_reduce(uint32_t operation, uint32_t mask, uint32_t value) {
  WarpRequest request;
  request.kind = WarpKind::kReduce;
  request.mode = operation;
  request.mask = mask;
  request.value = value;
  return static_cast<uint32_t>(Current()->AwaitWarp(request));
}

uint32_t rbc_sim_active_mask() {
  Grid& grid = *Current();
  return grid.meets() ? grid.LiveLanes(grid.running().thread.warp) : 1u << grid.running().thread.lane;
}

void rbc_sim_yield() { Current()->Yield(); }

void rbc_sim_exit() { Current()->EndThread(); }

void rbc_sim_trap() {
  Grid& grid = *Current();
  grid.Fail("trap", "device code traps in " + grid.Where());
  grid.Stop();
}

void rbc_sim_assert_fail(const char* message, const char* file, uint32_t line, const char*, uint64_t) {
  Grid& grid = *Current();
  const char* name = file == nullptr ? nullptr : std::strrchr(file, '/');
  grid.Fail("assertion failed",
            fmt::format("{}, {}:{}, in {}", message == nullptr ? "?" : message,
                        file == nullptr ? "?" : (name == nullptr ? file : name + 1), line, grid.Where()));
  grid.Stop();
}

int32_t rbc_sim_vprintf(const char* format, const void* arguments) {
  int count = 0;
  const std::string text = Format(format, arguments, &count);
  const auto print = Current()->surroundings().print;
  if (print != nullptr) print(text);
  return count;
}

void* rbc_sim_malloc(uint64_t size) { return std::malloc(size); }
void rbc_sim_free(void* memory) { std::free(memory); }

uint64_t rbc_sim_global_timer() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}
uint64_t rbc_sim_clock() { return __rdtsc(); }
void rbc_sim_sleep(uint32_t) { Current()->Yield(); }

}  // extern "C"

void* FindSymbol(std::string_view name) {
#define RBC_X(function) \
  if (name == #function) return reinterpret_cast<void*>(&function);
  RBC_SIMULATOR_SYMBOLS(RBC_X)
#undef RBC_X
  return nullptr;
}

}  // namespace rbc::simulator
