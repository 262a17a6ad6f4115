// A session's buffers on devices, and copies between buffers.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "base/strided_run.h"
#include "server/session/lose_written.h"
#include "server/session/session.h"
#include "types/array_extent.h"
#include "worker/data_arena.h"
#include "worker/device_frame.h"
#include "worker/row_walk.h"

namespace rbc::server {
namespace {

// Both in this process.
void CopyHere(const Iteration& iteration, uint64_t size, const char* from, char* to) {
  uint64_t elements = 1;
  for (const int64_t length : iteration.shape) elements *= static_cast<uint64_t>(length);
  const auto inner = [](const types::Extents& strides) { return strides.empty() ? 0 : strides.back(); };
  const auto& in = iteration.strides[0];
  const auto& out = iteration.strides[1];
  for (worker::RowWalk row(iteration.shape, 0, elements); !row.done(); row.Next())
    CopyRun(to + row.OffsetIn(out), inner(out), from + row.OffsetIn(in), inner(in), row.length(),
            static_cast<uint32_t>(size));
}

uint64_t PlaceOf(const ResolvedArray& array) {
  return array.buffer->device() == nullptr ? array.offset | worker::kInDataArena
                                           : worker::DevicePlace(array.buffer->slot(), array.offset);
}

// Memory of the arena for a copy between two devices.
class Passage {
 public:
  static Expected<Passage> Make(std::shared_ptr<SessionArena> arena, uint64_t bytes) {
    RBC_ASSIGN_OR_RETURN(const Range range, arena->Take(bytes));
    return Passage(std::move(arena), range);
  }
  Passage(Passage&&) = default;
  ~Passage() {
    if (arena_ != nullptr) arena_->Release(range_);
  }
  uint64_t place() const { return range_.offset | worker::kInDataArena; }

 private:
  Passage(std::shared_ptr<SessionArena> arena, Range range) : arena_(std::move(arena)), range_(range) {}
  std::shared_ptr<SessionArena> arena_;
  Range range_;
};

}  // namespace

std::shared_ptr<DeviceStore> Session::StoreOn(const std::string& target) {
  const std::lock_guard lock(mutex_);
  auto& store = stores_[target];
  if (store == nullptr)
    store = std::make_shared<DeviceStore>(target, host_.config);
  else if (!store->WhyLost().empty())
    store = std::make_shared<DeviceStore>(target, host_.config, store->next_slot());
  return store;
}

Expected<DeviceStore::Use> Session::BeginOnDevice(DeviceHeap& device) {
  return static_cast<DeviceStore&>(device).Begin(*this);  // there are no other heaps
}

Expected<DeviceStore::Use> Session::BeginOnDevice(const std::string& target) {
  std::shared_ptr<DeviceStore> store;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = stores_.find(target); found != stores_.end()) store = found->second;
  }
  if (store == nullptr)
    return Error(ErrorKind::kBufferLost, fmt::format("no buffer of this session lies on target \"{}\"", target));
  return store->Begin(*this);
}

bool Session::GiveUpDevice(ExecutionWorker& worker) {
  std::shared_ptr<DeviceStore> store;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [target, candidate] : stores_)
      if (candidate->holds(worker)) store = candidate;
  }
  return store == nullptr ? worker.Retire() : store->Spill(*this, worker);
}

Expected<std::shared_ptr<const Buffer>> Session::CreateBuffer(BufferSpec spec, const std::string& target) {
  if (target.empty()) {
    RBC_ASSIGN_OR_RETURN(auto buffer, data_->Create(std::move(spec)));
    RBC_RETURN_IF_ERROR(ShareArenaWithWorkers());
    return buffer;
  }
  auto store = StoreOn(target);
  RBC_ASSIGN_OR_RETURN(const auto use, store->Begin(*this));
  return data_->Create(std::move(spec), std::move(store));
}

Status Session::FreeBuffer(uint64_t id) {
  std::shared_ptr<DeviceHeap> device;
  if (const auto buffer = data_->Find(id)) device = (*buffer)->device();
  RBC_RETURN_IF_ERROR(data_->Free(id));
  if (device != nullptr) static_cast<DeviceStore&>(*device).FreeReleased();
  return {};
}

Status Session::CopyOnDevice(DeviceHeap& device, const Iteration& iteration, uint64_t size, uint64_t from,
                             uint64_t to) {
  RBC_ASSIGN_OR_RETURN(const auto use, BeginOnDevice(device));
  if (((from | to) & worker::kInDataArena) != 0) RBC_RETURN_IF_ERROR(EnsureArena(*use.worker));
  std::string frame;
  const auto append = [&frame](const auto& value) {
    frame.append(reinterpret_cast<const char*>(&value), sizeof value);
  };
  append(worker::DeviceHead{worker::kDeviceMagic, worker::DeviceRequest::kCopy,
                            static_cast<uint32_t>(iteration.shape.size()), static_cast<uint32_t>(size)});
  for (const int64_t length : iteration.shape) append(length);
  append(from);
  for (const int64_t stride : iteration.strides[0]) append(stride);
  append(to);
  for (const int64_t stride : iteration.strides[1]) append(stride);
  return use.store->Ask(*use.worker, frame);
}

Status Session::CopyArrays(const wire::ArrayRef& from, const wire::ArrayRef& to) {
  RBC_ASSIGN_OR_RETURN(const ResolvedArray source, data_->Resolve(from));
  RBC_ASSIGN_OR_RETURN(const ResolvedArray destination, data_->Resolve(to));
  if (source.type != destination.type || from.shape != to.shape)
    return {ErrorKind::kInvalidArgument,
            fmt::format("`{}` of shape {} cannot be copied to `{}` of shape {}; a copy has one type and shape",
                        from.dtype, types::ShapeText(from.shape), to.dtype, types::ShapeText(to.shape))};
  if (source.elements == 0) return {};
  const uint64_t size = source.element_size;
  const Iteration iteration = Collapse({from.shape, {from.strides, to.strides}}, true);
  const auto& device = source.buffer->device();
  const auto& other = destination.buffer->device();
  if (device == nullptr && other == nullptr) {
    RBC_ASSIGN_OR_RETURN(const auto arena, data_->Arena());
    CopyHere(iteration, size, arena->data() + source.offset, arena->data() + destination.offset);
    return {};
  }
  if (device == nullptr || other == nullptr || device == other) {
    Status copied =
        CopyOnDevice(device != nullptr ? *device : *other, iteration, size, PlaceOf(source), PlaceOf(destination));
    if (!copied && other == nullptr && MayHaveWritten(copied.error()))
      data_->LoseAt(destination.buffer->offset(),
                    fmt::format("it was being written by a copy when that ended ({})", Name(copied.error().kind)));
    return copied;
  }
  // Each device's worker sees the arena, none sees another's memory.
  RBC_ASSIGN_OR_RETURN(const auto arena, data_->Arena());
  RBC_ASSIGN_OR_RETURN(const auto passage, Passage::Make(arena, static_cast<uint64_t>(source.elements) * size));
  const auto dense = types::DenseStrides(iteration.shape, size);
  RBC_RETURN_IF_ERROR(
      CopyOnDevice(*device, {iteration.shape, {iteration.strides[0], dense}}, size, PlaceOf(source), passage.place()));
  return CopyOnDevice(*other, {iteration.shape, {dense, iteration.strides[1]}}, size, passage.place(),
                      PlaceOf(destination));
}

}  // namespace rbc::server
