// Files of the farm's state folder.
// SPDX-License-Identifier: Apache-2.0
#include "server/names/state_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/unique_fd.h"
#include "server/session/random_bytes.h"

namespace rbc::server {
namespace {

Error Failure(const char* what, const std::string& path) {
  return {ErrorKind::kUnavailable, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno))};
}

bool WriteAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

bool IsFarmId(const std::string& text) {
  return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Status MakeFolder(const std::string& path) {
  for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
    mkdir(path.substr(0, at).c_str(), 0700);
  struct stat info;
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return Failure("make the folder", path);
  if (stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) return Failure("use as a folder", path);
  return {};
}

Expected<std::string> ReadFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info;
  if (!fd || fstat(fd.get(), &info) != 0) return Failure("read", path);
  std::string bytes(static_cast<size_t>(info.st_size), '\0');
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return Failure("read", path);
    have += static_cast<size_t>(got);
  }
  return bytes;
}

Status WriteFile(const std::string& path, const std::string& bytes) {
  const auto part = path + ".part";
  UniqueFd fd(open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!fd) return Failure("write", part);
  if (!WriteAll(fd.get(), bytes) || fsync(fd.get()) != 0 || std::rename(part.c_str(), path.c_str()) != 0) {
    const auto error = Failure("write", path);
    unlink(part.c_str());
    return error;
  }
  const UniqueFd folder(open(path.substr(0, path.rfind('/')).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) fsync(folder.get());
  return {};
}

Expected<std::string> FarmId(const std::string& state_dir) {
  RBC_RETURN_IF_ERROR(MakeFolder(state_dir));
  const auto path = state_dir + "/farm_id";
  if (const auto bytes = ReadFile(path); bytes && IsFarmId(*bytes)) return *bytes;
  const auto id = fmt::format("{:016x}{:016x}", RandomNumber(), RandomNumber());
  RBC_RETURN_IF_ERROR(WriteFile(path, id));
  return id;
}

}  // namespace rbc::server
