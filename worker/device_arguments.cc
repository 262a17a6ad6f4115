// Arguments of one call or launch on a device that lie in buffers of the session.
// SPDX-License-Identifier: Apache-2.0
#include "worker/device_arguments.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "types/frame.h"
#include "worker/array_places.h"
#include "worker/data_arena.h"
#include "worker/device_buffers.h"

namespace rbc::worker {
namespace {

constexpr uint64_t kAlignment = 64;           // copies are aligned as what they are copies of
constexpr uint64_t kMostInMemory = 32 << 20;  // of all copies: what a device keeps memory for, between calls too

Error Invalid(uint32_t frame_offset, const std::string& why) {
  return {ErrorKind::kInvalidArgument,
          "has an argument at byte " + std::to_string(frame_offset) + " of its frame that " + why};
}

Status NoDevice(uint32_t frame_offset) {
  if (BuffersOnDevice() != nullptr) return {};
  return Invalid(frame_offset, "lies in a buffer, and runs on no device");
}

uint8_t* InArenaAt(uint64_t offset) { return DataArena().data() + offset; }

}  // namespace

void DeviceArguments::Reset() {
  for (const Piece& piece : pieces_)
    if (piece.taken != 0) BuffersOnDevice()->device().Free(piece.taken);
  pointers_.clear();
  holds_.clear();
  in_arena_.clear();
  pieces_.clear();
  in_memory_ = false;
}

Status DeviceArguments::AddInArena(const InArena& argument, uint64_t begin, uint64_t end) {
  if (begin > end || argument.offset < begin || argument.offset > end || end > DataArena().size())
    return Invalid(argument.frame_offset,
                   "does not lie in the " + std::to_string(DataArena().size()) + " bytes of the session's data arena");
  in_arena_.push_back(argument);
  pieces_.push_back({begin, end});
  return {};
}

Status DeviceArguments::Add(const LaunchPointer& pointer) {
  RBC_RETURN_IF_ERROR(NoDevice(pointer.position));
  if ((pointer.place & kInDataArena) != 0)
    return AddInArena({pointer.position, false, pointer.place & ~kInDataArena}, pointer.begin, pointer.end);
  auto found = BuffersOnDevice()->Find(pointer.place, {});
  if (!found) return Invalid(pointer.position, found.error().message);
  pointers_.push_back({pointer.position, found->address});
  holds_.push_back(std::move(found->hold));
  return {};
}

Status DeviceArguments::Add(const EntryPoint::Array& array, std::span<const uint8_t> frame) {
  RBC_ASSIGN_OR_RETURN(const ArrayForm form, ReadArray(array, frame));
  if ((form.where & kInDataArena) == 0) return {};
  RBC_RETURN_IF_ERROR(NoDevice(array.offset));
  const uint64_t place = form.where & ~kInDataArena;
  const ByteRange range{form.extent.low, form.extent.high};
  if ((place & kOnDevice) != 0) {
    auto found = BuffersOnDevice()->Find(place, range);
    if (!found) return Invalid(array.offset, found.error().message);
    if (found->address % array.alignment != 0)
      return Invalid(array.offset, "is not aligned to " + std::to_string(array.alignment) + " bytes");
    pointers_.push_back({array.offset, found->address});
    holds_.push_back(std::move(found->hold));
    return {};
  }
  const __int128 begin = range.low + place, end = range.high + place;
  if (begin < 0 || end > static_cast<__int128>(DataArena().size()) || place % array.alignment != 0)
    return Invalid(array.offset, "lies, in part or unaligned, outside of the session's data arena");
  return AddInArena({array.offset, true, place}, static_cast<uint64_t>(begin), static_cast<uint64_t>(end));
}

// Pieces that share bytes become one.
void DeviceArguments::Merge() {
  std::sort(pieces_.begin(), pieces_.end(), [](const Piece& a, const Piece& b) { return a.begin < b.begin; });
  size_t last = 0;
  for (size_t i = 1; i < pieces_.size(); ++i) {
    if (pieces_[i].begin < pieces_[last].end)
      pieces_[last].end = std::max(pieces_[last].end, pieces_[i].end);
    else
      pieces_[++last] = pieces_[i];
  }
  pieces_.resize(last + 1);
}

uint64_t DeviceArguments::RoomBehind(uint64_t size) {
  if (pieces_.empty()) return 0;
  Merge();
  uint64_t end = size;
  for (Piece& piece : pieces_) {
    end = (end + kAlignment - 1) / kAlignment * kAlignment + piece.begin % kAlignment;
    piece.at = end;
    end += piece.size();
  }
  in_memory_ = end - size <= kMostInMemory && end < types::kMaxCallBytes;
  return in_memory_ ? end - size : 0;
}

const DeviceArguments::Piece& DeviceArguments::PieceOf(uint64_t offset) const {
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                      [](uint64_t at, const Piece& piece) { return at < piece.begin; });
  return *std::prev(after);
}

// As if the client had sent it.
void DeviceArguments::StoreSlot(const InArena& argument, std::span<uint8_t> memory) const {
  const Piece& piece = PieceOf(argument.offset);
  const uint64_t where = piece.at + (argument.offset - piece.begin);
  const types::FrameCell cell{static_cast<uint32_t>(where), static_cast<uint32_t>(piece.end - argument.offset)};
  uint8_t* const slot = memory.data() + argument.frame_offset;
  if (argument.is_array)
    std::memcpy(slot, &where, sizeof where);
  else
    std::memcpy(slot, &cell, sizeof cell);
}

Status DeviceArguments::Bring(std::span<uint8_t> memory) {
  for (Piece& piece : pieces_) {
    if (in_memory_) {
      if (piece.size() != 0) std::memcpy(memory.data() + piece.at, InArenaAt(piece.begin), piece.size());
      continue;
    }
    const uint64_t gap = piece.begin % kAlignment;
    Device& device = BuffersOnDevice()->device();
    RBC_ASSIGN_OR_RETURN(piece.taken, device.Allocate(gap + piece.size()));
    piece.address = piece.taken + gap;
    if (piece.size() != 0) RBC_RETURN_IF_ERROR(device.CopyIn(piece.address, InArenaAt(piece.begin), piece.size()));
  }
  for (const InArena& argument : in_arena_) {
    const Piece& piece = PieceOf(argument.offset);
    if (in_memory_)
      StoreSlot(argument, memory);
    else
      pointers_.push_back({argument.frame_offset, piece.address + (argument.offset - piece.begin)});
  }
  return {};
}

Status DeviceArguments::PutBack(std::span<const uint8_t> memory) {
  for (const Piece& piece : pieces_) {
    if (piece.size() == 0) continue;
    if (in_memory_)
      std::memcpy(InArenaAt(piece.begin), memory.data() + piece.at, piece.size());
    else
      RBC_RETURN_IF_ERROR(BuffersOnDevice()->device().CopyOut(InArenaAt(piece.begin), piece.address, piece.size()));
  }
  return {};
}

}  // namespace rbc::worker
