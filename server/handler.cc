// The service's methods: sessions, modules, names, status; and what the processor is called with.
// SPDX-License-Identifier: Apache-2.0
#include "server/handler.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <thrift/protocol/TBinaryProtocol.h>

#include <cstring>

#include "gen/rbc_constants.h"
#include "server/frame_writer.h"
#include "server/pinned_target.h"
#include "server/status.h"
#include "server/strict_reader.h"
#include "server/version.h"
#include "thrift/handle.h"
#include "worker/protocol.h"

namespace rbc::server {
namespace {

using apache::thrift::protocol::TBinaryProtocol;

constexpr std::string_view kCallHead("\x80\x01\x00\x01", 4);

wire::TargetInfo ToWire(const TargetInfo& target) {
  wire::TargetInfo out;
  out.name = target.name;
  out.triple = target.triple;
  out.data_layout = target.data_layout;
  out.cpu = target.cpu;
  out.pointer_bits = static_cast<int32_t>(target.pointer_bits);
  out.devices = target.devices;
  out.simulated = target.simulated;
  out.llvm_version = target.llvm_version;
  return out;
}

std::vector<wire::DeviceInfo> ToWire(const std::vector<DeviceStatus>& devices) {
  std::vector<wire::DeviceInfo> out(devices.size());
  for (size_t i = 0; i < devices.size(); ++i) {
    const auto& d = devices[i].description;
    out[i].number = static_cast<int32_t>(i);
    out[i].name = d.name;
    out[i].uuid = d.uuid;
    out[i].sm = static_cast<int32_t>(d.sm);
    out[i].memory = static_cast<int64_t>(d.memory);
    out[i].free_memory = static_cast<int64_t>(d.free_memory);
    out[i].driver = d.driver;
    out[i].contexts = static_cast<int32_t>(devices[i].contexts);
    out[i].max_contexts = static_cast<int32_t>(devices[i].max_contexts);
    out[i].simulated = d.ordinal == kSimulatedDevice;
  }
  return out;
}

wire::FunctionInfo FunctionInfoOf(const SessionModule& module, size_t index) {
  const auto& function = module.info->functions[index];
  wire::FunctionInfo out;
  out.function_id = static_cast<int64_t>(module.function_ids[index]);
  out.symbol = function.declaration.symbol;
  out.signature = function.declaration.signature;
  out.abi = static_cast<wire::Abi::type>(function.declaration.abi);
  out.frame_size = static_cast<int32_t>(function.frame_size);
  out.result_size = static_cast<int32_t>(function.result_size);
  if (!function.read_only.empty()) out.__set_read_only({function.read_only.begin(), function.read_only.end()});
  return out;
}

std::vector<wire::Timing> ToWire(const std::vector<std::pair<std::string, uint32_t>>& timings) {
  std::vector<wire::Timing> out(timings.size());
  for (size_t i = 0; i < timings.size(); ++i) {
    out[i].phase = timings[i].first;
    out[i].us = timings[i].second;
  }
  return out;
}

// `least`: how many there must be. None means the whole module as it is.
std::vector<FunctionDeclaration> CheckedDeclarations(const std::vector<wire::FunctionDeclaration>& functions,
                                                     size_t least = 1) {
  if (functions.size() < least)
    Throw(ErrorKind::kInvalidArgument, "the module declares no function; declare at least one");
  std::vector<FunctionDeclaration> out;
  out.reserve(functions.size());
  for (const auto& f : functions) {
    if (f.symbol.empty() || f.signature.empty())
      Throw(ErrorKind::kInvalidArgument, fmt::format("declaration {} has no symbol or no signature", out.size()));
    if (const int32_t abi = NumberOf(f.abi); abi < wire::Abi::Direct || abi > wire::Abi::Kernel)
      Throw(ErrorKind::kInvalidArgument, fmt::format("{} declares abi {}; 0 to 3 are known", f.symbol, abi));
    out.push_back({f.symbol, f.signature, static_cast<Abi>(f.abi)});
  }
  return out;
}

CompileOptions CheckedOptions(const wire::CompileOptions& options) {
  if (options.opt_level < 0 || options.opt_level > 3)
    Throw(ErrorKind::kInvalidArgument, fmt::format("optimisation level {} is none of 0 to 3", options.opt_level));
  CompileOptions out;
  out.opt_level = static_cast<uint8_t>(options.opt_level);
  out.debug = options.debug;
  out.allow_contract = options.allow_contract;
  return out;
}

// Code for a GPU is made for the one that will run it.
CompileOptions ForTarget(CompileOptions options, const TargetInfo& target) {
  if (!target.name.starts_with("cuda")) return options;
  options.simulate = target.simulated;
  if (!target.simulated && target.cpu.starts_with("sm_"))
    options.sm = static_cast<uint32_t>(std::strtoul(target.cpu.c_str() + 3, nullptr, 10));
  return options;
}

uint32_t CheckedDeadline(int32_t deadline_ms) {
  if (deadline_ms < 0)
    Throw(ErrorKind::kInvalidArgument, fmt::format("the deadline is {} ms; give 0 or more", deadline_ms));
  return static_cast<uint32_t>(deadline_ms);
}

}  // namespace

void Handler::Join(std::shared_ptr<Session> session, wire::HelloReply* reply) {
  if (connection_->session != nullptr) farm_->sessions().Detach(connection_->session, false);
  const auto& identity = session->identity();
  reply->protocol_major = wire::g_rbc_constants.PROTOCOL_MAJOR;
  reply->protocol_minor = wire::g_rbc_constants.PROTOCOL_MINOR;
  reply->farm_id = farm_->id();
  reply->session_id = static_cast<int64_t>(identity.id);
  reply->secret.assign(identity.secret.data(), identity.secret.size());
  reply->lease_ms = farm_->sessions().LeaseMs(identity.local);
  reply->farm_version = kFarmVersion;
  const auto& all = farm_->backend().targets();
  reply->llvm_version = all.empty() ? "" : all.front().llvm_version;
  for (const auto& target : all) reply->targets.push_back(ToWire(target));
  reply->max_message = static_cast<int64_t>(farm_->config().max_message);
  connection_->session = std::move(session);
}

// From here on the connection is of the trust domain that the token stands for.
void Handler::Authenticate(const std::string* token) {
  auto domain = farm_->authenticator().DomainFor(connection_->peer, token, WallClockMs());
  if (!domain) {
    spdlog::info("connection {} of {}: {}", connection_->id, connection_->peer.domain, domain.error().message);
    Throw(std::move(domain).error());
  }
  connection_->peer.domain = *std::move(domain);
}

void Handler::hello(wire::HelloReply& reply, const wire::HelloRequest& request) {
  const auto& ours = wire::g_rbc_constants;
  if (request.protocol_major != ours.PROTOCOL_MAJOR)
    Throw(ErrorKind::kProtocolMismatch,
          fmt::format("the client speaks protocol {}.{}, this farm {}.{}; update the older side",
                      request.protocol_major, request.protocol_minor, ours.PROTOCOL_MAJOR, ours.PROTOCOL_MINOR));
  if (connection_->over_limit)
    Throw(ErrorKind::kResourceExhausted,
          fmt::format("connections of this farm: {} in use, 1 asked for, {} allowed; close some or try again later",
                      farm_->loop_counters().open - 1, farm_->config().max_connections));
  Authenticate(request.__isset.token ? &request.token : nullptr);
  const auto& domain = connection_->peer.domain;
  const std::string name_space =
      request.__isset.name_space ? request.name_space : Authenticator::DefaultNamespace(domain);
  OrThrow(CheckName("namespace", name_space));
  if (!Authenticator::MayEnter(name_space, domain))
    Throw(ErrorKind::kPermissionDenied,
          fmt::format("the namespace {} is not that of {}; choose another one", name_space, domain));
  Join(OrThrow(farm_->sessions().Create(connection_->peer, name_space, request.client)), &reply);
  spdlog::debug("session {} of {} begins", connection_->session->id(), connection_->peer.domain);
}

void Handler::attach(wire::HelloReply& reply, const wire::AttachRequest& request) {
  if (request.farm_id != farm_->id()) {
    Error error(ErrorKind::kWrongFarm, "the session lives on another farm; go there or say hello here");
    if (const auto at = request.farm_id.find('@'); at != std::string::npos)
      error.address = request.farm_id.substr(at + 1);
    Throw(error);
  }
  if (connection_->over_limit) Throw(NoThread(farm_->config().max_threads));
  Authenticate(request.__isset.token ? &request.token : nullptr);
  Join(OrThrow(farm_->sessions().Attach(connection_->peer, static_cast<uint64_t>(request.session_id), request.secret)),
       &reply);
}

void Handler::bye() {
  const auto ending = session();
  connection_->session = nullptr;
  farm_->sessions().End(ending);
}

void Handler::targets(std::vector<wire::TargetInfo>& reply) {
  session();
  const auto devices = ToWire(farm_->backend().Devices());
  for (const auto& target : farm_->backend().targets()) {
    reply.push_back(ToWire(target));
    if (target.name.starts_with("cuda")) reply.back().__set_device_infos(devices);
  }
}

const TargetInfo& Handler::TargetOf(const std::string& name) const {
  std::string known;
  const auto pinned = PinnedTarget::Of(name);
  for (const auto& target : farm_->backend().targets()) {
    if (target.name == pinned.target) {
      if (pinned.device < 0 || static_cast<size_t>(pinned.device) < target.devices.size()) return target;
      Throw(ErrorKind::kUnknownTarget, fmt::format("target \"{}\" has {} devices, and no number {}", target.name,
                                                   target.devices.size(), pinned.device));
    }
    known += (known.empty() ? "" : ", ") + target.name;
  }
  Throw(ErrorKind::kUnknownTarget, fmt::format("this farm has no target \"{}\"; it has {}", name, known));
}

std::shared_ptr<SessionModule> Handler::ModuleOf(Session& session, int64_t id) const {
  auto module = session.FindModule(static_cast<uint64_t>(id));
  if (module == nullptr) Throw(ErrorKind::kUnknownModule, fmt::format("this session has no module {}", id));
  return module;
}

StoredModule Handler::StoredOf(const SessionModule& module) const {
  auto stored = farm_->store().Find(module.info->key);
  if (!stored)
    Throw(ErrorKind::kUnknownModule, fmt::format("the IR of module {} is no longer kept; send it again", module.id));
  return *std::move(stored);
}

StoredModule Handler::Stored(const Session& session, const wire::CompileRequest& request, const TargetInfo& target,
                             const CompileOptions& options) {
  Digest handle;
  std::memcpy(handle.data(), request.handle.data(), handle.size());
  const auto key = ArtifactKey(session.domain(), handle, target, options, request.options.serial);
  auto stored = farm_->store().Find(key);
  if (!stored || request.recache) Throw(ErrorKind::kUnknownModule, "the farm does not have this module; send its IR");
  return *std::move(stored);
}

StoredModule Handler::CompileSource(Session& session, ModuleSource& source, int64_t request_id, bool* cached) {
  if (!may_block_) {
    const auto key = ArtifactKey(source.domain, source.handle, *source.target, source.options, source.serial);
    auto stored = farm_->store().Find(key);
    if (!stored || source.recache) Throw(NoThread(farm_->config().max_threads));
    *cached = true;
    return *std::move(stored);
  }
  const Waiting waiting(session, request_id, connection_->id);
  auto stored = farm_->store().Compile(source, waiting.token(), cached);
  if (!stored) {
    spdlog::info("session {}: compile {}: {}: {}", session.id(), Hex(source.handle).substr(0, 16),
                 Name(stored.error().kind), stored.error().message);
    Throw(std::move(stored).error());
  }
  return *std::move(stored);
}

void Handler::compile(wire::CompileReply& reply, const wire::CompileRequest& request) {
  const auto mine = session();
  if (request.handle.size() != sizeof(Digest))
    Throw(ErrorKind::kInvalidArgument, fmt::format("the handle has {} bytes; it must have 32", request.handle.size()));
  const auto& target = TargetOf(request.target);
  const auto options = ForTarget(CheckedOptions(request.options), target);
  StoredModule stored;
  reply.cached = true;
  if (request.__isset.ir) {
    const auto functions = CheckedDeclarations(request.functions);
    const Digest handle = HandleOf(request.target, request.functions, request.options, request.ir);
    if (Bytes(handle) != request.handle)
      Throw(ErrorKind::kInvalidArgument, "the handle does not match the module; it may have been damaged on its way");
    ModuleSource source;
    source.domain = mine->domain();
    source.session = mine->id();
    source.handle = handle;
    source.target = &target;
    source.target_name = request.target;
    source.functions = &functions;
    source.options = options;
    source.serial = request.options.serial;
    source.ir = request.ir;
    source.deadline_ms = CheckedDeadline(request.deadline_ms);
    source.recache = request.recache;
    stored = CompileSource(*mine, source, request.request_id, &reply.cached);
  } else {
    stored = Stored(*mine, request, target, options);
  }
  const auto module = OrThrow(mine->Add(stored));
  reply.handle = request.handle;
  reply.module_id = static_cast<int64_t>(module->id);
  for (size_t i = 0; i < module->function_ids.size(); ++i) reply.functions.push_back(FunctionInfoOf(*module, i));
  reply.warnings = rbc::ToWire(stored.payload->artifact.warnings);
  if (!reply.cached) reply.timings = ToWire(stored.payload->artifact.timings_us);
  reply.stateful = module->info->stateful;
  reply.repeatable = module->info->repeatable;
}

void Handler::emit(wire::EmitReply& reply, const wire::EmitRequest& request) {
  const auto mine = session();
  const auto& target = TargetOf(request.target);
  auto options = ForTarget(CheckedOptions(request.options), target);
  const auto functions = CheckedDeclarations(request.functions, 0);
  if (const int32_t emit = NumberOf(request.emit); emit < wire::Emit::Object || emit > wire::Emit::Cubin)
    Throw(ErrorKind::kInvalidArgument, fmt::format("emit {} is none of 0 to 4", emit));
  options.emit = static_cast<Emit>(request.emit);
  if (request.sm != 0) {
    if (request.sm < 0 || !target.name.starts_with("cuda"))
      Throw(ErrorKind::kInvalidArgument, fmt::format("sm {} is no GPU of target '{}'", request.sm, target.name));
    options.sm = static_cast<uint32_t>(request.sm);
  }
  if (!may_block_) Throw(NoThread(farm_->config().max_threads));
  const Waiting waiting(*mine, request.request_id, connection_->id);
  const worker::CompileJob job{target.name, functions, options, request.ir};
  const Digest handle = HandleOf(request.target, request.functions, request.options, request.ir);
  CompileTask task;
  task.domain = mine->domain();
  task.client = mine->id();
  task.key = Hasher()
                 .Add(Bytes(ArtifactKey(task.domain, handle, target, options, false)))
                 .Add(uint64_t(request.emit))
                 .Add(uint64_t(options.sm))
                 .Finish();
  task.job = &job;
  task.deadline_ms = CheckedDeadline(request.deadline_ms);
  task.cancel = waiting.token();
  auto artifact = OrThrow(farm_->backend().compiles().Compile(task));
  reply.code = std::move(artifact.code);
  reply.warnings = rbc::ToWire(artifact.warnings);
  reply.timings = ToWire(artifact.timings_us);
}

void Handler::unload(const int64_t module_id) { OrThrow(session()->Unload(static_cast<uint64_t>(module_id))); }

void Handler::publish(const wire::PublishRequest& request) {
  const auto mine = session();
  const auto module = ModuleOf(*mine, request.module_id);
  uint32_t index = 0;
  if (mine->FindFunction(static_cast<uint64_t>(request.function_id), &index) != module)
    Throw(ErrorKind::kInvalidArgument,
          fmt::format("function {} is none of module {}", request.function_id, request.module_id));
  OrThrow(CheckName("name", request.name));
  if (request.__isset.expires_ms && request.expires_ms <= 0)
    Throw(ErrorKind::kInvalidArgument, fmt::format("the name expires in {} ms; give more than 0", request.expires_ms));
  PublishedName name;
  name.name_space = mine->identity().name_space;
  name.name = request.name;
  name.owner = mine->domain();
  constexpr int64_t kLongest = 100ll * 365 * 24 * 3'600'000;
  if (request.__isset.expires_ms) name.expires_ms = WallClockMs() + std::min(request.expires_ms, kLongest);
  name.target = module->info->target;
  name.handle = module->info->handle;
  name.options = module->info->options;
  name.serial = module->info->serial;
  for (const auto& function : module->info->functions) name.functions.push_back(function.declaration);
  name.function = index;
  name.ir = StoredOf(*module).payload->ir;
  OrThrow(farm_->names().Publish(name));
  spdlog::info("{} publishes {} in namespace {}", name.owner, name.name, name.name_space);
}

void Handler::withdraw(const std::string& name) {
  const auto mine = session();
  OrThrow(farm_->names().Withdraw(mine->identity().name_space, name, mine->domain()));
}

void Handler::lookup(wire::PublishedFunction& reply, const std::string& name) {
  const auto mine = session();
  const auto published = OrThrow(farm_->names().Lookup(mine->identity().name_space, name));
  const auto& target = TargetOf(published.target);
  const auto ir = OrThrow(published.ir.Unpack());
  ModuleSource source;
  source.domain = mine->domain();
  source.session = mine->id();
  source.handle = published.handle;
  source.target = &target;
  source.target_name = published.target;
  source.functions = &published.functions;
  source.options = ForTarget(published.options, target);
  source.serial = published.serial;
  source.ir = ir;
  bool cached = false;
  const auto module = OrThrow(mine->Add(CompileSource(*mine, source, 0, &cached)));
  reply.name = published.name;
  reply.owner = published.owner;
  reply.info = FunctionInfoOf(*module, published.function);
  reply.handle.assign(Bytes(published.handle));
  reply.target = published.target;
  reply.module_id = static_cast<int64_t>(module->id);
}

void Handler::get_ir(std::string& reply, const int64_t module_id) {
  const auto mine = session();
  reply = OrThrow(StoredOf(*ModuleOf(*mine, module_id)).payload->ir.Unpack());
}

void Handler::status(wire::FarmStatus& reply) {
  session();
  reply.farm_id = farm_->id();
  reply.farm_version = kFarmVersion;
  const auto& all = farm_->backend().targets();
  reply.llvm_version = all.empty() ? "" : all.front().llvm_version;
  reply.pid = getpid();
  reply.uptime_ms = farm_->uptime_ms();
  reply.json = StatusJson(*farm_, connection_->peer);
}

void Handler::ring(wire::RingReply& reply, const int64_t function_id) {
  const auto mine = session();
  if (!farm_->config().direct) Throw(ErrorKind::kUnsupported, "this farm shares no lanes (sessions.direct)");
  if (!connection_->peer.local)
    Throw(ErrorKind::kUnsupported, "a lane is shared with clients on this machine only; connect by the Unix socket");
  if (!may_block_) Throw(NoThread(farm_->config().max_threads));
  uint32_t index = 0;
  const auto module = mine->FindFunction(static_cast<uint64_t>(function_id), &index);
  if (module == nullptr)
    Throw(ErrorKind::kUnknownModule, fmt::format("this session has no function {:#x}", function_id));
  const auto worker = OrThrow(mine->Loaded(*module));
  if (connection_->ring_worker != nullptr) connection_->ring_worker->CloseDirect(connection_->id);
  connection_->ring_worker = nullptr;
  const auto lane = worker->OpenDirect(connection_->id);
  if (!lane) {
    Error busy(ErrorKind::kBusy, "no lane of the session's worker is free to be shared");
    busy.retry_after_ms = 1000;
    busy.retry_safe = true;
    Throw(std::move(busy));
  }
  mine->outcomes().LentEnded();  // from here on calls run that this process does not see
  connection_->ring_worker = worker;
  connection_->send_fd = lane->fd;
  reply.layout = worker::kLaneLayout;
  reply.size = static_cast<int64_t>(lane->size);
  reply.lanes = static_cast<int32_t>(lane->lanes);
  reply.lane = static_cast<int32_t>(lane->lane);
}

void Handler::ring_reply(std::string& reply) {
  if (connection_->ring_worker == nullptr) Throw(ErrorKind::kInvalidArgument, "this connection has no ring");
  OrThrow(connection_->ring_worker->DirectReply(connection_->id, &reply));
}

bool Dispatch(Farm& farm, Connection& connection, std::string_view framed, bool may_block, std::string* reply) {
  static thread_local const auto handler = std::make_shared<Handler>();
  static thread_local wire::FarmProcessor processor(handler);
  const auto message = framed.substr(4);
  // A strict message that calls; nothing else is for a server.
  if (message.substr(0, kCallHead.size()) != kCallHead) return false;
  try {
    const auto out = std::make_shared<FrameWriter>();
    const auto read = std::make_shared<StrictReader>(message, farm.config());
    const auto write = std::make_shared<TBinaryProtocol>(out);
    handler->Begin(&farm, &connection, may_block);
    processor.process(read, write, nullptr);
    if (out->empty()) return false;
    *reply = out->Take();
    return true;
  } catch (const std::exception& malformed) {
    spdlog::debug("connection {}: {}", connection.id, malformed.what());
    return false;
  }
}

}  // namespace rbc::server
