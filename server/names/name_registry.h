// Published functions: named in a namespace, owned, kept on disk with their IR.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/expected.h"
#include "server/store/module_store.h"

namespace rbc::server {

struct NameLimits {
  uint64_t names = 10'000;
  uint64_t names_per_owner = 1'000;
  uint64_t bytes = 1ull << 30;
};

// A published function, all that a compile in any trust domain needs.
struct PublishedName {
  std::string name_space;
  std::string name;
  std::string owner;       // the trust domain that published it
  int64_t expires_ms = 0;  // wall clock, milliseconds since 1970; 0: never
  std::string target;
  Digest handle{};
  CompileOptions options;
  bool serial = false;
  std::vector<FunctionDeclaration> functions;
  uint32_t function = 0;  // index of the published one
  PackedText ir;          // empty in what the registry keeps in memory
};

// One file a name in `folder`, replaced by an atomic rename, with a BLAKE3 digest that every read checks. Thread-safe.
class NameRegistry {
 public:
  NameRegistry(std::string folder, NameLimits limits) : folder_(std::move(folder)), limits_(limits) {}

  // Reads the folder, makes it where it is missing. Corrupt files are renamed to *.corrupt and logged. kUnavailable.
  Status Open();
  // kPermissionDenied where the name has another owner, kResourceExhausted, kUnavailable (the disk).
  Status Publish(const PublishedName& name);
  // kUnknownName, kPermissionDenied.
  Status Withdraw(const std::string& name_space, const std::string& name, const std::string& owner);
  // With its IR, read and checked. kUnknownName.
  Expected<PublishedName> Lookup(const std::string& name_space, const std::string& name);
  // Forgets what is past its time.
  void Expire();
  size_t size() const;
  uint64_t bytes() const;

 private:
  struct Entry {
    PublishedName published;  // without IR
    std::string file;
    uint64_t bytes = 0;
  };
  using Key = std::pair<std::string, std::string>;  // namespace, name

  void Load(const std::string& file);
  void Remove(std::map<Key, Entry>::iterator at);
  uint64_t OwnedBy(const std::string& owner) const;

  const std::string folder_;
  const NameLimits limits_;
  mutable std::mutex mutex_;
  std::map<Key, Entry> entries_;
  uint64_t bytes_ = 0;
};

// The bytes of a name's file, and back. kInternal: not what Serialize made.
std::string Serialize(const PublishedName& name);
Expected<PublishedName> ParsePublishedName(std::string_view bytes);
// The limits of a name: kInvalidArgument.
Status CheckName(const std::string& what, const std::string& name);
int64_t WallClockMs();

}  // namespace rbc::server
