// Plays the daemon.
// SPDX-License-Identifier: Apache-2.0
#include "tests/worker/harness.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <thread>

#include "base/error_serial.h"
#include "worker/build_id.h"

namespace rbc::testing {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TMemoryBuffer;
using Clock = std::chrono::steady_clock;
using worker::MessageType;

constexpr auto kPatience = std::chrono::seconds(30);
constexpr size_t kArena = 256 << 20;

std::pair<UniqueFd, UniqueFd> Pair(int type) {
  int fds[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

UniqueFd SealedMemory(const char* name, size_t size) {
  UniqueFd fd(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (ftruncate(fd.get(), static_cast<off_t>(size)) != 0) std::abort();
  fcntl(fd.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  return fd;
}

void* Map(int fd, size_t size) { return mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0); }

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

}  // namespace

bool Send(int fd, MessageType type, std::string_view body, std::vector<int> fds) {
  const worker::MessageHeader header{type, static_cast<uint32_t>(body.size())};
  iovec parts[2] = {{const_cast<worker::MessageHeader*>(&header), sizeof header},
                    {const_cast<char*>(body.data()), body.size()}};
  alignas(cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (!fds.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    *rights = {CMSG_LEN(fds.size() * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
  }
  return sendmsg(fd, &message, MSG_NOSIGNAL) >= 0;
}

std::optional<Packet> Receive(int fd) {
  pollfd wait{fd, POLLIN, 0};
  if (poll(&wait, 1, std::chrono::milliseconds(kPatience).count()) <= 0) return std::nullopt;
  std::string buffer(worker::kMaxControlMessage, '\0');
  const ssize_t size = recv(fd, buffer.data(), buffer.size(), 0);
  worker::MessageHeader header;
  if (size < static_cast<ssize_t>(sizeof header)) return std::nullopt;
  std::memcpy(&header, buffer.data(), sizeof header);
  EXPECT_EQ(header.size, size - sizeof header);
  return Packet{header.type, buffer.substr(sizeof header, header.size)};
}

Nursery::Nursery(std::string build_id) {
  if (build_id.empty()) build_id = worker::BuildId();
  auto [mine, theirs] = Pair(SOCK_SEQPACKET);
  const auto begin = Clock::now();
  pid_ = fork();
  if (pid_ == 0) {
    dup2(theirs.get(), worker::kNurseryControlFd);
    execl(RBC_WORKER, "rbc-worker", "--nursery", build_id.c_str(), nullptr);
    _exit(127);
  }
  theirs.Reset();
  control_ = std::move(mine);
  first_ = Receive(control_.get());
  ready_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  if (first_ && first_->type == MessageType::kNurseryReady) {
    auto ready = worker::ParseNurseryReady(first_->body);
    EXPECT_TRUE(ready.has_value());
    if (ready) ready_ = *ready;
  }
}

Nursery::~Nursery() {
  control_.Reset();
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

worker::SpawnBody Nursery::Defaults(worker::Role role) const {
  worker::SpawnBody spawn{};
  spawn.worker_id = 7;
  spawn.role = role;
  spawn.lanes = role == worker::Role::kExecute ? 4 : 0;
  std::strcpy(spawn.target, "host");
  spawn.memory_limit = 1ull << 30;
  spawn.spin_us = 50;
  spawn.capture_limit = worker::kCaptureSize;
  spawn.max_message = 64 << 20;
  spawn.max_string = 1 << 20;
  return spawn;
}

std::unique_ptr<Worker> Nursery::Spawn(worker::SpawnBody spawn) {
  std::unique_ptr<Worker> out(new Worker);
  out->ring_size_ = spawn.ring_size = worker::RingSize(spawn.lanes);
  out->arena_size_ = spawn.arena_size = kArena;
  out->lanes_ = spawn.lanes;
  const UniqueFd ring = SealedMemory("ring", spawn.ring_size), arena = SealedMemory("arena", spawn.arena_size);
  out->ring_ = Map(ring.get(), spawn.ring_size);
  out->arena_ = static_cast<char*>(Map(arena.get(), spawn.arena_size));
  out->ring().magic = worker::kRingMagic;
  out->ring().lanes = spawn.lanes;
  out->ring().role = spawn.role;
  auto [mine, theirs] = Pair(SOCK_SEQPACKET);
  if (!Send(control_.get(), MessageType::kSpawn, BytesOf(spawn), {theirs.get(), ring.get(), arena.get()}))
    return nullptr;
  theirs.Reset();
  const auto answer = Receive(control_.get());
  if (!answer || answer->type != MessageType::kSpawned) return nullptr;
  out->pid_ = answer->As<worker::SpawnedBody>().pid;
  EXPECT_EQ(answer->As<worker::SpawnedBody>().worker_id, spawn.worker_id);
  out->control_ = std::move(mine);
  const auto ready = Receive(out->control());
  if (!ready || ready->type != MessageType::kWorkerReady) {
    ADD_FAILURE() << "the worker is not ready: " << out->ring().fault.message;
    return nullptr;
  }
  out->ready_ = ready->As<worker::WorkerReadyBody>();
  return out;
}

Worker::~Worker() {
  if (pid_ > 0 && !status_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (ring_ != nullptr) munmap(ring_, ring_size_);
  if (arena_ != nullptr) munmap(arena_, arena_size_);
}

bool Worker::ended() {
  int status;
  if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
  return status_.has_value();
}

std::optional<int> Worker::AwaitEnd() {
  const auto end = Clock::now() + kPatience;
  while (!ended() && Clock::now() < end) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return status_;
}

std::string Worker::capture(uint32_t index) {
  return {worker::CaptureAt(ring_, lanes_, index), std::min<size_t>(lane(index).capture_size, worker::kCaptureSize)};
}

Expected<Artifact> Worker::Compile(std::string_view ir, std::vector<FunctionDeclaration> functions,
                                   CompileOptions options) {
  worker::CompileJob job;
  job.target = "host";
  job.functions = std::move(functions);
  job.options = options;
  job.ir = ir;
  const std::string bytes = worker::Serialize(job);
  std::memcpy(arena_, bytes.data(), bytes.size());
  Send(control(), MessageType::kCompile, BytesOf(worker::JobBody{5, 0, bytes.size()}));
  const auto answer = Receive(control());
  if (!answer || answer->type != MessageType::kCompiled) return Error(ErrorKind::kCompileCrash, "the worker is gone");
  const auto body = answer->As<worker::JobBody>();
  EXPECT_EQ(body.job_id, 5u);
  EXPECT_GE(body.offset, bytes.size());
  return worker::ParseResult({arena_ + body.offset, body.size});
}

Status Worker::Load(uint64_t module_id, const Artifact& artifact, std::vector<std::string> names, bool serial) {
  worker::LoadBlob blob;
  blob.artifact = artifact;
  blob.names = std::move(names);
  blob.serial = serial;
  for (uint32_t i = 0; i < artifact.entries.size(); ++i) blob.function_ids.push_back(IdOf(module_id, i));
  const std::string bytes = worker::Serialize(blob);
  std::memcpy(arena_, bytes.data(), bytes.size());
  Send(control(), MessageType::kLoad, BytesOf(worker::LoadBody{module_id, 0, bytes.size()}));
  const auto answer = Receive(control());
  if (!answer || answer->type != MessageType::kLoaded) return Error(ErrorKind::kWorkerLost, "no answer to load");
  const auto body = answer->As<worker::LoadedBody>();
  EXPECT_EQ(body.module_id, module_id);
  if (body.failed == 0) return {};
  Reader reader(std::string_view(answer->body).substr(sizeof body));
  return GetError(reader);
}

bool Worker::Unload(uint64_t module_id) {
  Send(control(), MessageType::kUnload, BytesOf(worker::ModuleBody{module_id}));
  const auto answer = Receive(control());
  return answer && answer->type == MessageType::kUnloaded;
}

void Worker::Begin(uint32_t index, const std::string& framed) {
  auto& slot = lane(index);
  slot.request_size = static_cast<uint32_t>(framed.size());
  slot.request_offset = worker::kInline;
  char* place = reinterpret_cast<char*>(slot.request);
  if (framed.size() > sizeof slot.request) {
    slot.request_offset = 4096 * (index + 1);
    place = arena_ + slot.request_offset;
  }
  std::memcpy(place, framed.data(), framed.size());
  slot.state.store(worker::kCall);
  if (slot.worker_waits.load() != 0) syscall(SYS_futex, &slot.state, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

std::optional<std::string> Worker::Finish(uint32_t index) {
  auto& slot = lane(index);
  const auto end = Clock::now() + kPatience;
  for (;;) {
    const uint32_t state = slot.state.load();
    if (state == worker::kReply) break;
    if (state == worker::kReplyBig) {
      EXPECT_GT(slot.reply_size, sizeof slot.reply);
      slot.reply_offset = 128 << 20;
      slot.state.store(worker::kContinue);
      if (slot.worker_waits.load() != 0) syscall(SYS_futex, &slot.state, FUTEX_WAKE, 1, nullptr, nullptr, 0);
      continue;
    }
    if (Clock::now() > end || ended()) return std::nullopt;
    slot.daemon_waits.store(1);
    const timespec millisecond{0, 1'000'000};
    syscall(SYS_futex, &slot.state, FUTEX_WAIT, state, &millisecond, nullptr, 0);
    slot.daemon_waits.store(0);
  }
  const char* place =
      slot.reply_offset == worker::kInline ? reinterpret_cast<const char*>(slot.reply) : arena_ + slot.reply_offset;
  std::string reply(place, slot.reply_size);
  slot.state.store(worker::kIdle);
  return reply;
}

std::optional<std::string> Worker::Exchange(uint32_t index, const std::string& framed) {
  Begin(index, framed);
  return Finish(index);
}

UniqueFd Worker::Lend(uint32_t index) {
  auto [mine, theirs] = Pair(SOCK_STREAM);
  Send(control(), MessageType::kLend, BytesOf(worker::LaneBody{index, 0}), {theirs.get()});
  return std::move(mine);
}

Nursery& SharedNursery() {
  static Nursery nursery;
  return nursery;
}

Expected<Artifact> Compile(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options) {
  static std::unique_ptr<Worker> compiler;
  if (compiler == nullptr || compiler->ended()) compiler = SharedNursery().Spawn(worker::Role::kCompile);
  if (compiler == nullptr) return Error(ErrorKind::kUnavailable, "no compile worker");
  return compiler->Compile(ir, std::move(functions), options);
}

Session::Session(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options, bool serial) {
  std::vector<std::string> names;
  for (const auto& function : functions) names.push_back(function.symbol);
  auto artifact = Compile(ir, std::move(functions), options);
  if (!artifact) {
    std::string text = artifact.error().message;
    for (const auto& diagnostic : artifact.error().diagnostics) text += "\n" + diagnostic.message;
    ADD_FAILURE() << text;
    return;
  }
  auto worker = SharedNursery().Spawn(worker::Role::kExecute);
  if (worker == nullptr) return;
  const Status loaded = worker->Load(1, *artifact, names, serial);
  if (!loaded) {
    ADD_FAILURE() << loaded.has_value() << const_cast<Status&>(loaded).error().message;
    return;
  }
  worker_ = std::move(worker);
}

std::string CallMessage(const wire::CallRequest& request, int32_t seqid) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin("call", apache::thrift::protocol::T_CALL, seqid);
  wire::Farm_call_args arguments;
  arguments.request = request;
  arguments.write(&protocol);
  protocol.writeMessageEnd();
  const std::string message = buffer->getBufferAsString();
  const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(message.size()));
  return std::string(BytesOf(length)) + message;
}

std::string CallMessage(uint64_t function_id, std::string frame) {
  wire::CallRequest request;
  request.function_id = static_cast<int64_t>(function_id);
  request.request_id = 1;
  request.frame = std::move(frame);
  return CallMessage(request);
}

Outcome Decode(const std::optional<std::string>& framed) {
  Outcome outcome;
  if (!framed) return outcome;
  auto buffer = std::make_shared<TMemoryBuffer>();
  buffer->write(reinterpret_cast<const uint8_t*>(framed->data()), static_cast<uint32_t>(framed->size()));
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  wire::CallReply reply;
  try {
    client.recv_call(reply);
    outcome.reply = reply;
  } catch (const wire::FarmError& error) {
    outcome.error = error;
  }
  return outcome;
}

}  // namespace rbc::testing
