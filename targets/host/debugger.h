// Tells an attached GDB about code that was linked into this process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace rbc::host {

// One object in the list that GDB reads (its documented "JIT compilation interface"), until destroyed. Thread-safe.
class DebuggerEntry {
 public:
  // `object` is the relocatable ELF object as it was linked, `address_of` gives where a section lies now (0: nowhere).
  // Null if the object holds no DWARF, or is none.
  static std::unique_ptr<DebuggerEntry> Make(std::string_view object,
                                             const std::function<uint64_t(std::string_view section)>& address_of);
  ~DebuggerEntry();
  DebuggerEntry(const DebuggerEntry&) = delete;

 private:
  explicit DebuggerEntry(std::string object);
  struct Node;
  const std::string object_;
  const std::unique_ptr<Node> node_;
};

}  // namespace rbc::host
