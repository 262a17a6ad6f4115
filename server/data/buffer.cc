// An array of a session's that stays between calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/buffer.h"

#include <fmt/format.h>

#include "types/array_extent.h"
#include "types/array_shape.h"
#include "types/type.h"

namespace rbc::server {
namespace {

constexpr size_t kMostName = 256;

}  // namespace

Expected<Buffer::Layout> Buffer::Check(BufferSpec* spec) {
  if (spec->name.size() > kMostName)
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("the name of a buffer has {} bytes, {} are allowed", spec->name.size(), kMostName));
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(spec->dtype));
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(type));
  spec->dtype = type.ToString();
  Layout layout;
  layout.strides = types::DenseStrides(spec->shape, element.size, spec->fortran);
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(spec->shape, layout.strides, element.size));
  layout.bytes = static_cast<uint64_t>(extent.elements) * element.size;
  return layout;
}

Expected<std::shared_ptr<const Buffer>> Buffer::Create(uint64_t id, BufferSpec spec,
                                                       std::shared_ptr<SessionArena> arena) {
  RBC_ASSIGN_OR_RETURN(auto layout, Check(&spec));
  RBC_ASSIGN_OR_RETURN(const Range range, arena->Take(layout.bytes));
  return std::shared_ptr<const Buffer>(new Buffer(id, std::move(spec), std::move(layout), std::move(arena), range));
}

Expected<std::shared_ptr<const Buffer>> Buffer::CreateOn(uint64_t id, BufferSpec spec,
                                                         std::shared_ptr<DeviceHeap> device) {
  RBC_ASSIGN_OR_RETURN(auto layout, Check(&spec));
  RBC_ASSIGN_OR_RETURN(const uint32_t slot, device->Take(layout.bytes));
  return std::shared_ptr<const Buffer>(new Buffer(id, std::move(spec), std::move(layout), std::move(device), slot));
}

Buffer::Buffer(uint64_t id, BufferSpec spec, Layout layout, std::shared_ptr<SessionArena> arena, Range range)
    : id_(id), spec_(std::move(spec)), layout_(std::move(layout)), arena_(std::move(arena)), range_(range) {}

Buffer::Buffer(uint64_t id, BufferSpec spec, Layout layout, std::shared_ptr<DeviceHeap> device, uint32_t slot)
    : id_(id), spec_(std::move(spec)), layout_(std::move(layout)), device_(std::move(device)), slot_(slot) {}

Buffer::~Buffer() {
  if (device_ != nullptr)
    device_->Release(slot_);
  else
    arena_->Release(range_, spare_);
}

std::string Buffer::Title() const {
  if (!spec_.name.empty()) return fmt::format("\"{}\" ({})", spec_.name, id_);
  const std::string origin = spec_.made_by.empty() ? std::string() : fmt::format(", made by '{}'", spec_.made_by);
  return fmt::format("{} ({} of shape {}{})", id_, spec_.dtype, types::ShapeText(spec_.shape), origin);
}

}  // namespace rbc::server
