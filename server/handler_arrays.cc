// Maps, reductions and scans.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "server/device_places.h"
#include "server/handler.h"
#include "server/pack_request.h"
#include "server/pinned_target.h"
#include "server/strict_reader.h"

namespace rbc::server {

// The module's functions for many rows; compiled from the stored IR when they are first asked for.
std::shared_ptr<SessionModule> Handler::BulkOf(Session& session, SessionModule& module, BulkKey key,
                                               int64_t request_id) {
  const std::lock_guard lock(module.bulk_mutex);
  if (module.bulk.size() >= kMostBulkEntries && !module.bulk.contains(key)) key.pattern.clear();
  if (const auto made = module.bulk.find(key); made != module.bulk.end()) return made->second;
  const auto& info = *module.info;
  if (info.stateful)
    Throw(ErrorKind::kUnsupported,
          fmt::format("the module of '{}' keeps state in globals, which a map does not share with calls; map a module "
                      "without writable globals",
                      info.functions.front().declaration.symbol));
  const auto ir = OrThrow(StoredOf(module).payload->ir.Unpack());
  std::vector<FunctionDeclaration> functions;
  for (uint32_t i = 0; i < info.functions.size(); ++i)
    if (!key.function || *key.function == i) functions.push_back(info.functions[i].declaration);
  ModuleSource source;
  source.domain = session.domain();
  source.session = session.id();
  source.handle = key.function ? Hasher().Add(Bytes(info.handle)).Add(uint64_t{*key.function}).Finish() : info.handle;
  source.target = &TargetOf(info.target);
  source.target_name = info.target;
  source.functions = &functions;
  source.options = info.options;
  source.options.entry = key.kind;
  source.options.map_pattern = key.pattern;
  source.options.accuracy = key.accuracy;
  source.serial = info.serial;
  source.ir = ir;
  bool cached = false;
  auto made = OrThrow(session.Add(CompileSource(session, source, request_id, &cached)));
  module.bulk.emplace(std::move(key), made);
  return made;
}

void Handler::map_rows(wire::MapReply& reply, const wire::MapRequest& request) {
  const auto mine = session();
  uint32_t index = 0;
  const auto module = FunctionOf(*mine, request.function_id, &index);
  const auto& declaration = module->info->functions[index].declaration;
  auto packed = PackMap(declaration, request, farm_->config().max_message);
  if (!packed) Throw(std::move(packed).error());
  const auto rows = BulkOf(*mine, *module, {}, request.request_id);
  packed->call.function_id = static_cast<int64_t>(rows->function_ids[index]);
  auto outcome = RunOne(*mine, packed->call);
  if (outcome.__isset.error) throw outcome.error;
  reply.result.dtype = packed->result_type;
  reply.result.stride = packed->result_size;
  reply.result.data = std::move(outcome.reply.data);
  if (outcome.reply.__isset.output) reply.__set_output(outcome.reply.output);
  if (outcome.reply.status == 0 || outcome.reply.result.size() != sizeof(int64_t)) return;
  reply.__set_status(outcome.reply.status);
  int64_t row;
  std::memcpy(&row, outcome.reply.result.data(), sizeof row);
  reply.__set_row(row);
}

namespace {

MathAccuracy CheckedAccuracy(wire::MathAccuracy::type accuracy) {
  if (const int32_t number = NumberOf(accuracy);
      number < wire::MathAccuracy::Fast || number > wire::MathAccuracy::Precise)
    Throw(ErrorKind::kInvalidArgument, fmt::format("accuracy {} is none of 0 to 2", number));
  return static_cast<MathAccuracy>(accuracy);
}

// The buffer that a result stays as. It goes again unless its request succeeds.
class KeptResult {
 public:
  KeptResult(Session& session, const std::string& function) : session_(session), function_(function) {}
  ~KeptResult() {
    if (buffer_ == nullptr) return;
    const uint64_t id = buffer_->id();
    buffer_ = nullptr;
    (void)session_.FreeBuffer(id);
  }
  KeptResult(const KeptResult&) = delete;
  KeptResult& operator=(const KeptResult&) = delete;

  // On a device, or (target empty) in the arena.
  Expected<wire::ArrayRef> Make(const std::string& name, const std::string& dtype, const std::vector<int64_t>& shape,
                                const std::string& target) {
    RBC_ASSIGN_OR_RETURN(buffer_, session_.CreateBuffer({name, dtype, shape, false, function_}, target));
    return RefTo(*buffer_);
  }
  Status Fill(std::string_view bytes) const {
    if (buffer_->device() == nullptr) {
      std::memcpy(buffer_->data(), bytes.data(), bytes.size());
      return {};
    }
    RBC_ASSIGN_OR_RETURN(const auto here, session_.CreateBuffer(buffer_->spec(), {}));
    std::memcpy(here->data(), bytes.data(), bytes.size());
    auto copied = session_.CopyArrays(RefTo(*here), RefTo(*buffer_));
    (void)session_.FreeBuffer(here->id());
    return copied;
  }
  std::shared_ptr<const Buffer> Release() { return std::move(buffer_); }

 private:
  static wire::ArrayRef RefTo(const Buffer& buffer) {
    wire::ArrayRef ref;
    ref.dtype = buffer.spec().dtype;
    ref.shape = buffer.spec().shape;
    ref.strides = buffer.strides();
    ref.__set_buffer(static_cast<int64_t>(buffer.id()));
    return ref;
  }

