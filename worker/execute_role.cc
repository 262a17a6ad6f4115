// An execution worker.
// SPDX-License-Identifier: Apache-2.0
#include "worker/execute_role.h"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <memory>
#include <unordered_map>
#include <vector>

#include "base/error_serial.h"
#include "base/huge_pages.h"
#include "base/scheduling.h"
#include "cuda/simulator/engine.h"
#include "worker/bulk_pool.h"
#include "worker/call_context.h"
#include "worker/control_messages.h"
#include "worker/control_socket.h"
#include "worker/data_arena.h"
#include "worker/device_buffers.h"
#include "worker/driver_calls.h"
#include "worker/fault.h"
#include "worker/lane.h"
#include "worker/module_instance.h"
#include "worker/stack.h"

namespace rbc::worker {
namespace {

constexpr uint32_t kConstructorOutput = 4096;

// The modules by address, for the fault handler of any thread. Lock-free to read: the handler may interrupt anything.
class ModuleList {
 public:
  void Add(const ModuleInstance* module) {
    auto* node = new Node{module, head_.load(std::memory_order_relaxed)};
    head_.store(node, std::memory_order_release);
  }
  void Remove(const ModuleInstance* module) {
    std::atomic<Node*>* link = &head_;
    while (Node* node = link->load(std::memory_order_relaxed)) {
      if (node->module == module) {
        link->store(node->next.load(std::memory_order_relaxed), std::memory_order_release);
        delete node;
        return;
      }
      link = &node->next;
    }
  }
  const char* FunctionAt(const void* address) const {
    for (Node* node = head_.load(std::memory_order_acquire); node != nullptr;
         node = node->next.load(std::memory_order_acquire)) {
      const char* name = node->module->code().FunctionAt(address);
      if (*name != 0) return name;
    }
    return "";
  }

 private:
  struct Node {
    const ModuleInstance* module;
    std::atomic<Node*> next;
    Node(const ModuleInstance* m, Node* n) : module(m), next(n) {}
  };
  std::atomic<Node*> head_{nullptr};
};

ModuleList loaded_modules;
const char* FindLoadedFunction(const void* address) { return loaded_modules.FunctionAt(address); }

void CaptureText(std::string_view text) {
  if (const OutputOfCall output; output) output->Write(text);
}

// Simulated threads run on stacks of their own: a fault is told from an overflow by the stack that it came from.
void NoteStack(uintptr_t low, uintptr_t high) {
  static constinit thread_local uintptr_t own_low = 0, own_high = 0;
  CallContext* context = CurrentContext();
  if (context == nullptr) return;
  if (own_high == 0) {
    own_low = context->stack_low;
    own_high = context->stack_high;
  }
  context->stack_low = high == 0 ? own_low : low;
  context->stack_high = high == 0 ? own_high : high;
}

class ExecuteRole {
 public:
  ExecuteRole(WorkerProcess& process, std::unique_ptr<Target> target, std::unique_ptr<Device> device)
      : process_(process), target_(std::move(target)), device_(std::move(device)), buffers_(*device_) {
    const SpawnBody& spawn = process.spawn;
    share_.ring = process.ring;
    share_.lanes = spawn.lanes;
    lent_lanes_ = std::min(spawn.lent_lanes, spawn.lanes);
    share_.arena = process.arena;
    share_.functions = &functions_;
    share_.limits = {spawn.max_message, spawn.max_string};
    share_.spin_us = spawn.spin_us;
    share_.capture_limit = std::min<uint32_t>(spawn.capture_limit, kCaptureSize);
    share_.may_poll = AllowedCpus() - 1;
    context_.capture = Capture(output_, &output_size_, sizeof output_);
    BuffersOnDevice() = &buffers_;
    DescribeMainStack(&context_);
  }

