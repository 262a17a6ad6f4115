// What became of a session's latest calls.
// SPDX-License-Identifier: Apache-2.0
#include "server/session/outcomes.h"

namespace rbc::server {

OutcomeTable::Entry* OutcomeTable::FindLocked(int64_t request_id) {
  // The latest is nearly always the one.
  for (size_t i = 0; i < entries_.size(); ++i) {
    auto& entry = entries_[(next_ + entries_.size() - 1 - i) % entries_.size()];
    if (entry.request_id == request_id && entry.outcome.state != Outcome::kNever) return &entry;
  }
  return nullptr;
}

void OutcomeTable::Begin(int64_t request_id) {
  if (request_id == 0) return;
  const std::lock_guard lock(mutex_);
  BeginLocked(request_id);
}

void OutcomeTable::BeginLocked(int64_t request_id) {
  if (entries_.size() < kKept) {
    next_ = entries_.size();
    entries_.emplace_back();
  } else {
    forgot_ = true;
  }
  auto& entry = entries_[next_];
  entry.request_id = request_id;
  entry.outcome.state = Outcome::kRunning;
  entry.outcome.reply.clear();
  next_ = (next_ + 1) % kKept;
}

void OutcomeTable::Finish(int64_t request_id, std::string_view reply) {
  if (request_id == 0) return;
  const std::lock_guard lock(mutex_);
  auto* entry = FindLocked(request_id);
  if (entry == nullptr) return;  // so long ago that others took its place: kUnclear by forgot_
  FinishEntry(*entry, reply);
}

void OutcomeTable::FinishEntry(Entry& entry, std::string_view reply) {
  if (reply.size() > kMaxReply) {
    entry.outcome.state = Outcome::kUnclear;
    return;
  }
  entry.outcome.state = Outcome::kReplied;
  entry.outcome.reply.assign(reply);
}

size_t OutcomeTable::BeginAll(std::span<const int64_t> request_ids) {
  const std::lock_guard lock(mutex_);
  if (request_ids.size() > kKept) {
    forgot_ = true;
    request_ids = request_ids.last(kKept);
  }
  const size_t first = entries_.size() < kKept ? entries_.size() : next_;
  for (const int64_t id : request_ids) BeginLocked(id);
  return first;
}

void OutcomeTable::FinishAt(size_t place, int64_t request_id, std::string_view reply) {
  const std::lock_guard lock(mutex_);
  Entry& entry = entries_[place % kKept];
  if (entry.request_id == request_id) FinishEntry(entry, reply);  // else others took its place
}

void OutcomeTable::FinishUnkept(int64_t request_id) {
  if (request_id == 0) return;
  const std::lock_guard lock(mutex_);
  if (auto* entry = FindLocked(request_id)) entry->outcome.state = Outcome::kUnclear;
}

void OutcomeTable::LentEnded() {
  const std::lock_guard lock(mutex_);
  forgot_ = true;
}

Outcome OutcomeTable::Find(int64_t request_id) const {
  if (request_id == 0) return {};
  const std::lock_guard lock(mutex_);
  if (const auto* entry = const_cast<OutcomeTable*>(this)->FindLocked(request_id)) return entry->outcome;
  Outcome none;
  if (forgot_) none.state = Outcome::kUnclear;
  return none;
}

}  // namespace rbc::server
