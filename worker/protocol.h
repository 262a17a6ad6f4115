// All that crosses between rbc-farm and rbc-worker: descriptors, shared memory, control messages, and who may do what
// when. Both sides check one build id. What a worker writes is a hint from a hostile process: read a word once, check
// the copy, use the copy.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rbc::worker {

// ---- Programs and descriptors ----------------------------------------------------------------------------------
// The daemon starts `rbc-worker --nursery BUILD_ID` by fexecve with kNurseryControlFd open: a SOCK_SEQPACKET pair.
// The nursery answers NurseryReady once (or NurseryFailed), then one Spawned or SpawnFailed for each Spawn.
inline constexpr int kNurseryControlFd = 3;
// A worker, forked by the nursery as a child of the daemon (CLONE_PARENT), keeps these and closes the rest.
inline constexpr int kWorkerControlFd = 3;  // SOCK_SEQPACKET to the daemon; its end-of-file ends the worker
inline constexpr int kWorkerRingFd = 4;     // sealed memfd: RingHeader, lanes, captures
inline constexpr int kWorkerArenaFd = 5;    // sealed memfd: bulk bytes both ways

inline constexpr size_t kMaxControlMessage = 64 * 1024;  // one packet
inline constexpr uint32_t kMaxLanes = 64;
inline constexpr size_t kPage = 4096;

enum class Role : uint32_t { kCompile = 1, kExecute = 2, kProbe = 3 };

// What lock-down got. Bits of WorkerReady::sandbox; a worker reports what is active, not what was tried.
enum SandboxBit : uint32_t {
  kNoNewPrivileges = 1u << 0,
  kSeccomp = 1u << 1,   // allow-list of the role; with kWideSeccomp a deny-list for sanitizer builds
  kLandlock = 1u << 2,  // nothing in the file system can be opened
  kUserNamespace = 1u << 3,
  kNetworkNamespace = 1u << 4,
  kPidNamespace = 1u << 5,
  kIpcNamespace = 1u << 6,
  kMountNamespace = 1u << 7,
  kResourceLimits = 1u << 8,
  kNoCapabilities = 1u << 9,
  kWideSeccomp = 1u << 10,  // also of a worker whose driver is watched
};

// ---- Control messages: one packet each, a MessageHeader and then its body --------------------------------------
enum class MessageType : uint32_t {
  // daemon -> nursery
  kSpawn = 1,  // SpawnBody; descriptors: control, ring, arena (in this order)
  // nursery -> daemon
  kNurseryReady = 2,   // serialized NurseryReady (control_messages.h)
  kNurseryFailed = 3,  // Writer: PutBytes(message)
  kSpawned = 4,        // SpawnedBody
  kSpawnFailed = 5,    // SpawnedBody, error set
  // worker -> daemon, both roles
  kWorkerReady = 6,  // WorkerReadyBody; sent after lock-down
  // daemon -> execution worker
  kLoad = 7,    // LoadBody; the blob lies in the arena
  kUnload = 8,  // ModuleBody; no call is inside (the daemon waits for that)
  kLend = 9,    // LaneBody; descriptor: the client's connection
  // execution worker -> daemon
  kLoaded = 10,        // LoadedBody, then PutError bytes where failed != 0
  kUnloaded = 11,      // ModuleBody
  kLaneReturned = 12,  // LaneBody; the lane's state is kReturned
  // daemon -> compile worker
  kCompile = 13,  // JobBody; the job lies at the start of the arena
  // compile worker -> daemon
  kCompiled = 14,  // JobBody; the result lies in the arena at `offset`
  // probe -> daemon, once
  kProbed = 15,  // JobBody; job_id 0: devices (device_description.h) lie in the arena, 1: an error
  // daemon -> execution worker
  kDataArena = 16,  // DataArenaBody; descriptor: the session's data arena, a sealed memfd. At most once
  // execution worker -> daemon
  kDataArenaMapped = 17,  // DataArenaMappedBody
};

struct MessageHeader {
  MessageType type;
  uint32_t size;  // of the body
};
static_assert(sizeof(MessageHeader) == 8);

