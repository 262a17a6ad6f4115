// The buffers of one session.
// SPDX-License-Identifier: Apache-2.0
#include "server/data/session_data.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "base/array_digest.h"
#include "types/array_extent.h"

namespace rbc::server {
namespace {

Error Ended() { return {ErrorKind::kUnknownSession, "the session has ended; say hello again"}; }

// Others may write there meanwhile: what is copied is what was looked at.
bool CopyChecked(const Buffer& from, const Buffer& to, const Digest& digest) {
  const auto piece = std::make_unique_for_overwrite<char[]>(kDigestPiece);
  return digest == DigestByPieces(from.bytes(), [&](size_t at, size_t size) {
           std::memcpy(piece.get(), from.data() + at, size);
           if (&from != &to) std::memcpy(to.data() + at, piece.get(), size);
           return std::string_view(piece.get(), size);
         });
}

Status CheckAlignment(const Buffer& buffer, const wire::ArrayRef& array, uint64_t alignment) {
  const auto wrong = [&](int64_t value) { return value % static_cast<int64_t>(alignment) != 0; };
  if (!wrong(array.offset) && std::none_of(array.strides.begin(), array.strides.end(), wrong)) return {};
  return {ErrorKind::kInvalidArgument,
          fmt::format("an array of `{}` in buffer {} has an offset or stride that is no multiple of {}; copy it into a "
                      "buffer of its own",
                      array.dtype, buffer.id(), alignment)};
}

}  // namespace

SessionData::SessionData(const DataLimits& limits, DataTotals& totals, uint64_t first_id)
    : limits_(limits), totals_(totals), next_id_(first_id) {}

Error SessionData::Lost(uint64_t id) const {
  const auto known = lost_.find(id);
  return {
      ErrorKind::kBufferLost,
      known != lost_.end()
          ? known->second
          : fmt::format("this session has no buffer {} (any more); it was freed, or went with another session", id)};
}

void SessionData::Lose(uint64_t id, const std::string& why) {
  std::shared_ptr<const Buffer> gone;  // without the lock
  const std::lock_guard lock(mutex_);
  const auto found = buffers_.find(id);
  if (found == buffers_.end() || found->second->device() != nullptr) return;  // a device says itself what it lost
  gone = std::move(found->second);
  buffers_.erase(found);
  --totals_.buffers;
  RememberLocked(id, fmt::format("buffer {} is lost: {}; make it anew and fill it", gone->Title(), why));
}

void SessionData::RememberLocked(uint64_t id, std::string what) {
  if (lost_.size() >= kMostLost) lost_.erase(lost_.begin());
  lost_.emplace(id, std::move(what));
}

void SessionData::LoseAt(uint64_t place, const std::string& why) {
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    const auto found = std::find_if(buffers_.begin(), buffers_.end(), [place](const auto& item) {
      const Buffer& buffer = *item.second;
      return buffer.device() == nullptr && place >= buffer.offset() && place - buffer.offset() < buffer.bytes();
    });
    if (found == buffers_.end()) return;
    id = found->first;
  }
  Lose(id, why);
}

Expected<std::shared_ptr<SessionArena>> SessionData::ArenaLocked() {
  if (ended_) return Ended();
  if (arena_ == nullptr) {
    RBC_ASSIGN_OR_RETURN(arena_, SessionArena::Create(limits_, totals_));
  }
  return arena_;
}

Expected<std::shared_ptr<SessionArena>> SessionData::Arena() {
  const std::lock_guard lock(mutex_);
  return ArenaLocked();
}

bool SessionData::DropSpare() {
  const std::lock_guard lock(mutex_);
  return seen_.DropSpare();
}

Status SessionData::CheckCountLocked() const {
  if (ended_) return Ended();
  if (buffers_.size() < limits_.max_buffers) return {};
  return {ErrorKind::kResourceExhausted,
          fmt::format("the buffers of this session are used up: {} in use, 1 asked for, {} allowed; free some",
                      buffers_.size(), limits_.max_buffers)};
}

Expected<std::shared_ptr<const Buffer>> SessionData::Create(BufferSpec spec, std::shared_ptr<DeviceHeap> device) {
  std::shared_ptr<SessionArena> arena;
  uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (device == nullptr) {
      RBC_ASSIGN_OR_RETURN(arena, ArenaLocked());
    }
    RBC_RETURN_IF_ERROR(CheckCountLocked());
    id = next_id_++;
  }
  // Without the lock: a device is asked.
  auto made =
      device != nullptr ? Buffer::CreateOn(id, std::move(spec), std::move(device)) : Buffer::Create(id, spec, arena);
  while (!made && arena != nullptr && made.error().kind == ErrorKind::kResourceExhausted && DropSpare())
    made = Buffer::Create(id, spec, arena);
  if (!made) return made;
  const std::lock_guard lock(mutex_);
  RBC_RETURN_IF_ERROR(CheckCountLocked());
  ++totals_.buffers;
  buffers_.emplace(id, *made);
  return made;
}

