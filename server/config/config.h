// The configuration of rbc-farm: values, their keys, and where they come from.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/expected.h"

namespace rbc::server {

// One member per key of rbc-farm.toml; the table in keys.cc names, bounds and documents each. Plain data.
struct FarmConfig {
  // [server]
  std::vector<std::string> listen;  // empty: DefaultListen()
  bool insecure = false;
  std::string state_dir;  // empty: DefaultStateDir()
  std::string advertise;
  std::string log_level = "info";
  uint64_t grace_ms = 10'000;
  uint64_t max_threads = 64;
  uint64_t hot_threads = 8;
  uint64_t hot_wait_ms = 4;
  // [tls], of tls:// addresses
  std::string tls_certificate;
  std::string tls_key;
  std::string tls_client_ca;  // empty: clients need no certificate
  std::string tls_min_version = "1.3";
  uint64_t tls_handshake_timeout_ms = 10'000;
  uint64_t tls_max_handshakes = 512;
  // [auth]
  std::string tokens_file;  // empty: no tokens
  // [limits]
  uint64_t max_message = 64ull << 20;
  uint64_t max_string = 1ull << 20;
  uint64_t max_list = 16'384;
  uint64_t max_depth = 32;
  uint64_t receive_memory = 1ull << 30;
  uint64_t message_timeout_ms = 30'000;
  uint64_t max_connections = 16'384;
  uint64_t max_connections_per_session = 1'024;
  uint64_t max_sessions = 4'096;
  uint64_t max_sessions_per_domain = 1'024;
  uint64_t max_modules = 1'000'000;
  uint64_t max_modules_per_session = 65'536;
  uint64_t max_functions_per_session = 1'000'000;
  // [sessions]
  uint64_t lease_ms = 15 * 60'000;
  uint64_t doubt_lease_ms = 10'000;
  bool lend = true;
  uint64_t lend_after = 2;
  bool direct = true;
  // [store]
  uint64_t store_bytes = 512ull << 20;
  // [names]
  uint64_t max_names = 10'000;
  uint64_t max_names_per_owner = 1'000;
  uint64_t names_bytes = 1ull << 30;
  // [workers]
  std::string worker_path;  // empty: rbc-worker beside this program
  std::string sandbox = "best";
  uint64_t max_workers = 256;
  uint64_t lanes = 16;
  uint64_t lent_lanes = 8;
  uint64_t spin_us = 50;
  uint64_t bulk_threads = 0;  // 0: the CPUs that the daemon may use
  uint64_t arena_size = 1ull << 30;
  uint64_t memory_limit = 4ull << 30;
  uint64_t compile_memory_limit = 4ull << 30;
  uint64_t capture_limit = 64 * 1024;
  uint64_t call_deadline_ms = 60'000;
  uint64_t load_deadline_ms = 10'000;
  // [data]
  uint64_t data_session_bytes = 4ull << 30;
  uint64_t data_max_bytes = 0;  // half of this machine's memory
  uint64_t data_max_buffers = 16'384;
  bool data_huge_pages = true;
  bool data_compression = true;
  // [compile]
  uint64_t compile_workers = 2;
  uint64_t jobs_per_worker = 500;
  uint64_t queue_limit = 256;
  uint64_t queue_limit_per_client = 64;
  uint64_t queue_deadline_ms = 30'000;
  uint64_t compile_deadline_ms = 10'000;
  uint64_t quarantine_ms = 60'000;
  // [targets.cuda], for cuda32 too
  bool cuda_simulate = false;
  std::vector<std::string> cuda_devices;  // empty: all
  std::string cuda_driver;                // empty: libcuda.so.1
  uint64_t cuda_warm = 1;                 // workers that wait, of each domain and target
  uint64_t cuda_max_contexts = 16;        // of a device
  double cuda_memory_fraction = 0.9;      // of a device's memory that this farm may use
  uint64_t cuda_session_memory = 4ull << 30;
  bool cuda_watch_driver = false;
};

// A whole number with bounds. kBytes may also be written as a string, "64 MiB".
struct NumberKey {
  uint64_t FarmConfig::*member;
  uint64_t least, most;
  enum Unit : uint8_t { kPlain, kBytes } unit = kPlain;
};
struct FlagKey {
  bool FarmConfig::*member;
};
// `choices` empty: any text.
struct TextKey {
  std::string FarmConfig::*member;
  std::vector<std::string_view> choices;
};
struct TextListKey {
  std::vector<std::string> FarmConfig::*member;
};
// A number above 0 and at most 1.
struct FractionKey {
  double FarmConfig::*member;
};

struct ConfigKey {
  std::string_view section, name;
  std::variant<NumberKey, FlagKey, TextKey, TextListKey, FractionKey> value;
  std::string_view doc;  // one line for the file
};
// All keys, those of a section together. The order of the file.
const std::vector<ConfigKey>& ConfigKeys();

// `text` is TOML; `origin` names it in errors, "rbc-farm.toml". An unknown key, a wrong type and a value out of range
// are kInvalidArgument with line and column.
Expected<FarmConfig> ParseConfig(std::string_view text, const std::string& origin);
Expected<FarmConfig> ReadConfig(const std::string& path);
// Every key with its documentation and value: what ParseConfig reads back.
std::string PrintConfig(const FarmConfig& config);

// What is used where the configuration leaves it open. The user's Unix socket is left out where nobody says where
// runtime files live.
std::vector<std::string> DefaultListen();
std::string DefaultStateDir();  // "" where neither HOME nor XDG_STATE_HOME is set
std::string DefaultWorkerPath();
// Fills what was left open, checks what one key alone cannot tell. kInvalidArgument.
Status Complete(FarmConfig* config);

}  // namespace rbc::server
