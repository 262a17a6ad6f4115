// The farm's state as JSON.
// SPDX-License-Identifier: Apache-2.0
#include "server/status.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "server/version.h"

namespace rbc::server {
namespace {

using nlohmann::json;

constexpr size_t kMostArrays = 64;  // of a session that are shown

json Targets(const Backend& backend) {
  json out = json::array();
  for (const auto& t : backend.targets())
    out.push_back({{"name", t.name},
                   {"triple", t.triple},
                   {"data_layout", t.data_layout},
                   {"cpu", t.cpu},
                   {"pointer_bits", t.pointer_bits},
                   {"llvm_version", t.llvm_version},
                   {"devices", t.devices},
                   {"simulated", t.simulated}});
  return out;
}

json Devices(const Backend& backend) {
  json out = json::array();
  for (const auto& device : backend.Devices()) {
    const auto& d = device.description;
    out.push_back({{"name", d.name},
                   {"uuid", d.uuid},
                   {"sm", d.sm},
                   {"memory", d.memory},
                   {"free_memory", d.free_memory},
                   {"driver", d.driver},
                   {"contexts", device.contexts},
                   {"max_contexts", device.max_contexts},
                   {"simulated", d.ordinal == kSimulatedDevice}});
  }
  return out;
}

// What of a trust domain is shown to `viewer`: who comes by a token sees his own.
bool IsShown(const std::string& domain, const Peer& viewer) {
  return domain == viewer.domain || !Authenticator::ByToken(viewer.domain);
}

json Workers(const Backend& backend, const std::vector<WorkerStatus>& workers, const Peer& viewer) {
  json out = json::array();
  for (const auto& w : workers) {
    if (!IsShown(w.domain, viewer)) continue;
    out.push_back({{"pid", w.pid},
                   {"role", w.role},
                   {"domain", w.domain},
                   {"target", w.target},
                   {"session", w.session},
                   {"sandbox", backend.SandboxNames(w.sandbox)},
                   {"jobs", w.jobs},
                   {"client_lanes", w.client_lanes},
                   {"state", w.state}});
  }
  return out;
}

// Per role, what is active in every worker of it.
json Sandbox(const Backend& backend, const std::vector<WorkerStatus>& workers) {
  std::map<std::string, uint32_t> bits;
  for (const auto& w : workers) {
    if (w.state == "starting") continue;
    const auto [at, fresh] = bits.emplace(w.role, w.sandbox);
    if (!fresh) at->second &= w.sandbox;
  }
  json out = {{"notes", backend.sandbox_notes()}};
  for (const auto& [role, active] : bits) out[role] = backend.SandboxNames(active);
  return out;
}

// The largest ones. Their names are their owners' alone.
json Arrays(const Session& session, const Peer& viewer) {
  auto all = session.data().All();
  const auto shown = std::min(all.size(), kMostArrays);
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(shown), all.end(),
                    [](const auto& a, const auto& b) { return a->bytes() > b->bytes(); });
  all.resize(shown);
  json out = json::array();
  for (const auto& buffer : all)
    out.push_back({{"id", buffer->id()},
                   {"name", session.domain() == viewer.domain ? buffer->spec().name : ""},
                   {"dtype", buffer->spec().dtype},
                   {"shape", buffer->spec().shape},
                   {"bytes", buffer->bytes()},
                   {"target", buffer->device() == nullptr ? "host" : buffer->device()->target()}});
  return out;
}

json Sessions(SessionTable& table, const Peer& viewer) {
  json out = json::array();
  for (const auto& s : table.All()) {
    if (!IsShown(s->domain(), viewer)) continue;
    out.push_back({{"id", s->id()},
                   {"domain", s->domain()},
                   {"client", s->identity().client},
                   {"namespace", s->identity().name_space},
                   {"local", s->identity().local},
                   {"modules", s->modules()},
                   {"workers", s->workers()},
                   {"buffers", s->data().buffers()},
                   {"data_bytes", s->data().used()},
                   {"arrays", Arrays(*s, viewer)},
                   {"calls", s->calls()}});
  }
  return out;
}

json Connections(const LoopCounters& c) {
  return {{"open", c.open},
          {"lent", c.lent},
          {"accepted", c.accepted},
          {"messages", c.messages},
          {"lends", c.lends},
          {"malformed", c.malformed},
          {"timed_out", c.timed_out},
          {"threads", c.threads},
          {"receive_bytes", c.receive_bytes},
          {"strangers", c.strangers},
          {"tls_failed", c.tls_failed},
          {"tls_evicted", c.tls_evicted}};
}

json Store(const StoreCounters& c, uint64_t limit) {
  return {{"modules", c.modules}, {"bytes", c.bytes},   {"max_bytes", limit},     {"hits", c.hits},
          {"misses", c.misses},   {"joined", c.joined}, {"compiled", c.compiled}, {"evictions", c.evictions}};
}

json Pool(const PoolCounters& c) {
  return {{"compiled", c.compiled},       {"failed", c.failed},  {"crashed", c.crashed},
          {"quarantined", c.quarantined}, {"busy", c.busy},      {"workers_started", c.workers_started},
          {"queued", c.queued},           {"running", c.running}};
}

json Data(const DataTotals& totals, const FarmConfig& config) {
  return {{"bytes", totals.bytes.load()},
          {"buffers", totals.buffers.load()},
          {"spare_bytes", totals.spare.load()},
          {"max_bytes", config.data_max_bytes},
          {"session_bytes", config.data_session_bytes},
          {"max_buffers", config.data_max_buffers}};
}

json Highlights(const FarmConfig& c) {
  return {{"sandbox", c.sandbox},
          {"lend", c.lend},
          {"lanes", c.lanes},
          {"compile_workers", c.compile_workers},
          {"max_message", c.max_message},
          {"call_deadline_ms", c.call_deadline_ms},
          {"compile_deadline_ms", c.compile_deadline_ms},
          {"max_threads", c.max_threads}};
}

}  // namespace

std::string StatusJson(Farm& farm, const Peer& viewer) {
  const auto& backend = farm.backend();
  const auto workers = backend.Status();
  const json out = {{"farm_id", farm.id()},
                    {"version", kFarmVersion},
                    {"build", backend.build()},
                    {"pid", getpid()},
                    {"uptime_ms", farm.uptime_ms()},
                    {"addresses", farm.addresses()},
                    {"targets", Targets(backend)},
                    {"devices", Devices(backend)},
                    {"sandbox", Sandbox(backend, workers)},
                    {"workers", Workers(backend, workers, viewer)},
                    {"sessions", Sessions(farm.sessions(), viewer)},
                    {"modules", farm.session_host().modules.load()},
                    {"connections", Connections(farm.loop_counters())},
                    {"store", Store(farm.store().counters(), farm.config().store_bytes)},
                    {"compile", Pool(farm.backend().compiles().counters())},
                    {"data", Data(farm.session_host().data, farm.config())},
                    {"names", {{"published", farm.names().size()}, {"bytes", farm.names().bytes()}}},
                    {"config", Highlights(farm.config())}};
  return out.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace rbc::server
