// Published functions.
// SPDX-License-Identifier: Apache-2.0
#include "server/names/name_registry.h"

#include <dirent.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>

#include "server/names/state_files.h"

namespace rbc::server {
namespace {

constexpr std::string_view kSuffix = ".name";
constexpr size_t kLongestName = 255;

bool Expired(const PublishedName& name) { return name.expires_ms != 0 && name.expires_ms <= WallClockMs(); }

Error Unknown(const std::string& name_space, const std::string& name) {
  return {ErrorKind::kUnknownName,
          fmt::format("no function \"{}\" is published in namespace \"{}\"", name, name_space)};
}

Error NotOwner(const PublishedName& name) {
  return {ErrorKind::kPermissionDenied,
          fmt::format("\"{}\" in namespace \"{}\" belongs to {}", name.name, name.name_space, name.owner)};
}

Error Full(const char* what, uint64_t used, uint64_t asked, uint64_t limit) {
  return {ErrorKind::kResourceExhausted,
          fmt::format("{}: {} in use, {} asked for, {} allowed; withdraw some", what, used, asked, limit)};
}

std::vector<std::string> FilesIn(const std::string& folder) {
  std::vector<std::string> files;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return files;
  while (const dirent* entry = readdir(dir)) files.emplace_back(entry->d_name);
  closedir(dir);
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

int64_t WallClockMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Status CheckName(const std::string& what, const std::string& name) {
  const bool printable = std::all_of(name.begin(), name.end(), [](unsigned char c) { return c >= 0x20 && c != 0x7f; });
  if (!name.empty() && name.size() <= kLongestName && printable) return {};
  return {ErrorKind::kInvalidArgument,
          fmt::format("a {} has 1 to {} printable bytes; this one has {}", what, kLongestName, name.size())};
}

Status NameRegistry::Open() {
  RBC_RETURN_IF_ERROR(MakeFolder(folder_));
  const std::lock_guard lock(mutex_);
  for (const auto& file : FilesIn(folder_)) {
    if (file.size() > kSuffix.size() && std::string_view(file).substr(file.size() - kSuffix.size()) == kSuffix) {
      Load(file);
    } else if (file.find(".part") != std::string::npos) {
      unlink((folder_ + "/" + file).c_str());  // of a farm that ended while it wrote
    }
  }
  return {};
}

void NameRegistry::Load(const std::string& file) {
  const auto path = folder_ + "/" + file;
  auto bytes = ReadFile(path);
  auto name = bytes ? ParsePublishedName(*bytes) : Expected<PublishedName>(bytes.error());
  if (!name) {
    spdlog::error("published name {}: {}; it is set aside", file, name.error().message);
    std::rename(path.c_str(), (path + ".corrupt").c_str());
    return;
  }
  if (Expired(*name)) {
    unlink(path.c_str());
    return;
  }
  name->ir = PackedText();
  Key key{name->name_space, name->name};
  bytes_ += bytes->size();
  entries_[std::move(key)] = Entry{*std::move(name), file, bytes->size()};
}

uint64_t NameRegistry::OwnedBy(const std::string& owner) const {
  return static_cast<uint64_t>(std::count_if(entries_.begin(), entries_.end(),
                                             [&](const auto& entry) { return entry.second.published.owner == owner; }));
}

Status NameRegistry::Publish(const PublishedName& name) {
  const std::string bytes = Serialize(name);
  const Key key{name.name_space, name.name};
  const std::lock_guard lock(mutex_);
  auto found = entries_.find(key);
  if (found != entries_.end() && Expired(found->second.published)) {
    Remove(found);
    found = entries_.end();
  }
  if (found != entries_.end() && found->second.published.owner != name.owner) return NotOwner(found->second.published);
  if (found == entries_.end() && entries_.size() >= limits_.names)
    return Full("published names", entries_.size(), 1, limits_.names);
  if (const uint64_t owned = OwnedBy(name.owner); found == entries_.end() && owned >= limits_.names_per_owner)
    return Full("published names of this owner", owned, 1, limits_.names_per_owner);
  const uint64_t freed = found != entries_.end() ? found->second.bytes : 0;
  if (bytes_ - freed + bytes.size() > limits_.bytes)
    return Full("bytes of published names", bytes_, bytes.size(), limits_.bytes);
  const std::string file =
      Hex(Hasher().Add(name.name_space).Add(name.name).Finish()).substr(0, 40) + std::string(kSuffix);
  RBC_RETURN_IF_ERROR(WriteFile(folder_ + "/" + file, bytes));
  bytes_ = bytes_ - freed + bytes.size();
  auto& entry = entries_[key];
  entry = Entry{name, file, bytes.size()};
  entry.published.ir = PackedText();
  return {};
}

void NameRegistry::Remove(std::map<Key, Entry>::iterator at) {
  unlink((folder_ + "/" + at->second.file).c_str());
  bytes_ -= at->second.bytes;
  entries_.erase(at);
}

Status NameRegistry::Withdraw(const std::string& name_space, const std::string& name, const std::string& owner) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find({name_space, name});
  if (found == entries_.end() || Expired(found->second.published)) return Unknown(name_space, name);
  if (found->second.published.owner != owner) return NotOwner(found->second.published);
  Remove(found);
  return {};
}

Expected<PublishedName> NameRegistry::Lookup(const std::string& name_space, const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find({name_space, name});
  if (found == entries_.end() || Expired(found->second.published)) return Unknown(name_space, name);
  const auto path = folder_ + "/" + found->second.file;
  const auto bytes = ReadFile(path);
  auto published = bytes ? ParsePublishedName(*bytes) : Expected<PublishedName>(bytes.error());
  if (published) return published;
  spdlog::error("published name {}: {}; it is set aside", found->second.file, published.error().message);
  std::rename(path.c_str(), (path + ".corrupt").c_str());
  bytes_ -= found->second.bytes;
  entries_.erase(found);
  return Unknown(name_space, name);
}

void NameRegistry::Expire() {
  const std::lock_guard lock(mutex_);
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    if (Expired(at->second.published)) Remove(at);
    at = next;
  }
}

size_t NameRegistry::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

uint64_t NameRegistry::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace rbc::server