  Session& session_;
  const std::string& function_;
  std::shared_ptr<const Buffer> buffer_;
};

using Clock = std::chrono::steady_clock;

int64_t Nanoseconds(Clock::duration time) { return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count(); }

// How a client repeats a map that found all of its arrays: the very call, with places instead of buffers.
bool IsRepeatable(const wire::ArrayMapRequest& request, const PackedArrays& packed) {
  return request.ready && packed.written && !request.__isset.where;
}
template <typename Request>
bool IsRepeatable(const Request&, const PackedArrays&) {
  return false;
}

// What the worker has not told is time in the queue.
void TellTimes(const wire::CallReply& call, Clock::duration compile, Clock::duration all, wire::ArrayReply* reply) {
  int64_t left = Nanoseconds(all - compile);
  for (const int64_t told : {call.upload_ns, call.kernel_ns, call.download_ns})
    left -= std::clamp<int64_t>(told, 0, left);
  reply->__set_compile_ns(Nanoseconds(compile));
  reply->__set_queue_ns(left);
  reply->__set_upload_ns(call.upload_ns);
  reply->__set_kernel_ns(call.kernel_ns);
  reply->__set_download_ns(call.download_ns);
}

}  // namespace

template <typename Request>
void Handler::RunArrays(wire::ArrayReply& reply, const Request& request, EntryKind kind,
                        Expected<PackedArrays> (*pack)(const ArrayScope&, const Request&)) {
  const auto begin = Clock::now();
  const auto mine = session();
  uint32_t index = 0;
  const auto module = FunctionOf(*mine, request.function_id, &index);
  const bool on_host = PinnedTarget::Of(module->info->target).target == "host";
  const FunctionDeclaration& declaration = module->info->functions[index].declaration;
  DevicePlaces places(module->info->target, declaration.symbol);
  const FindInArena find = [&](const wire::ArrayRef& array) -> Expected<ArrayInArena> {
    RBC_ASSIGN_OR_RETURN(ResolvedArray found, mine->data().Resolve(array));
    if (found.buffer->device() != nullptr) return places.Find(std::move(found));
    return ArrayInArena{found.offset, std::move(found.buffer)};
  };
  KeptResult kept(*mine, declaration.symbol);
  const MakeArray make = [&](const std::string& dtype, const std::vector<int64_t>& shape) {
    return kept.Make(request.keep, dtype, shape, places.target());  // beside the arrays that it is made of
  };
  ArrayScope scope{declaration, farm_->config().max_message, find};
  if (request.__isset.keep) scope.keep = &make;
  auto packed = OrThrow(pack(scope, request));
  reply.result = std::move(packed.result);
  wire::CallReply answer;
  Clock::duration compile{};
  if (packed.empty) {
    if (!reply.result.__isset.buffer) reply.result.__isset.data = true;
    if (!packed.fill.empty()) OrThrow(kept.Fill(packed.fill));
  } else {
    BulkKey key{packed.in_order ? EntryKind::kScan : kind, index, MathAccuracy::kFast, {}};
    if (on_host) key.accuracy = CheckedAccuracy(request.accuracy);
    if (on_host && kind == EntryKind::kMap) key.pattern = packed.pattern;
    const auto asked = Clock::now();
    const auto entries = BulkOf(*mine, *module, key, request.request_id);
    compile = Clock::now() - asked;
    packed.call.function_id = static_cast<int64_t>(entries->function_ids.front());
    const auto use = OrThrow(places.Begin(*mine));
    auto outcome = RunOne(*mine, packed.call, true, !packed.kept.empty(), use ? use->worker.get() : nullptr);
    if (outcome.__isset.error) throw outcome.error;
    answer = std::move(outcome.reply);
    if (IsRepeatable(request, packed)) {
      wire::ReadyCall ready;
      ready.function_id = packed.call.function_id;
      ready.frame = std::move(packed.call.frame);
      reply.__set_ready(ready);
    }
  }
  if (!packed.empty && packed.call.__isset.return_from) {
    reply.result.data = std::move(answer.data);
    reply.result.__isset.data = true;
  }
  if (answer.__isset.output) reply.__set_output(answer.output);
  if (request.profile) TellTimes(answer, compile, Clock::now() - begin, &reply);
  if (const auto stays = kept.Release()) {
    reply.__set_kept(InfoOf(*stays));
    connection_->untold.push_back(stays->id());
  }
  if (answer.status == 0) return;
  reply.__set_status(answer.status);
  if (kind != EntryKind::kMap || answer.result.size() != sizeof(int64_t)) return;
  int64_t row;
  std::memcpy(&row, answer.result.data(), sizeof row);
  reply.__set_row(row);
}

void Handler::map_arrays(wire::ArrayReply& reply, const wire::ArrayMapRequest& request) {
  RunArrays(reply, request, EntryKind::kMap, PackArrayMap);
}

void Handler::reduce_array(wire::ArrayReply& reply, const wire::ArrayReduceRequest& request) {
  RunArrays(reply, request, EntryKind::kReduce, PackReduction);
}

void Handler::scan_array(wire::ArrayReply& reply, const wire::ArrayScanRequest& request) {
  RunArrays(reply, request, EntryKind::kScan, PackScan);
}

}  // namespace rbc::server