struct SpawnBody {
  uint64_t worker_id;  // echoed in Spawned
  Role role;
  uint32_t lanes;       // execute: 1..kMaxLanes
  uint32_t lent_lanes;  // of these the last so many are for lent connections, the others for relayed calls
  int32_t device;       // execute: of the target; kSimulatedDevice (targets/target.h): none is needed
  char target[16];      // NUL-terminated. execute: of the device; compile: whose compiler must be prepared, or empty
  uint64_t ring_size;
  uint64_t arena_size;
  uint64_t memory_limit;  // bytes of private memory (RLIMIT_DATA); 0: none
  uint32_t cpu_seconds;   // RLIMIT_CPU; 0: none
  uint32_t spin_us;  // how long a lane polls before it blocks, where the worker may use more than one CPU; 0: never
  uint32_t capture_limit;  // bytes of printed output kept a call, at most kCaptureSize
  uint32_t strict;         // lock-down must be complete or the worker ends
  uint64_t max_message;    // bytes of a call message or reply
  uint64_t max_string;     // bytes of a returned string
  uint64_t device_memory;  // execute: bytes of the device's memory that the worker may take; 0: any
  char driver[160];        // execute and probe: the driver's library, NUL-terminated; empty: the system's
  uint32_t bulk_threads;   // execute: that share a call over many rows, the lane's own among them
  uint32_t watch_driver;   // execute, on a GPU: what the driver asks after lock-down is told and done, not refused
};
static_assert(sizeof(SpawnBody) == 272);
// Whether NVIDIA's driver runs in such a process.
inline bool HasGpu(const SpawnBody& spawn) {
  return spawn.role == Role::kExecute && spawn.device >= 0 && std::strcmp(spawn.target, "host") != 0;
}

struct SpawnedBody {
  uint64_t worker_id;
  int32_t pid;    // in the daemon's pid namespace
  int32_t error;  // errno where it failed
};
static_assert(sizeof(SpawnedBody) == 16);

struct WorkerReadyBody {
  uint32_t sandbox;       // SandboxBit
  uint32_t landlock_abi;  // 0: none
};

// The blob: a serialized LoadBlob (control_messages.h). Module ids are the daemon's and never reused for a worker.
struct LoadBody {
  uint64_t module_id;
  uint64_t offset;  // in the arena
  uint64_t size;
};
struct LoadedBody {
  uint64_t module_id;
  uint32_t failed;
  uint32_t memory;  // bytes of code and data
};
struct ModuleBody {
  uint64_t module_id;
};
struct LaneBody {
  uint32_t lane;
  uint32_t unused;
};
struct DataArenaBody {
  uint64_t size;
};
struct DataArenaMappedBody {
  uint32_t failed;
  uint32_t unused;
};
struct JobBody {
  uint64_t job_id;
  uint64_t offset;  // of the job or the result in the arena
  uint64_t size;
};

// ---- Functions -------------------------------------------------------------------------------------------------
// A function id names a slot of the worker's table and the use of that slot, so that a stale id is noticed.
inline constexpr uint32_t kMaxFunctions = 1u << 20;                                        // slots of a worker
inline constexpr uint32_t FunctionSlot(uint64_t id) { return static_cast<uint32_t>(id); }  // < kMaxFunctions
inline constexpr uint64_t FunctionId(uint32_t slot, uint32_t generation) { return uint64_t{generation} << 32 | slot; }

// ---- The ring: RingHeader, then `lanes` lanes, then `lanes` captures --------------------------------------------
inline constexpr uint64_t kRingMagic = 0x31474e4952434252;  // "RBCRING1"
inline constexpr size_t kCaptureSize = 64 * 1024;

