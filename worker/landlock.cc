// Landlock.
// SPDX-License-Identifier: Apache-2.0
#include "worker/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/unique_fd.h"

namespace rbc::worker {
namespace {

// As linux/landlock.h of 6.12 has it; the header of the build machine may be older.
struct RulesetAttributes {
  uint64_t handled_access_fs;
  uint64_t handled_access_net;
  uint64_t scoped;
};

constexpr uint64_t kReadAccess =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;

// Every access right that the ABI knows, so that all of them are forbidden.
RulesetAttributes Everything(uint32_t abi, size_t* size) {
  const unsigned fs_rights = abi >= 5 ? 16 : abi >= 3 ? 15 : abi == 2 ? 14 : 13;
  *size = abi >= 6 ? 24 : abi >= 4 ? 16 : 8;
  return {(uint64_t{1} << fs_rights) - 1, abi >= 4 ? 3u : 0u, abi >= 6 ? 3u : 0u};
}

bool AllowReading(int ruleset) {
  const int root = open("/", O_PATH | O_CLOEXEC);
  const landlock_path_beneath_attr rule{kReadAccess, root};
  const bool added = syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) == 0;
  if (root >= 0) close(root);
  return added;
}

bool CannotOpen(int flags) {
  const UniqueFd root(open("/", flags | O_CLOEXEC));
  return !root && errno == EACCES;
}

}  // namespace

uint32_t LandlockAbi() {
  const long abi = syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return abi > 0 ? static_cast<uint32_t>(abi) : 0;
}

uint32_t ForbidFileSystem() {
  const uint32_t abi = LandlockAbi();
  if (abi == 0) return 0;
  size_t size;
  const RulesetAttributes attributes = Everything(abi, &size);
  const UniqueFd ruleset(static_cast<int>(syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  if (!ruleset) return 0;
#ifdef RBC_SANITIZED
  // Sanitizers read /proc and their own symbols.
  if (!AllowReading(ruleset.get())) return 0;
  const int probe = O_TMPFILE | O_RDWR;
#else
  (void)AllowReading;
  const int probe = O_RDONLY | O_DIRECTORY;
#endif
  if (syscall(SYS_landlock_restrict_self, ruleset.get(), 0) != 0) return 0;
  return CannotOpen(probe) ? abi : 0;
}

}  // namespace rbc::worker
