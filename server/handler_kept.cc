// Calls whose array results stay in the session: the worker holds them until it is told their places.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstring>

#include "server/handler.h"
#include "server/session/ask_worker.h"
#include "types/array.h"
#include "types/frame.h"
#include "worker/kept_frame.h"

namespace rbc::server {
namespace {

// Buffers for results; they go again unless Release() is called.
class NewBuffers {
 public:
  NewBuffers(Session& session, const std::string& function) : session_(session), function_(function) {}
  ~NewBuffers() {
    for (const auto& buffer : buffers_) (void)session_.FreeBuffer(buffer->id());
  }
  NewBuffers(const NewBuffers&) = delete;
  NewBuffers& operator=(const NewBuffers&) = delete;

  // For the array at `slot` of the result.
  Status Add(const types::FrameSlot& slot, const std::string& result, const std::string& name) {
    auto array = types::LoadFrameArray(result.data() + slot.offset, slot.type.rank());
    RBC_ASSIGN_OR_RETURN(
        auto buffer,
        session_.CreateBuffer({name, slot.type.element().ToString(), std::move(array.shape), false, function_}, {}));
    buffers_.push_back(std::move(buffer));
    return {};
  }
  const std::vector<std::shared_ptr<const Buffer>>& all() const { return buffers_; }
  void Release() { buffers_.clear(); }

 private:
  Session& session_;
  const std::string& function_;
  std::vector<std::shared_ptr<const Buffer>> buffers_;
};

// Tells the worker where its results number `number` go; nowhere: it drops them.
Status Place(ExecutionWorker& worker, uint64_t number, const std::vector<std::shared_ptr<const Buffer>>& buffers,
             const FarmConfig& config) {
  const worker::KeptHead head{worker::kKeptMagic, static_cast<uint32_t>(buffers.size()), number};
  std::string frame(reinterpret_cast<const char*>(&head), sizeof head);
  for (const auto& buffer : buffers) {
    const uint64_t place = buffer->offset();
    frame.append(reinterpret_cast<const char*>(&place), sizeof place);
  }
  return AskWorker(worker, worker::kKeptResultsFunction, frame, config);
}

}  // namespace

wire::CallOutcome Handler::RunKept(Session& session, const wire::CallRequest& request) {
  uint32_t index = 0;
  const auto module = FunctionOf(session, request.function_id, &index);
  const auto& declaration = module->info->functions[index].declaration;
  const auto layout = OrThrow(types::FrameLayout::Make(OrThrow(types::Type::Parse(declaration.signature))));
  if (!layout.returns_arrays())
    Throw(ErrorKind::kInvalidArgument,
          fmt::format("'{}' returns no array that could be kept; call it without", declaration.symbol));
  std::shared_ptr<ExecutionWorker> worker;
  auto outcome = RunCall(session, request, &worker);
  if (outcome.__isset.error || outcome.reply.status != 0) return outcome;
  auto& result = outcome.reply.result;
  if (result.size() != layout.result_size()) Throw(ErrorKind::kInternal, "the execution worker's reply is malformed");
  std::vector<types::FrameSlot> arrays;
  for (const auto& slot : layout.result_slots())
    if (slot.op == types::SlotOp::kArray) arrays.push_back(slot);
  uint64_t number = 0;  // the same in each array's place
  std::memcpy(&number, result.data() + arrays.front().offset, sizeof number);
  NewBuffers buffers(session, declaration.symbol);
  Status status;
  for (const auto& slot : arrays) {
    if (status) status = buffers.Add(slot, result, request.keep);
    std::memset(result.data() + slot.offset, 0, sizeof number);
  }
  if (status)
    status = Place(*worker, number, buffers.all(), farm_->config());
  else
    (void)Place(*worker, number, {}, farm_->config());
  if (!status) {
    Error error = std::move(status).error();
    error.may_have_run = true;
    error.retry_safe = false;
    error.function = declaration.symbol;
    error.output = outcome.reply.output;
    Throw(std::move(error));
  }
  outcome.reply.__isset.kept = true;
  for (const auto& buffer : buffers.all()) {
    outcome.reply.kept.push_back(InfoOf(*buffer));
    connection_->untold.push_back(buffer->id());
  }
  buffers.Release();
  return outcome;
}

}  // namespace rbc::server