  // Threads exist and wait when this returns.
  Status StartLanes() {
    pthread_barrier_t started;
    pthread_barrier_init(&started, nullptr, share_.lanes + 1);
    for (uint32_t i = 0; i < share_.lanes; ++i) {
      lanes_.push_back(std::make_unique<LaneRunner>(share_, i));
      const bool lent = i >= share_.lanes - lent_lanes_;
      RBC_RETURN_IF_ERROR(StartOnOwnStack(&lanes_.back()->context(), [lane = lanes_.back().get(), lent, &started] {
        UseAlternateStack();
        if (lent) LetTheWakerRun();
        SetCurrentContext(&lane->context());
        pthread_barrier_wait(&started);
        lane->Run();
      }));
    }
    pthread_barrier_wait(&started);
    pthread_barrier_destroy(&started);  // waits until all have left it: it lies on this stack
    const uint32_t threads = process_.spawn.bulk_threads;
    return threads > 1 ? SharedBulkPool().Start(threads - 1) : Status();
  }

  // Until the control socket closes or the daemon breaks the protocol.
  void Serve() {
    SetCurrentContext(&context_);
    while (receiver_.Receive(kWorkerControlFd) && Handle()) {
    }
  }

 private:
  bool Handle() {
    LoadBody load;
    ModuleBody unload;
    LaneBody lend;
    DataArenaBody arena;
    switch (receiver_.type()) {
      case MessageType::kLoad:
        return receiver_.As(&load) && Load(load);
      case MessageType::kUnload:
        return receiver_.As(&unload) && Unload(unload.module_id);
      case MessageType::kLend:
        return receiver_.As(&lend) && Lend(lend.lane);
      case MessageType::kDataArena:
        return receiver_.As(&arena) && MapDataArena(arena.size);
      default:
        return false;
    }
  }

  bool Load(const LoadBody& load) {
    const auto arena = process_.arena;
    if (load.offset > arena.size() || load.size > arena.size() - load.offset) return false;
    const std::string_view blob(reinterpret_cast<const char*>(arena.data()) + load.offset, load.size);
    const Status status = LoadModule(load.module_id, blob);
    Writer reply;
    reply.Put(load.module_id);
    reply.Put<uint32_t>(status ? 0 : 1);
    reply.Put<uint32_t>(static_cast<uint32_t>(std::min<uint64_t>(load.size, UINT32_MAX)));
    if (!status) {
      Error error = status.error();
      error.diagnostics.clear();
      error.message.resize(std::min<size_t>(error.message.size(), 4096));
      PutError(reply, error);
    }
    return SendPacket(kWorkerControlFd, MessageType::kLoaded, std::string_view(reply.bytes()));
  }

  Status LoadModule(uint64_t id, std::string_view bytes) {
    if (modules_.contains(id))
      return Error(ErrorKind::kInternal, "module " + std::to_string(id) + " is loaded already");
    RBC_ASSIGN_OR_RETURN(LoadBlob blob, ParseLoadBlob(bytes));
    RBC_ASSIGN_OR_RETURN(auto module, ModuleInstance::Make(id, std::move(blob), *device_));
    loaded_modules.Add(module.get());
    const Status constructed = module->RunConstructors(context_);
    if (!constructed && IsSticky(constructed.error())) EndByDevice(constructed.error());
    Status added = constructed;
    size_t count = 0;
    for (const auto& function : module->functions()) {
      if (!added) break;
      if (!functions_.Add(&function)) {
        added = Error(ErrorKind::kInternal, "function id " + std::to_string(function.id) + " is taken already");
        break;
      }
      ++count;
    }
    if (added) {
      modules_.emplace(id, std::move(module));
      return {};
    }
    for (size_t i = 0; i < count; ++i) functions_.Remove(&module->functions()[i]);
    Release(std::move(module));
    return added;
  }

  bool Unload(uint64_t id) {
    auto found = modules_.extract(id);
    if (found.empty()) return false;
    for (const auto& function : found.mapped()->functions()) functions_.Remove(&function);
    Release(std::move(found.mapped()));
    return SendPacket(kWorkerControlFd, MessageType::kUnloaded, ModuleBody{id});
  }