enum class FaultCause : uint32_t {
  kNone = 0,
  kSignal = 1,         // see signal, address
  kStackOverflow = 2,  // the address lies by the stack's guard
  kAbort = 3,
  kExit = 4,    // the function called exit; `code` is its argument
  kAssert = 5,  // message: expression, file name without folders, line
  kStackSmash = 6,
  kFatalError = 7,  // LLVM's fatal-error handler; message
  kOutOfMemory = 8,
  kForbiddenCall = 9,  // SIGSYS: `code` is the system call
  kRefused = 10,       // a runtime symbol that ends the call; message says which
  kDevice = 11,        // a GPU or its simulation that can run nothing any more; message: cause, line feed, sentence
};

// Written once by whoever faults first, read after death. Text is NUL-terminated within its array.
struct FaultRecord {
  std::atomic<uint32_t> claimed;  // 0 free, 1 being written, 2 complete
  FaultCause cause;
  int32_t signal;
  int32_t code;
  uint32_t lane;  // kNoLane: not in a call
  uint32_t unused;
  uint64_t address;      // data address of the fault
  uint64_t function_id;  // of the call, 0: none
  char function[128];    // compile: what was being compiled; execute: the innermost known function at the fault
  char phase[32];        // compile: "parse", "optimize", ...; execute: "call", "constructors", kPutsBack
  char message[512];
};
inline constexpr uint32_t kNoLane = 0xffffffff;
inline constexpr char kPutsBack[] = "putting back";  // phase: the function is done, its arrays come from a device

struct alignas(kPage) RingHeader {
  uint64_t magic;
  uint32_t lanes;
  Role role;
  FaultRecord fault;
  // Breadcrumbs of the compile role, for a death that leaves no fault record (SIGKILL, deadline).
  char phase[32];
  char function[128];
};
static_assert(sizeof(RingHeader) == kPage);

// Who owns a lane is told by its state; the owner alone writes the other fields. A lane's thread runs its calls.
enum LaneState : uint32_t {
  kIdle = 0,      // daemon
  kCall = 1,      // worker: a framed `call` message waits in the request
  kReply = 2,     // daemon: a framed reply waits
  kReplyBig = 3,  // daemon: reply_size bytes do not fit; it names a place (reply_offset) and sets kContinue
  kContinue = 4,  // worker: copies the kept reply to reply_offset, then kReply
  kLent = 5,      // worker: receives and answers on its connection
  kReturned = 6,  // daemon: the connection is back, request_size bytes of it were read into `request`
  kDead = 7,      // set by the daemon when the worker is gone, to wake its own waiter
  // Worker: CallRequests, one behind the other, in the arena at request_offset. Framed replies go to the reply_size
  // bytes at reply_offset, `done` tells how many of them are there. It ends with kReply, also before the last call
  // where there is no room for another reply, or with kReplyBig, whose reply is that of one call more. Never on a
  // direct lane.
  kBatch = 8,
  // On a direct lane alone: a call that needs its function and few bytes, in place of a message (ShortCall).
  kShortCall = 9,    // worker
  kShortReply = 10,  // client: result and status; all else is answered by kReply or kReplyBig
};

// What a lent lane is doing with its connection, for the explanation of a death.
enum LanePhase : uint32_t {
  kReceiving = 0,  // no call has begun. What is not read yet of `request` is 0xff, with which no frame length begins
                   // and no message ends: so the daemon sees what arrived though the lane had no time to say so
  kReceived = 1,   // a whole message lies in `request`; its call has not begun
  kRunning = 2,    // client code runs
  kSending = 3,    // the reply may be half sent
};

// Why a lent connection came back.
enum ReturnReason : uint32_t {
  kNotACall = 0,  // another method, a function that is not loaded, or a message that is too large for the lane
  kEndOfStream = 1,
  kSocketError = 2,
};

inline constexpr uint64_t kInline = ~uint64_t{0};
inline constexpr uint32_t kLaneRequestBytes = 1920;
inline constexpr uint32_t kLaneReplyBytes = 1920;

// A direct lane's call that needs no message. Its frame, then its result lie in `bytes`.
inline constexpr uint32_t kShortBytes = 80;
inline constexpr uint32_t kNotShort = 0xffffffff;
struct ShortCall {
  uint64_t function_id;
  int64_t request_id;
  uint32_t deadline_ms;  // 0: the daemon's default
  int32_t status;        // of the reply
  uint8_t bytes[kShortBytes];
};

