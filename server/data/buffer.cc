// An array of a session's that stays between calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/buffer.h"

#include <fmt/format.h>

#include "types/array_extent.h"
#include "types/type.h"

namespace rbc::server {
namespace {

constexpr size_t kMostName = 256;

}  // namespace

Expected<std::shared_ptr<const Buffer>> Buffer::Create(uint64_t id, BufferSpec spec,
                                                       std::shared_ptr<SessionArena> arena) {
  if (spec.name.size() > kMostName)
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("the name of a buffer has {} bytes, {} are allowed", spec.name.size(), kMostName));
  RBC_ASSIGN_OR_RETURN(const auto type, types::Type::Parse(spec.dtype));
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(type));
  spec.dtype = type.ToString();
  auto strides = types::DenseStrides(spec.shape, element.size, spec.fortran);
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(spec.shape, strides, element.size));
  const uint64_t bytes = static_cast<uint64_t>(extent.elements) * element.size;
  RBC_ASSIGN_OR_RETURN(const Range range, arena->Take(bytes));
  return std::shared_ptr<const Buffer>(
      new Buffer(id, std::move(spec), std::move(strides), bytes, std::move(arena), range));
}

Buffer::Buffer(uint64_t id, BufferSpec spec, std::vector<int64_t> strides, uint64_t bytes,
               std::shared_ptr<SessionArena> arena, Range range)
    : id_(id),
      spec_(std::move(spec)),
      strides_(std::move(strides)),
      bytes_(bytes),
      arena_(std::move(arena)),
      range_(range) {}

}  // namespace rbc::server
