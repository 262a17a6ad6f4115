// The buffers of this program that have a name, so that they can be freed by it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace rbc::detail {

struct BufferState;

// Thread-safe.
class BufferNames {
 public:
  void Add(const std::string& name, std::weak_ptr<BufferState> buffer) {
    const std::lock_guard lock(mutex_);
    by_name_.emplace(name, std::move(buffer));
  }
  // One with this name is gone.
  void Forget(const std::string& name) {
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = by_name_.equal_range(name);
    for (auto each = begin; each != end;) each = each->second.expired() ? by_name_.erase(each) : std::next(each);
  }
  std::vector<std::shared_ptr<BufferState>> Find(const std::string& name) const {
    std::vector<std::shared_ptr<BufferState>> out;
    const std::lock_guard lock(mutex_);
    const auto [begin, end] = by_name_.equal_range(name);
    for (auto each = begin; each != end; ++each)
      if (auto buffer = each->second.lock()) out.push_back(std::move(buffer));
    return out;
  }
  // All that are held.
  std::vector<std::shared_ptr<BufferState>> All() const {
    std::vector<std::shared_ptr<BufferState>> out;
    const std::lock_guard lock(mutex_);
    for (const auto& [name, held] : by_name_)
      if (auto buffer = held.lock()) out.push_back(std::move(buffer));
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::multimap<std::string, std::weak_ptr<BufferState>> by_name_;
};

}  // namespace rbc::detail