Status SessionData::Free(uint64_t id) {
  std::shared_ptr<const Buffer> gone;  // without the lock
  const std::lock_guard lock(mutex_);
  const auto found = buffers_.find(id);
  if (found == buffers_.end()) return Lost(id);
  gone = std::move(found->second);
  buffers_.erase(found);
  --totals_.buffers;
  if (!gone->spec().name.empty()) RememberLocked(id, fmt::format("buffer {} was freed; make it anew", gone->Title()));
  if (gone->device() == nullptr) seen_.Freed(gone);
  return {};
}

Expected<bool> SessionData::Recall(uint64_t id, std::string_view text) {
  Digest digest;
  if (text.size() != digest.size())
    return Error(ErrorKind::kInvalidArgument, fmt::format("a digest has 32 bytes, this one has {}", text.size()));
  std::memcpy(digest.data(), text.data(), digest.size());
  std::shared_ptr<const Buffer> target, source;
  {
    const std::lock_guard lock(mutex_);
    const auto found = buffers_.find(id);
    if (found == buffers_.end()) return Lost(id);
    target = found->second;
    if (target->device() != nullptr) return false;
    source = seen_.Find(digest);
    // From here on it is this one that has them, from there or from the client.
    if (source == nullptr || source->bytes() == target->bytes()) seen_.Note(digest, target);
  }
  return source != nullptr && source->bytes() == target->bytes() && CopyChecked(*source, *target, digest);
}

Expected<std::shared_ptr<const Buffer>> SessionData::Find(uint64_t id) const {
  const std::lock_guard lock(mutex_);
  const auto found = buffers_.find(id);
  if (found == buffers_.end()) return Lost(id);
  const auto& device = found->second->device();
  const std::string why = device == nullptr ? std::string() : device->WhyLost();
  if (why.empty()) return found->second;
  return Error(ErrorKind::kBufferLost, fmt::format("buffer {} lay on target \"{}\" and is lost: {}; make it anew",
                                                   found->second->Title(), device->target(), why));
}

std::vector<std::shared_ptr<const Buffer>> SessionData::All() const {
  std::vector<std::shared_ptr<const Buffer>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, buffer] : buffers_) out.push_back(buffer);
  return out;
}

std::vector<std::shared_ptr<const Buffer>> SessionData::Large() const {
  std::vector<std::shared_ptr<const Buffer>> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, buffer] : buffers_)
    if (buffer->device() == nullptr && buffer->bytes() >= RangeAllocator::kLarge) out.push_back(buffer);
  return out;
}

Expected<ResolvedArray> SessionData::Resolve(const wire::ArrayRef& array) const {
  if (!array.__isset.buffer)
    return Error(ErrorKind::kInvalidArgument, "the array names no buffer; give one of this session");
  ResolvedArray out;
  RBC_ASSIGN_OR_RETURN(out.buffer, Find(static_cast<uint64_t>(array.buffer)));
  RBC_ASSIGN_OR_RETURN(out.type, types::Type::Parse(array.dtype));
  RBC_ASSIGN_OR_RETURN(const auto element, types::ElementLayout(out.type));
  RBC_ASSIGN_OR_RETURN(const auto extent, types::ExtentOf(array.shape, array.strides, element.size));
  RBC_RETURN_IF_ERROR(CheckAlignment(*out.buffer, array, element.alignment));
  // A view without elements may begin anywhere: behind its buffer too.
  const int64_t begin = extent.elements == 0 && array.offset > 0 ? 0 : array.offset;
  const __int128 first = static_cast<__int128>(begin) + extent.low;
  const __int128 last = static_cast<__int128>(begin) + extent.high;
  if (array.offset < 0 || first < 0 || last > static_cast<__int128>(out.buffer->bytes()))
    return Error(ErrorKind::kInvalidArgument,
                 fmt::format("an array of {} elements at offset {} reaches beyond buffer {} of {} bytes",
                             extent.elements, array.offset, out.buffer->id(), out.buffer->bytes()));
  out.offset = static_cast<uint64_t>(begin) + (out.buffer->device() == nullptr ? out.buffer->offset() : 0);
  out.element_size = element.size;
  out.elements = extent.elements;
  return out;
}

uint64_t SessionData::used() const {
  const std::lock_guard lock(mutex_);
  return arena_ == nullptr ? 0 : arena_->used();
}

size_t SessionData::buffers() const {
  const std::lock_guard lock(mutex_);
  return buffers_.size();
}

void SessionData::Trim() {
  std::shared_ptr<SessionArena> arena;
  {
    const std::lock_guard lock(mutex_);
    arena = arena_;
  }
  if (arena == nullptr) return;
  while (arena->IsShort() && DropSpare()) {
  }
  arena->Trim();
}

void SessionData::End() {
  std::map<uint64_t, std::shared_ptr<const Buffer>> gone;  // without the lock, and their memory with the last
  std::shared_ptr<SessionArena> arena;
  SeenArrays seen;
  const std::lock_guard lock(mutex_);
  ended_ = true;
  totals_.buffers -= buffers_.size();
  gone.swap(buffers_);
  std::swap(seen, seen_);
  arena.swap(arena_);
}

}  // namespace rbc::server
