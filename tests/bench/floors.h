// The floors of the call path: what the kernel alone charges for each way of carrying 16 bytes there and back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "tests/bench/measure.h"

namespace rbc::bench {

enum class Path {
  kSocket,       // client <-> server, one socket
  kSharedSlot,   // client <-> server, one slot of shared memory with one futex word
  kRelay,        // client <-> daemon by socket, daemon <-> worker by slot
  kWorkerReply,  // client -> daemon by socket, daemon -> worker by slot, worker -> client on the client's socket
  kLent,         // client <-> worker on the client's socket, which the daemon accepted and passed on (SCM_RIGHTS)
};

// How a process waits for its peer.
enum class Wait {
  kBlock,         // a blocking recv or futex wait
  kPollThenRecv,  // poll(2), then recv: a poller is not woken when its own message was read
  kSpin,          // tries without blocking for up to kSpinNs, then blocks
  kEpoll,         // epoll with EPOLLONESHOT, armed again for every request (daemon and server only)
  kPeek,          // MSG_PEEK first, then recv (worker of kLent only)
  kSpinOnly,      // tries for ever (shared memory on two CPUs only)
};
inline constexpr int64_t kSpinNs = 50'000;

struct Floor {
  std::string_view name;
  Path path;
  bool tcp = false;
  Wait client = Wait::kBlock;
  Wait server = Wait::kBlock;    // who receives from the socket; for kSharedSlot who waits on the slot
  bool receive_timeout = false;  // SO_RCVTIMEO of one second on the server's socket
  bool watched = false;          // kLent: the daemon keeps the socket in its epoll for EPOLLRDHUP
  bool batch = false;            // the daemon runs as SCHED_BATCH
  bool in_1cpu = true;
  bool in_2cpu = true;
  std::string_view what;
};

// Every floor, in the order of the table.
std::span<const Floor> Floors();
// The floor of this name; nullptr if there is none.
const Floor* FindFloor(std::string_view name);

// Forks the floor's processes, makes `calls` calls after a warm-up, checks every echoed value, and reaps everybody.
// Restores the caller's CPU affinity.
Sample Run(const Floor& floor, Mode mode, int calls);

}  // namespace rbc::bench