// One page: lanes of several pages cost a TLB miss a call (pitfalls: 0.4 us). Each cache line that goes from one CPU to
// the other costs a good part of a short call. Two go there and back: that of `state`, which lies alone because a line
// that the other side polls is taken away between two writes; and that of what the call says, where frame and result
// have at most 24 bytes. What the worker notes for the daemon lies apart from both.
struct alignas(kPage) Lane {
  std::atomic<uint32_t> state;  // LaneState; the futex word of both sides
  uint8_t unused[60];
  uint32_t short_size;                 // bytes of frame or result of a short call; kNotShort: the last was another
  std::atomic<uint32_t> worker_waits;  // 1: the worker blocks on `state` and wants a futex wake
  std::atomic<uint32_t> daemon_waits;  // the same for the daemon
  std::atomic<uint32_t> direct;        // 1: a client has the daemon's end
  ShortCall short_call;
  uint32_t return_reason;      // ReturnReason
  std::atomic<uint32_t> done;  // kBatch: bytes of whole replies at reply_offset, as given
  // The worker's, and what calls that are not short have besides.
  std::atomic<uint32_t> phase;         // LanePhase
  std::atomic<uint32_t> capture_size;  // bytes in this lane's capture
  std::atomic<uint64_t> calls;         // calls begun; odd: one is running, even: none
  uint64_t function_id;                // of the running call
  int64_t request_id;
  int32_t seqid;
  uint32_t deadline_ms;     // of the running call; 0: the daemon's default
  uint64_t request_offset;  // in the arena, or kInline
  uint64_t reply_offset;
  uint32_t request_size;  // bytes of the framed message, its 4-byte length included
  uint32_t reply_size;
  uint8_t request[kLaneRequestBytes];
  uint8_t reply[kLaneReplyBytes];
};
static_assert(offsetof(Lane, request) == 256 && sizeof(Lane) == kPage);
// What docs/protocol.md promises to clients.
static_assert(offsetof(Lane, short_size) == 64 && offsetof(Lane, worker_waits) == 68 &&
              offsetof(Lane, daemon_waits) == 72 && offsetof(Lane, short_call) == 80 &&
              offsetof(ShortCall, bytes) == 24 && offsetof(Lane, phase) == 192 &&
              offsetof(Lane, request_offset) == 232 && offsetof(Lane, request_size) == 248 &&
              offsetof(Lane, reply_size) == 252 && offsetof(Lane, reply) == 2176);

// What a client that maps the ring relies on, docs/protocol.md "Direct rings": the sizes, Lane and LaneState.
inline constexpr int kLaneLayout = 2;

// Who waits for whom in a call through the ring: client, daemon, worker.
inline constexpr int kRingParties = 3;

inline constexpr size_t RingSize(uint32_t lanes) { return sizeof(RingHeader) + lanes * (sizeof(Lane) + kCaptureSize); }
inline Lane* LaneAt(void* ring, uint32_t lane) {
  return reinterpret_cast<Lane*>(static_cast<char*>(ring) + sizeof(RingHeader)) + lane;
}
inline char* CaptureAt(void* ring, uint32_t lanes, uint32_t lane) {
  return static_cast<char*>(ring) + sizeof(RingHeader) + lanes * sizeof(Lane) + lane * kCaptureSize;
}

// Exit status of a worker that wrote a fault record and ended itself.
inline constexpr int kFaultExitStatus = 71;

// ---- Which message is allowed when -------------------------------------------------------------------------------
//   nursery, before NurseryReady: none; after: Spawn
//   worker, before WorkerReady: none; then execute: Load, Unload, Lend, DataArena (once); compile: Compile, one at a
//   time
//   lane kIdle: daemon may set kCall, kBatch or, for one of the last lent_lanes, send Lend; any other state belongs to
//   the other side until it changes it
// A message out of turn, malformed or of unknown type ends the worker (daemon's side: kills it).

}  // namespace rbc::worker
