// Plays the daemon: starts the real nursery and workers and speaks their protocol.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "base/unique_fd.h"
#include "gen/Farm.h"
#include "worker/control_messages.h"
#include "worker/protocol.h"

namespace rbc::testing {

struct Packet {
  worker::MessageType type{};
  std::string body;
  template <typename T>
  T As() const {
    T out{};
    EXPECT_GE(body.size(), sizeof out);
    std::memcpy(&out, body.data(), std::min(body.size(), sizeof out));
    return out;
  }
};

// Waits up to ten seconds; nothing at end of stream or when the time is over.
std::optional<Packet> Receive(int fd);
bool Send(int fd, worker::MessageType type, std::string_view body, std::vector<int> fds = {});

// A worker of the nursery. Killed and reaped at the end.
class Worker {
 public:
  ~Worker();
  pid_t pid() const { return pid_; }
  int control() const { return control_.get(); }
  void CloseControl() { control_.Reset(); }
  const worker::WorkerReadyBody& ready() const { return ready_; }
  worker::RingHeader& ring() { return *static_cast<worker::RingHeader*>(ring_); }
  worker::Lane& lane(uint32_t index) { return *worker::LaneAt(ring_, index); }
  std::string capture(uint32_t lane);
  char* arena() { return arena_; }
  // Wait status once it ended, within ten seconds.
  std::optional<int> AwaitEnd();
  bool ended();

  // Compile role.
  Expected<Artifact> Compile(std::string_view ir, std::vector<FunctionDeclaration> functions,
                             CompileOptions options = {});
  // Execute role. The functions get ids by module: FunctionId(100 * module_id + i, 1).
  Status Load(uint64_t module_id, const Artifact& artifact, std::vector<std::string> names, bool serial = false);
  bool Unload(uint64_t module_id);
  // Sets the request of a lane and wakes it, then waits for the reply; nothing: the worker ended or ten seconds passed.
  std::optional<std::string> Exchange(uint32_t lane, const std::string& framed);
  void Begin(uint32_t lane, const std::string& framed);
  std::optional<std::string> Finish(uint32_t lane);
  // The other end of a socketpair lent to a lane.
  UniqueFd Lend(uint32_t lane);

 private:
  friend class Nursery;
  Worker() = default;
  pid_t pid_ = -1;
  std::optional<int> status_;
  UniqueFd control_;
  void* ring_ = nullptr;
  size_t ring_size_ = 0;
  uint32_t lanes_ = 0;
  char* arena_ = nullptr;
  size_t arena_size_ = 0;
  worker::WorkerReadyBody ready_{};
};

class Nursery {
 public:
  // The real rbc-worker. `build_id`: what the daemon claims to be.
  explicit Nursery(std::string build_id = std::string());
  ~Nursery();
  pid_t pid() const { return pid_; }
  const std::optional<Packet>& first() const { return first_; }
  const worker::NurseryReady& ready() const { return ready_; }
  double ready_ms() const { return ready_ms_; }

  worker::SpawnBody Defaults(worker::Role role) const;
  std::unique_ptr<Worker> Spawn(worker::SpawnBody spawn);
  std::unique_ptr<Worker> Spawn(worker::Role role) { return Spawn(Defaults(role)); }

 private:
  pid_t pid_ = -1;
  UniqueFd control_;
  std::optional<Packet> first_;
  worker::NurseryReady ready_;
  double ready_ms_ = 0;
};

// One nursery and one compile worker for the whole program.
Nursery& SharedNursery();
Expected<Artifact> Compile(std::string_view ir, std::vector<FunctionDeclaration> functions,
                           CompileOptions options = {});

inline uint64_t IdOf(uint64_t module_id, uint32_t index = 0) {
  return worker::FunctionId(static_cast<uint32_t>(100 * module_id) + index, 1);
}

// An execution worker with one module, compiled from IR.
class Session {
 public:
  Session(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options = {},
          bool serial = false);
  Worker& operator*() { return *worker_; }
  Worker* operator->() { return worker_.get(); }
  bool ok() const { return worker_ != nullptr; }

  // A call over lane 0. The frame is the arguments one after the other, each at its own alignment.
  template <typename... Arguments>
  std::optional<std::string> Call(uint32_t function, Arguments... arguments);

 private:
  std::unique_ptr<Worker> worker_;
};

template <typename... Arguments>
std::string Frame(Arguments... arguments) {
  std::string frame;
  (
      [&] {
        frame.resize((frame.size() + alignof(Arguments) - 1) / alignof(Arguments) * alignof(Arguments));
        frame.append(reinterpret_cast<const char*>(&arguments), sizeof arguments);
      }(),
      ...);
  return frame;
}

// A framed `call`.
std::string CallMessage(const wire::CallRequest& request, int32_t seqid = 0);
std::string CallMessage(uint64_t function_id, std::string frame);

// What a generated client makes of a framed reply.
struct Outcome {
  std::optional<wire::CallReply> reply;
  std::optional<wire::FarmError> error;
  template <typename T>
  T Result() const {
    T out{};
    EXPECT_TRUE(reply.has_value()) << (error ? error->message : "no reply");
    if (!reply) return out;
    EXPECT_EQ(reply->result.size(), sizeof out);
    std::memcpy(&out, reply->result.data(), std::min(reply->result.size(), sizeof out));
    return out;
  }
};
Outcome Decode(const std::optional<std::string>& framed);

template <typename... Arguments>
std::optional<std::string> Session::Call(uint32_t function, Arguments... arguments) {
  return worker_->Exchange(0, CallMessage(IdOf(1, function), Frame(arguments...)));
}

}  // namespace rbc::testing