  void Release(std::unique_ptr<ModuleInstance> module) {
    module->RunDestructors(context_);
    loaded_modules.Remove(module.get());
  }

  bool Lend(uint32_t lane) {
    auto& fd = receiver_.fds()[0];
    if (lane >= lanes_.size() || !fd || !lanes_[lane]->Lend(fd.get())) return false;
    fd.Release();
    return true;
  }

  // The mapping keeps the memory; the descriptor goes.
  bool MapDataArena(uint64_t size) {
    const UniqueFd fd = std::move(receiver_.fds()[0]);
    if (!fd || !DataArena().empty()) return false;
    void* const memory = MapForHugePages(fd.get(), size);
    if (memory != MAP_FAILED) DataArena() = {static_cast<uint8_t*>(memory), size};
    return SendPacket(kWorkerControlFd, MessageType::kDataArenaMapped,
                      DataArenaMappedBody{memory == MAP_FAILED ? 1u : 0u, 0});
  }

  WorkerProcess& process_;
  const std::unique_ptr<Target> target_;
  const std::unique_ptr<Device> device_;
  DeviceBuffers buffers_;
  FunctionTable functions_;
  LaneShare share_;
  uint32_t lent_lanes_ = 0;
  CallContext context_;  // of the control thread, for constructors and destructors; what the latter print is not kept
  char output_[kConstructorOutput];
  std::atomic<uint32_t> output_size_{0};
  PacketReceiver receiver_;
  std::vector<std::unique_ptr<LaneRunner>> lanes_;
  std::unordered_map<uint64_t, std::unique_ptr<ModuleInstance>> modules_;
};

Expected<std::unique_ptr<ExecuteRole>> Open(WorkerProcess& process) {
  const SpawnBody& spawn = process.spawn;
  if (spawn.lanes == 0 || spawn.lanes > kMaxLanes || spawn.ring_size < RingSize(spawn.lanes))
    return Error(ErrorKind::kInternal, "a ring of " + std::to_string(spawn.ring_size) + " bytes does not hold " +
                                           std::to_string(spawn.lanes) + " lanes");
  const std::string name(spawn.target, strnlen(spawn.target, sizeof spawn.target));
  const TargetFactory* factory = FindTarget(name);
  if (factory == nullptr) return Error(ErrorKind::kUnknownTarget, "no target is called '" + name + "'");
  SurroundingsOfDevices() = {CaptureText, NoteStack,
                             std::string(spawn.driver, strnlen(spawn.driver, sizeof spawn.driver)),
                             spawn.device_memory};
  auto target = factory->create(*process.nursery->symbols);
  RBC_ASSIGN_OR_RETURN(auto device, target->OpenDevice(spawn.device));
  return std::make_unique<ExecuteRole>(process, std::move(target), std::move(device));
}

// Where no client code runs on the host, what the filter refuses is the driver's doing.
void PrepareForRefusals(const SpawnBody& spawn) {
  if (!HasGpu(spawn)) return;
  SetForbiddenCallHandler(spawn.watch_driver != 0 ? DoDriverCall : NameDriverCall);
  if (spawn.watch_driver != 0) TellThreadsWithoutSignals();
}

}  // namespace

Error RunExecuteRole(WorkerProcess& process) {
  auto role = Open(process);
  if (!role) return std::move(role).error();
  SetFunctionFinder(FindLoadedFunction);
  SetFaultDescriber(simulator::DescribeRunning);
  PrepareForRefusals(process.spawn);
  auto restricted = RestrictProcess(process.nursery->sandbox, process.spawn);
  if (!restricted) return std::move(restricted).error();
  const Status started = (*role)->StartLanes();
  if (!started) return started.error();
  auto locked = FilterSystemCalls(process.nursery->sandbox, process.spawn, *restricted);
  if (!locked) return std::move(locked).error();
  SendPacket(kWorkerControlFd, MessageType::kWorkerReady, *locked);
  (*role)->Serve();
  _exit(0);
}

}  // namespace rbc::worker
