// Workers without processes.
// SPDX-License-Identifier: Apache-2.0
#include "tests/server/fake_backend.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "base/unique_fd.h"
#include "worker/call_message.h"
#include "worker/protocol.h"

namespace rbc::server::testing {
namespace {

std::string Echo(const worker::CallView& call) {
  std::string reply(worker::kReplyOverhead + call.frame.size(), '\0');
  reply.resize(worker::WriteReply(reinterpret_cast<uint8_t*>(reply.data()), call.seqid, call.frame, 0, {}, {}));
  return reply;
}

}  // namespace

Expected<Artifact> FakePool::Compile(const CompileTask& task) {
  ++compiles;
  std::unique_lock lock(mutex_);
  ++running_;
  changed_.wait(lock, [&] { return !held_ || (task.cancel != nullptr && task.cancel->cancelled); });
  --running_;
  if (task.cancel != nullptr && task.cancel->cancelled) {
    ++cancelled;
    return {ErrorKind::kCancelled, "cancelled"};
  }
  lock.unlock();
  const auto ir = task.job->ir;
  if (ir.substr(0, 5) == "error") return {ErrorKind::kInvalidModule, "it does not parse"};
  Artifact artifact;
  artifact.code = "object of " + std::string(ir.substr(0, 32));
  artifact.stateful = ir.substr(0, 8) == "stateful";
  artifact.timings_us = {{"parse", 1}};
  if (task.job->options.emit != Emit::kObject) return artifact;
  for (uint32_t i = 0; i < task.job->functions.size(); ++i) {
    EntryPoint entry;
    entry.declaration = i;
    entry.symbol = "entry" + std::to_string(i);
    entry.frame_size = 16;
    entry.result_size = 16;
    artifact.entries.push_back(entry);
  }
  return artifact;
}

void FakePool::WakeCancelled() {
  const std::lock_guard lock(mutex_);
  changed_.notify_all();
}

PoolCounters FakePool::counters() const {
  PoolCounters out;
  out.compiled = compiles;
  return out;
}

void FakePool::Hold(bool held) {
  const std::lock_guard lock(mutex_);
  held_ = held;
  changed_.notify_all();
}

uint32_t FakePool::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

struct FakeWorker::Loan {
  UniqueFd fd;
  uint64_t cookie = 0;
  std::atomic<bool> stop{false};
  std::atomic<bool> over{false};
  std::thread thread;
};

FakeWorker::FakeWorker(uint64_t session, std::function<void(LentReturn)> on_return)
    : session_(session), on_return_(std::move(on_return)) {}

FakeWorker::~FakeWorker() {
  Kill(Error(ErrorKind::kWorkerLost, "gone"));
  for (auto& loan : loans_) loan->thread.join();
}

Status FakeWorker::Load(uint64_t module_id, const worker::LoadBlob& blob) {
  const std::lock_guard lock(mutex_);
  if (dead_) return {ErrorKind::kWorkerLost, "the worker is dead"};
  if (modules_.count(module_id) != 0) return {ErrorKind::kInternal, "loaded twice"};
  for (size_t i = 0; i < blob.function_ids.size(); ++i) {
    const uint32_t slot = worker::FunctionSlot(blob.function_ids[i]);
    if (slots_.count(slot) != 0) return {ErrorKind::kInternal, "the slot is taken"};
    slots_[slot] = blob.function_ids[i];
    functions_[blob.function_ids[i]] = blob.names[i];
  }
  modules_[module_id] = blob.function_ids;
  return {};
}

void FakeWorker::Unload(uint64_t module_id) {
  const std::lock_guard lock(mutex_);
  const auto found = modules_.find(module_id);
  if (found == modules_.end()) return;
  for (const uint64_t id : found->second) {
    functions_.erase(id);
    slots_.erase(worker::FunctionSlot(id));
  }
  modules_.erase(found);
}

Status FakeWorker::Call(std::string_view framed, const worker::CallView& call, std::string* reply) {
  std::unique_lock lock(mutex_);
  if (dead_) return reason_;
  const auto found = functions_.find(call.function_id);
  if (found == functions_.end()) return {ErrorKind::kInternal, "the function is not loaded"};
  ++calls_;
  const std::string name = found->second;
  if (name == "crash") {
    lock.unlock();
    Error error(ErrorKind::kRemoteCrash, "it crashed");
    error.may_have_run = true;
    Kill(error);
    return error;
  }
  if (name == "slow") {
    ++running_;
    changed_.wait(lock, [&] { return dead_ || released_ || cancelled_.count(call.request_id) != 0; });
    --running_;
    if (cancelled_.count(call.request_id) != 0) return {ErrorKind::kCancelled, "cancelled"};
    if (dead_) return reason_;
  }
  *reply = Echo(call);
  return {};
}

bool FakeWorker::Lend(int fd, uint64_t cookie) {
  const std::lock_guard lock(mutex_);
  uint32_t active = 0;
  for (const auto& loan : loans_) active += !loan->over;
  if (dead_ || active >= max_lends) return false;
  auto loan = std::make_unique<Loan>();
  loan->fd.Reset(dup(fd));
  loan->cookie = cookie;
  ++lends;
  auto* raw = loan.get();
  loans_.push_back(std::move(loan));
  raw->thread = std::thread([this, raw] { Serve(*raw); });
  return true;
}

void FakeWorker::Serve(Loan& loan) {
  LentReturn back;
  back.cookie = loan.cookie;
  std::string have;
  for (;;) {
    while (have.size() < 4 || have.size() < 4 + __builtin_bswap32(*reinterpret_cast<const uint32_t*>(have.data()))) {
      pollfd wait{.fd = loan.fd.get(), .events = POLLIN, .revents = 0};
      if (loan.stop || dead_) break;
      if (poll(&wait, 1, 2) == 0) continue;
      char bytes[4096];
      const ssize_t got = recv(loan.fd.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (got <= 0) {
        back.end_of_stream = true;
        break;
      }
      have.append(bytes, static_cast<size_t>(got));
    }
    if (back.end_of_stream || loan.stop || dead_) break;
    const size_t length = 4 + __builtin_bswap32(*reinterpret_cast<const uint32_t*>(have.data()));
    worker::CallView call;
    if (worker::ParseCall(std::string_view(have).substr(4, length - 4), &call) != worker::CallParse::kCall) break;
    {
      const std::lock_guard lock(mutex_);
      if (functions_.count(call.function_id) == 0) break;
    }
    if (die_in_lent_call) {
      dead_ = true;
      reason_ = Error(ErrorKind::kWorkerLost, "dead");
      Error error(ErrorKind::kRemoteCrash, "it crashed while lent");
      error.may_have_run = true;
      back.error = error;
      back.seqid = call.seqid;
      back.request_id = call.request_id;
      back.close = die_in_doubt;
      have.clear();
      break;
    }
    ++lent_calls;
    ++calls_;
    const auto reply = Echo(call);
    send(loan.fd.get(), reply.data(), reply.size(), MSG_NOSIGNAL);
    have.erase(0, length);
  }
  back.unread = std::move(have);
  loan.fd.Reset();
  loan.over = true;
  on_return_(std::move(back));
}

bool FakeWorker::Cancel(int64_t request_id) {
  const std::lock_guard lock(mutex_);
  if (running_ == 0) return false;
  cancelled_.insert(request_id);
  changed_.notify_all();
  return true;
}

void FakeWorker::Kill(Error reason) {
  const std::lock_guard lock(mutex_);
  if (dead_.exchange(true)) return;
  reason_ = std::move(reason);
  changed_.notify_all();
}

void FakeWorker::Release() {
  const std::lock_guard lock(mutex_);
  released_ = true;
  changed_.notify_all();
}

size_t FakeWorker::functions() const {
  const std::lock_guard lock(mutex_);
  return functions_.size();
}

FakeBackend::FakeBackend() {
  TargetInfo host;
  host.name = "host";
  host.triple = "x86_64-unknown-linux-gnu";
  host.data_layout = "e-m:e";
  host.cpu = "fake";
  host.llvm_version = "22.1.8";
  targets_.push_back(host);
}

Expected<std::shared_ptr<ExecutionWorker>> FakeBackend::StartExecutionWorker(
    const std::string& domain, const std::string& target, uint64_t session, std::function<void(LentReturn)> on_return) {
  auto worker = std::make_shared<FakeWorker>(session, std::move(on_return));
  const std::lock_guard lock(mutex_);
  workers_.push_back(worker);
  return std::shared_ptr<ExecutionWorker>(worker);
}

std::vector<WorkerStatus> FakeBackend::Status() const {
  std::vector<WorkerStatus> out;
  for (const auto& worker : workers()) {
    WorkerStatus status;
    status.pid = worker->pid();
    status.role = "execute";
    status.target = "host";
    status.session = worker->session();
    status.sandbox = worker::kSeccomp;
    status.jobs = worker->calls();
    status.state = worker->dead() ? "dead" : "idle";
    out.push_back(status);
  }
  return out;
}

std::vector<std::shared_ptr<FakeWorker>> FakeBackend::workers() const {
  const std::lock_guard lock(mutex_);
  return workers_;
}

}  // namespace rbc::server::testing
