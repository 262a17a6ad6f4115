// A compile worker.
// SPDX-License-Identifier: Apache-2.0
#include "worker/compile_role.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <unordered_map>

#include "worker/call_context.h"
#include "worker/compiler_faults.h"
#include "worker/control_messages.h"
#include "worker/control_socket.h"
#include "worker/stack.h"

namespace rbc::worker {
namespace {

template <size_t kSize>
void CopyText(char (&out)[kSize], std::string_view text) {
  const size_t size = std::min(text.size(), kSize - 1);
  if (size != 0) std::memcpy(out, text.data(), size);
  out[size] = 0;
}

// Breadcrumbs in the ring: what the daemon says of a worker that died without a word.
class Breadcrumbs final : public CompileProgress {
 public:
  explicit Breadcrumbs(RingHeader* ring) : ring_(ring) {}
  void Phase(const char* phase) override { CopyText(ring_->phase, phase); }
  void Function(std::string_view name) override { CopyText(ring_->function, name); }
  void Clear() { ring_->phase[0] = ring_->function[0] = 0; }

 private:
  RingHeader* const ring_;
};

class CompileRole {
 public:
  explicit CompileRole(WorkerProcess& process) : arena_(process.arena), progress_(process.ring) {
    for (const auto& factory : Targets()) targets_.emplace(factory.name, factory.create(*process.nursery->symbols));
    DescribeMainStack(&context_);
    SetCurrentContext(&context_);
  }

  // Until the control socket closes or the daemon breaks the protocol.
  void Serve() {
    while (receiver_.Receive(kWorkerControlFd)) {
      JobBody job;
      if (receiver_.type() != MessageType::kCompile || !receiver_.As(&job)) return;
      if (job.offset > arena_.size() || job.size > arena_.size() - job.offset) return;
      if (!SendPacket(kWorkerControlFd, MessageType::kCompiled, Answer(job))) return;
    }
  }

 private:
  // The result lies behind the job, which is still read while the result is made.
  JobBody Answer(const JobBody& job) {
    std::string result =
        SerializeResult(Compile({reinterpret_cast<const char*>(arena_.data()) + job.offset, job.size}));
    const uint64_t offset = (job.offset + job.size + 63) / 64 * 64;
    const uint64_t room = offset < arena_.size() ? arena_.size() - offset : 0;
    if (result.size() > room)
      result = SerializeResult(
          Error(ErrorKind::kResourceExhausted, "the compiled module takes " + std::to_string(result.size()) +
                                                   " bytes, more than the " + std::to_string(room) + " that are left"));
    const uint64_t size = std::min<uint64_t>(result.size(), room);
    std::memcpy(arena_.data() + offset, result.data(), size);
    progress_.Clear();
    return {job.job_id, offset, size};
  }

  Expected<Artifact> Compile(std::string_view bytes) {
    RBC_ASSIGN_OR_RETURN(const CompileJob job, ParseCompileJob(bytes));
    const auto target = targets_.find(job.target);
    if (target == targets_.end()) return Error(ErrorKind::kUnknownTarget, "no target is called '" + job.target + "'");
    return target->second->Compile(Module{job.ir, job.functions}, job.options, &progress_);
  }

  const std::span<uint8_t> arena_;
  Breadcrumbs progress_;
  CallContext context_;  // tells a stack overflow from a wild access
  PacketReceiver receiver_;
  std::unordered_map<std::string, std::unique_ptr<Target>> targets_;
};

}  // namespace

Error RunCompileRole(WorkerProcess& process) {
  RecordCompilerFaults();
  CompileRole role(process);
  auto restricted = RestrictProcess(process.nursery->sandbox, process.spawn);
  if (!restricted) return std::move(restricted).error();
  auto locked = FilterSystemCalls(process.nursery->sandbox, process.spawn, *restricted);
  if (!locked) return std::move(locked).error();
  SendPacket(kWorkerControlFd, MessageType::kWorkerReady, *locked);
  role.Serve();
  _exit(0);
}

}  // namespace rbc::worker
