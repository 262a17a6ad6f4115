// The service's methods behind Thrift's generated processor; all but the usual `call`. One file for each kind of
// request.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gen/Farm.h"
#include "server/array_request.h"
#include "server/chain.h"
#include "server/farm.h"
#include "server/session/session.h"
#include "server/throw.h"

namespace rbc::server {

// A request that waits in the farm itself, for as long as it does.
class Waiting {
 public:
  Waiting(Session& session, int64_t request_id, uint64_t connection, bool runs = false)
      : session_(session), token_(session.BeginRequest(request_id, connection, runs)) {}
  ~Waiting() { session_.EndRequest(*token_); }
  const std::shared_ptr<CancelToken>& token() const { return token_; }

 private:
  Session& session_;
  const std::shared_ptr<CancelToken> token_;
};

// How the wire describes it.
wire::BufferInfo InfoOf(const Buffer& buffer);

// One thread's. Errors are thrown as wire::FarmError (throw.h).
class Handler final : public wire::FarmIf {
 public:
  void Begin(Farm* farm, Connection* connection, bool may_block) {
    farm_ = farm;
    connection_ = connection;
    may_block_ = may_block;
    in_chain_ = false;
    made_ = {};
  }

  void hello(wire::HelloReply& reply, const wire::HelloRequest& request) override;
  void attach(wire::HelloReply& reply, const wire::AttachRequest& request) override;
  void bye() override;
  void targets(std::vector<wire::TargetInfo>& reply) override;
  void compile(wire::CompileReply& reply, const wire::CompileRequest& request) override;
  void emit(wire::EmitReply& reply, const wire::EmitRequest& request) override;
  void call(wire::CallReply& reply, const wire::CallRequest& request) override;
  void call_batch(std::vector<wire::CallOutcome>& reply, const std::vector<wire::CallRequest>& requests) override;
  void map_rows(wire::MapReply& reply, const wire::MapRequest& request) override;
  void launch(wire::CallReply& reply, const wire::LaunchRequest& request) override;
  void map_arrays(wire::ArrayReply& reply, const wire::ArrayMapRequest& request) override;
  void reduce_array(wire::ArrayReply& reply, const wire::ArrayReduceRequest& request) override;
  void scan_array(wire::ArrayReply& reply, const wire::ArrayScanRequest& request) override;
  void chain(std::vector<wire::ChainOutcome>& reply, const wire::ChainRequest& request) override;
  void unload(const int64_t module_id) override;
  void publish(const wire::PublishRequest& request) override;
  void withdraw(const std::string& name) override;
  void lookup(wire::PublishedFunction& reply, const std::string& name) override;
  void get_ir(std::string& reply, const int64_t module_id) override;
  bool cancel(const int64_t request_id) override;
  void outcome(wire::CallOutcome& reply, const int64_t request_id) override;
  void status(wire::FarmStatus& reply) override;
  void ring(wire::RingReply& reply, const int64_t function_id) override;
  void ring_reply(std::string& reply) override;
  void buffer_create(wire::BufferInfo& reply, const wire::BufferSpec& spec) override;
  void buffer_free(const int64_t id) override;
  void buffer_copy(const wire::ArrayRef& source, const wire::ArrayRef& destination) override;
  void buffers(std::vector<wire::BufferInfo>& reply) override;
  void buffer_info(wire::BufferInfo& reply, const int64_t id) override;
  bool buffer_recall(const int64_t id, const std::string& digest) override;
  void arena(wire::ArenaReply& reply) override;

 private:
  std::shared_ptr<Session> session() const { return OrThrow(farm_->SessionOf(*connection_)); }
  std::shared_ptr<SessionModule> ModuleOf(Session& session, int64_t id) const;
  const TargetInfo& TargetOf(const std::string& name) const;
  StoredModule Stored(const Session& session, const wire::CompileRequest& request, const TargetInfo& target,
                      const CompileOptions& options);
  StoredModule StoredOf(const SessionModule& module) const;
  StoredModule CompileSource(Session& session, ModuleSource& source, int64_t request_id, bool* cached);
  void Authenticate(const std::string* token);
  void Join(std::shared_ptr<Session> session, wire::HelloReply* reply);
  wire::CallOutcome RunOne(Session& session, const wire::CallRequest& request, bool over_arrays = false,
                           bool in_arena = false, const ExecutionWorker* only = nullptr,
                           std::shared_ptr<ExecutionWorker>* ran_in = nullptr);
  // The request with the buffers that it names, if it names any: `pack` makes the call that the worker gets.
  template <typename Request, typename Pack>
  wire::CallOutcome RunWithBuffers(Session& session, const Request& request, Pack&& pack,
                                   std::shared_ptr<ExecutionWorker>* ran_in = nullptr);
  // `ran_in`: in a worker that has the arena, told there.
  wire::CallOutcome RunCall(Session& session, const wire::CallRequest& request,
                            std::shared_ptr<ExecutionWorker>* ran_in = nullptr);
  // The same of a call that keeps its arrays. Throws.
  wire::CallOutcome RunKept(Session& session, const wire::CallRequest& request);
  // One of a batch: its errors are its outcome.
  wire::CallOutcome RunRow(Session& session, const wire::CallRequest& request);
  std::shared_ptr<SessionModule> FunctionOf(Session& session, int64_t function_id, uint32_t* index) const;
  std::shared_ptr<SessionModule> BulkOf(Session& session, SessionModule& module, BulkKey key, int64_t request_id);
  template <typename Request>
  void RunArrays(wire::ArrayReply& reply, const Request& request, EntryKind kind,
                 Expected<PackedArrays> (*pack)(const ArrayScope&, const Request&));
  void RunStep(const ReadyStep& ready, wire::ChainOutcome* outcome);

  Farm* farm_ = nullptr;
  Connection* connection_ = nullptr;
  bool may_block_ = true;
  bool in_chain_ = false;                 // what becomes of a step is no call's outcome
  std::span<const wire::ArrayRef> made_;  // of the step that runs: ReadyStep
};

}  // namespace rbc::server
