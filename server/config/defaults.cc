// What the configuration leaves open: addresses and folders of this user and machine.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

#include "server/config/config.h"

namespace rbc::server {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::vector<std::string> DefaultListen() {
  std::vector<std::string> addresses = {"127.0.0.1:11530"};
  if (geteuid() == 0) {
    addresses.push_back("unix:/run/rbc/farm.sock");
  } else if (const auto runtime = Environment("XDG_RUNTIME_DIR"); !runtime.empty()) {
    addresses.push_back(fmt::format("unix:{}/rbc/farm.sock", runtime));
  }
  return addresses;
}

std::string DefaultStateDir() {
  if (const auto state = Environment("XDG_STATE_HOME"); !state.empty()) return state + "/rbc";
  if (geteuid() == 0) return "/var/lib/rbc";
  if (const auto home = Environment("HOME"); !home.empty()) return home + "/.local/state/rbc";
  return "";
}

std::string DefaultWorkerPath() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  const std::string self(path, size > 0 ? static_cast<size_t>(size) : 0);
  return self.substr(0, self.rfind('/') + 1) + "rbc-worker";
}

Status Complete(FarmConfig* config) {
  if (config->listen.empty()) config->listen = DefaultListen();
  if (config->state_dir.empty()) config->state_dir = DefaultStateDir();
  if (config->state_dir.empty())
    return {ErrorKind::kInvalidArgument, "server.state_dir is not set and neither XDG_STATE_HOME nor HOME is; set it"};
  if (config->worker_path.empty()) config->worker_path = DefaultWorkerPath();
  if (config->data_max_bytes == 0)
    config->data_max_bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(getpagesize()) / 2;
  if (config->lent_lanes >= config->lanes)
    return {ErrorKind::kInvalidArgument,
            fmt::format("workers.lent_lanes ({}) is not below workers.lanes ({}); leave a lane for the daemon",
                        config->lent_lanes, config->lanes)};
  if (config->hot_threads >= config->max_threads)
    return {ErrorKind::kInvalidArgument, fmt::format("server.hot_threads ({}) is not below server.max_threads ({})",
                                                     config->hot_threads, config->max_threads)};
  return {};
}

}  // namespace rbc::server
