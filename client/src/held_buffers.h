// The buffers of this program, so that they can be freed by name and errors can tell which one is meant.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace rbc::detail {

struct BufferState;

// Thread-safe.
class HeldBuffers {
 public:
  void Add(int64_t id, const std::string& name, const std::weak_ptr<BufferState>& buffer) {
    const std::lock_guard lock(mutex_);
    by_id_.insert_or_assign(id, buffer);
    if (!name.empty()) by_name_.emplace(name, id);
  }
  // It is gone.
  void Forget(int64_t id, const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end() || !found->second.expired()) return;  // another session's with this number
    by_id_.erase(found);
    const auto [begin, end] = by_name_.equal_range(name);
    for (auto each = begin; each != end;) each = each->second == id ? by_name_.erase(each) : std::next(each);
  }
  std::vector<std::shared_ptr<BufferState>> Find(const std::string& name) const {
    std::vector<std::shared_ptr<BufferState>> out;
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = by_name_.equal_range(name);
    for (auto each = begin; each != end; ++each)
      if (auto buffer = Held(each->second)) out.push_back(std::move(buffer));
    return out;
  }
  // Null: nobody holds it.
  std::shared_ptr<BufferState> Find(int64_t id) const {
    const std::lock_guard lock(mutex_);
    return Held(id);
  }

 private:
  std::shared_ptr<BufferState> Held(int64_t id) const {
    const auto found = by_id_.find(id);
    return found == by_id_.end() ? nullptr : found->second.lock();
  }

  mutable std::mutex mutex_;
  std::map<int64_t, std::weak_ptr<BufferState>> by_id_;
  std::multimap<std::string, int64_t> by_name_;
};

}  // namespace rbc::detail
