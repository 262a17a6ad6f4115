// The door to a farm.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/remote_jit.h"

#include <fmt/format.h>

#include "client/src/core.h"
#include "client/src/recall.h"
#include "client/src/symbols.h"
#include "thrift/error_wire.h"

namespace rbc {
namespace {

client::Packing PackingOf(RemoteJIT::Saving choice) {
  if (choice == RemoteJIT::Saving::kOff) return client::Packing::kNone;
  return choice == RemoteJIT::Saving::kOn ? client::Packing::kAlways : client::Packing::kWhereFaster;
}

}  // namespace

RemoteJIT::RemoteJIT(std::string_view address) : RemoteJIT(address, Options()) {}

RemoteJIT::RemoteJIT(std::string_view address, Options options) : core_(std::make_shared<detail::Core>()) {
  client::Endpoint endpoint = ValueOrThrow(client::ChooseFarm(address));
  if (!options.token.empty()) endpoint.token = options.token;
  if (!options.name_space.empty()) endpoint.name_space = options.name_space;
  if (!options.ca.empty()) endpoint.tls.ca = options.ca;
  if (!options.certificate.empty()) {
    endpoint.tls.certificate = options.certificate;
    endpoint.tls.key = options.key;
  }
  client::FarmOptions farm_options;
  if (options.connect_timeout.count() > 0) farm_options.connect_timeout_ms = options.connect_timeout.count();
  farm_options.direct = options.direct;
  farm_options.packing = PackingOf(ValueOrThrow(client::SavingChoice(options.compress, "RBC_COMPRESS")));
  core_->options = std::move(options);
  core_->options.recall = ValueOrThrow(client::SavingChoice(core_->options.recall, "RBC_RECALL"));
  core_->farm = client::Farm::Create(std::move(endpoint), farm_options);
}

const std::string& RemoteJIT::address() const { return core_->farm->address().text; }

Caller RemoteJIT::function(Source source, std::string name, const std::vector<std::string>& signatures,
                           FunctionOptions options) const {
  auto state = std::make_shared<detail::CallerState>(core_, std::move(source), std::move(name), std::move(options));
  state->defined = client::DefinedFunctions(state->source.ir());
  state->SetUp(state->options.target.empty() ? core_->options.target : state->options.target);
  for (const std::string& signature : signatures) ValueOrThrow(state->Add(signature));
  return Caller(std::move(state), 0);
}

Caller RemoteJIT::connect(const std::string& name) const {
  auto module = ValueOrThrow(core_->farm->Connect(name, core_->DeadlineOf(0)));
  auto overload = ValueOrThrow(detail::MakeOverload(module->declarations()[0].signature));
  auto prepared = std::make_shared<detail::Prepared>();
  prepared->target = module->target();
  prepared->overloads = {overload};
  prepared->types = {overload->type};
  prepared->declared = {size_t{0}};
  prepared->module = std::move(module);
  auto state = std::make_shared<detail::CallerState>(core_, Source::Ir(""), name, FunctionOptions());
  state->Adopt(std::move(prepared), {std::move(overload)});
  return Caller(std::move(state), 0);
}

void RemoteJIT::withdraw(const std::string& name) const {
  ValueOrThrow(core_->farm->Ask(core_->DeadlineOf(0), [&](wire::FarmClient& client) { client.withdraw(name); }));
}

Result<std::vector<TargetDescription>> RemoteJIT::try_targets() const {
  RBC_ASSIGN_OR_RETURN(const auto targets, core_->farm->Ask(core_->DeadlineOf(0), [](wire::FarmClient& client) {
    std::vector<wire::TargetInfo> out;
    client.targets(out);
    return out;
  }));
  std::vector<TargetDescription> out;
  for (const wire::TargetInfo& t : targets) {
    out.push_back({t.name, t.triple, t.data_layout, t.cpu, t.llvm_version, t.pointer_bits, t.devices, t.simulated});
    for (const wire::DeviceInfo& d : t.device_infos)
      out.back().device_infos.push_back(
          {d.number, d.name, d.uuid, d.sm, d.memory, d.free_memory, d.driver, d.contexts, d.max_contexts, d.simulated});
  }
  return out;
}

Result<std::string> RemoteJIT::try_status() const {
  return core_->farm->Ask(core_->DeadlineOf(0), [](wire::FarmClient& client) {
    wire::FarmStatus status;
    client.status(status);
    return std::move(status.json);
  });
}

Result<Emitted> RemoteJIT::try_emit(const Source& source, EmitKind emit, FunctionOptions options) const {
  wire::EmitRequest request;
  request.target = options.target.empty() ? core_->options.target : options.target;
  request.options.opt_level = options.opt_level;
  request.options.debug = options.debug;
  request.options.allow_contract = options.allow_contract;
  request.sm = options.sm;
  request.ir = source.ir();
  request.emit = static_cast<wire::Emit::type>(emit);
  const client::Deadline deadline = core_->DeadlineOf(0);
  request.deadline_ms = std::max(1, deadline.RemainingMs());
  RBC_ASSIGN_OR_RETURN(wire::EmitReply reply, core_->farm->Ask(deadline, [&](wire::FarmClient& client) {
    request.request_id = core_->farm->NextRequestId();
    wire::EmitReply out;
    client.emit(out, request);
    return out;
  }));
  Emitted out{.code = std::move(reply.code), .warnings = FromWire(reply.warnings), .timings_us = {}};
  for (const auto& timing : reply.timings) out.timings_us.emplace_back(timing.phase, timing.us);
  return out;
}

void RemoteJIT::close() const { core_->farm->Close(); }

}  // namespace rbc
