// Arrays that stay between calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/handler.h"
#include "server/pinned_target.h"

namespace rbc::server {

wire::BufferInfo InfoOf(const Buffer& buffer) {
  wire::BufferInfo out;
  out.id = static_cast<int64_t>(buffer.id());
  out.name = buffer.spec().name;
  out.dtype = buffer.spec().dtype;
  out.shape = buffer.spec().shape;
  out.strides = buffer.strides();
  if (buffer.device() != nullptr)
    out.__set_target(buffer.device()->target());
  else
    out.offset = static_cast<int64_t>(buffer.offset());
  out.bytes = static_cast<int64_t>(buffer.bytes());
  return out;
}

void Handler::buffer_create(wire::BufferInfo& reply, const wire::BufferSpec& spec) {
  const auto owner = session();
  const bool on_device = spec.__isset.target && PinnedTarget::Of(TargetOf(spec.target).name).target != "host";
  if (on_device && !may_block_) Throw(NoThread(farm_->config().max_threads));
  const auto buffer = OrThrow(
      owner->CreateBuffer({spec.name, spec.dtype, spec.shape, spec.fortran}, on_device ? spec.target : std::string()));
  reply = InfoOf(*buffer);
}

void Handler::buffer_free(const int64_t id) {
  const auto mine = session();
  OrThrow(may_block_ ? mine->FreeBuffer(static_cast<uint64_t>(id)) : mine->data().Free(static_cast<uint64_t>(id)));
}

void Handler::buffer_copy(const wire::ArrayRef& source, const wire::ArrayRef& destination) {
  const auto mine = session();
  if (!may_block_) Throw(NoThread(farm_->config().max_threads));
  OrThrow(mine->CopyArrays(source, destination));
}

void Handler::buffers(std::vector<wire::BufferInfo>& reply) {
  for (const auto& buffer : session()->data().All()) reply.push_back(InfoOf(*buffer));
}

void Handler::buffer_info(wire::BufferInfo& reply, const int64_t id) {
  reply = InfoOf(*OrThrow(session()->data().Find(static_cast<uint64_t>(id))));
}

bool Handler::buffer_recall(const int64_t id, const std::string& digest) {
  const auto mine = session();
  auto& data = mine->data();
  OrThrow(data.Find(static_cast<uint64_t>(id)));
  if (!may_block_) return false;  // looking takes long; it can be sent
  return OrThrow(data.Recall(static_cast<uint64_t>(id), digest));
}

void Handler::arena(wire::ArenaReply& reply) {
  const auto mine = session();
  if (!farm_->config().direct) Throw(ErrorKind::kUnsupported, "this farm shares no memory (sessions.direct)");
  if (!connection_->peer.local)
    Throw(ErrorKind::kUnsupported, "arrays are shared with clients on this machine only; connect by the Unix socket");
  connection_->sent_arena = OrThrow(mine->data().Arena());
  connection_->send_fd = connection_->sent_arena->memory().fd();
  reply.size = static_cast<int64_t>(connection_->sent_arena->memory().size());
}

}  // namespace rbc::server
