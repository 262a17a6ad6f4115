// The keys of rbc-farm.toml: name, type, bounds, documentation.
// SPDX-License-Identifier: Apache-2.0
#include "server/config/config.h"

namespace rbc::server {
namespace {

using C = FarmConfig;
constexpr uint64_t kHour = 3'600'000;
constexpr auto kBytes = NumberKey::kBytes;

ConfigKey Number(std::string_view section, std::string_view name, uint64_t C::*member, uint64_t least, uint64_t most,
                 std::string_view doc) {
  return {section, name, NumberKey{member, least, most}, doc};
}
ConfigKey Size(std::string_view section, std::string_view name, uint64_t C::*member, uint64_t least, uint64_t most,
               std::string_view doc) {
  return {section, name, NumberKey{member, least, most, kBytes}, doc};
}

std::vector<ConfigKey> ServerKeys() {
  return {
      {"server", "listen", TextListKey{&C::listen},
       "Addresses: HOST:PORT (port 0 picks one), tls://HOST:PORT or unix:PATH. Empty: loopback port 11530 and the "
       "default "
       "Unix socket."},
      {"server", "insecure", FlagKey{&C::insecure},
       "Leave to listen on addresses that other machines reach without TLS and tokens: anybody there may use this "
       "farm."},
      {"server", "state_dir", TextKey{&C::state_dir, {}},
       "Folder of the farm's id and the published names. Empty: $XDG_STATE_HOME/rbc, as root /var/lib/rbc."},
      {"server", "advertise", TextKey{&C::advertise, {}},
       "Address under which clients reach this farm; part of its id, so that another farm can send them back."},
      {"server", "log_level", TextKey{&C::log_level, {"debug", "info", "warn", "error", "off"}},
       "debug, info, warn, error or off; one line per event on standard error."},
      Number("server", "grace_ms", &C::grace_ms, 0, kHour,
             "How long a stop waits for calls in flight; a second TERM or an INT waits for none."),
      Number("server", "max_threads", &C::max_threads, 2, 4096,
             "Threads that serve requests; they grow with calls in flight. At the bound requests answer Busy."),
      Number("server", "hot_threads", &C::hot_threads, 0, 4096,
             "Threads that may stay with a busy connection instead of going back to the common wait."),
      Number("server", "hot_wait_ms", &C::hot_wait_ms, 1, 1000, "How long such a thread waits for the next request."),
  };
}

std::vector<ConfigKey> SecurityKeys() {
  return {
      {"tls", "certificate", TextKey{&C::tls_certificate, {}},
       "The farm's certificate for tls:// addresses, in PEM, followed by those of its issuers."},
      {"tls", "key", TextKey{&C::tls_key, {}}, "The certificate's private key, in PEM, without a password."},
      {"tls", "client_ca", TextKey{&C::tls_client_ca, {}},
       "Clients must have a certificate that one of these has signed, in PEM. Empty: they need none."},
      {"tls", "min_version", TextKey{&C::tls_min_version, {"1.2", "1.3"}}, "The oldest TLS to speak: 1.2 or 1.3."},
      Number("tls", "handshake_timeout_ms", &C::tls_handshake_timeout_ms, 10, kHour,
             "How long a TLS connection may take from its begin to the end of its handshake and hello."),
      Number("tls", "max_handshakes", &C::tls_max_handshakes, 1, 1'000'000,
             "TLS connections that are not through these yet; beyond it the oldest of them goes."),
      {"auth", "tokens_file", TextKey{&C::tokens_file, {}},
       "Who may use this farm over TCP; rbc-farm --new-token writes it. Empty: no tokens."},
  };
}

std::vector<ConfigKey> LimitKeys() {
  return {
      Size("limits", "max_message", &C::max_message, 4096, 1ull << 30, "Bytes of one request or reply."),
      Size("limits", "max_string", &C::max_string, 64, 1ull << 30, "Bytes of a string that a function returns."),
      Number("limits", "max_list", &C::max_list, 16, 1'000'000, "Elements of a list in a request."),
      Number("limits", "max_depth", &C::max_depth, 8, 64, "Nesting of structures in a request."),
      Size("limits", "receive_memory", &C::receive_memory, 1 << 20, 1ull << 40,
           "Bytes of half-received requests, all connections together."),
      Number("limits", "message_timeout_ms", &C::message_timeout_ms, 10, kHour,
             "How long a request may take to arrive, and a reply to be taken, once begun."),
      Number("limits", "max_connections", &C::max_connections, 1, 1'000'000, "Open connections."),
      Number("limits", "max_connections_per_session", &C::max_connections_per_session, 1, 1'000'000,
             "Open connections of one session."),
      Number("limits", "max_sessions", &C::max_sessions, 1, 1'000'000,
             "Sessions, those kept for their lease included."),
      Number("limits", "max_sessions_per_domain", &C::max_sessions_per_domain, 1, 1'000'000,
             "Sessions of one trust domain (a uid, or all of loopback TCP)."),
      Number("limits", "max_modules", &C::max_modules, 1, 100'000'000, "Modules of all sessions."),
      Number("limits", "max_modules_per_session", &C::max_modules_per_session, 1, 1'000'000, "Modules of one session."),
      Number("limits", "max_functions_per_session", &C::max_functions_per_session, 1, 1'000'000,
             "Functions of one session's modules."),
  };
}

std::vector<ConfigKey> SessionAndStoreKeys() {
  return {
      Number("sessions", "lease_ms", &C::lease_ms, 0, 30 * 24 * kHour,
             "How long a session over TCP outlives its last connection. Sessions over Unix sockets end with it."),
      Number("sessions", "doubt_lease_ms", &C::doubt_lease_ms, 0, kHour,
             "How long any session outlives its last connection where the farm closed it in doubt about a reply."),
      {"sessions", "lend", FlagKey{&C::lend}, "Lend connections to the worker that their calls go to."},
      Number("sessions", "lend_after", &C::lend_after, 1, 1'000'000, "Calls in a row for one worker before a lend."),
      {"sessions", "direct", FlagKey{&C::direct},
       "Share a worker's lanes and the session's arrays with clients on Unix sockets that ask."},
      Size("store", "max_bytes", &C::store_bytes, 1 << 20, 1ull << 50,
           "Compiled modules and their IR in memory; the least recently used go first."),
      Number("names", "max_names", &C::max_names, 0, 10'000'000, "Published names."),
      Number("names", "max_names_per_owner", &C::max_names_per_owner, 0, 10'000'000, "Published names of one owner."),
      Size("names", "max_bytes", &C::names_bytes, 1 << 20, 1ull << 50, "Bytes of published modules on disk."),
  };
}

std::vector<ConfigKey> WorkerKeys() {
  return {
      {"workers", "path", TextKey{&C::worker_path, {}}, "The program rbc-worker. Empty: beside rbc-farm."},
      {"workers", "sandbox", TextKey{&C::sandbox, {"best", "strict"}},
       "best: use what the machine offers and report the rest; strict: do not start without all of it."},
      Number("workers", "max_workers", &C::max_workers, 1, 100'000, "Execution workers, one a session and target."),
      Number("workers", "lanes", &C::lanes, 1, 64, "Calls of one session that run at once."),
      Number("workers", "lent_lanes", &C::lent_lanes, 0, 63, "Lanes of these that lent connections may take."),
      Number("workers", "spin_us", &C::spin_us, 0, 10'000,
             "Polling before blocking, where more than one CPU is allowed; 0: never."),
      Number("workers", "bulk_threads", &C::bulk_threads, 0, 1024,
             "Threads that share a map, reduction or scan in a worker; 0: one for each CPU that the farm may use."),
      Size("workers", "arena_size", &C::arena_size, 1 << 20, 1ull << 40,
           "Address space of a worker's bulk data; pages come when touched."),
      Size("workers", "memory_limit", &C::memory_limit, 1 << 24, 1ull << 44, "Private memory of an execution worker."),
      Size("workers", "compile_memory_limit", &C::compile_memory_limit, 1 << 26, 1ull << 44,
           "Private memory of a compile worker."),
      Size("workers", "capture_limit", &C::capture_limit, 0, 64 * 1024, "Bytes kept of what a call prints."),
      Number("workers", "call_deadline_ms", &C::call_deadline_ms, 1, 24 * kHour,
             "The longest a call may run, and what is taken where it names no deadline."),
      Number("workers", "load_deadline_ms", &C::load_deadline_ms, 1, kHour,
             "The longest that loading a module and its constructors may take."),
      Size("data", "session_bytes", &C::data_session_bytes, 1 << 20, 1ull << 44,
           "Arrays that one session may keep; the address space of its arena, pages come when touched."),
      Size("data", "max_bytes", &C::data_max_bytes, 0, 1ull << 50,
           "Arrays of all sessions together. 0: half of this machine's memory."),
      Number("data", "max_buffers", &C::data_max_buffers, 1, 1'000'000, "Buffers of one session."),
      {"data", "huge_pages", FlagKey{&C::data_huge_pages},
       "Bring the pages of arrays of 4 MiB and more together into huge ones, where the kernel does that (6.1 and "
       "later)."},
      {"data", "compression", FlagKey{&C::data_compression},
       "Take and send arrays packed (zstd), for clients on slow lines that ask for it."},
      Number("compile", "workers", &C::compile_workers, 1, 1024, "Compiles that run at once."),
      Number("compile", "jobs_per_worker", &C::jobs_per_worker, 1, 1'000'000,
             "Compiles before a compile worker is replaced."),
      Number("compile", "queue_limit", &C::queue_limit, 1, 1'000'000, "Waiting compiles; more answer Busy."),
      Number("compile", "queue_limit_per_client", &C::queue_limit_per_client, 1, 1'000'000,
             "Waiting compiles of one session."),
      Number("compile", "queue_deadline_ms", &C::queue_deadline_ms, 1, kHour, "The longest a compile may wait."),
      Number("compile", "deadline_ms", &C::compile_deadline_ms, 1, kHour, "The longest a compile may run."),
      Number("compile", "quarantine_ms", &C::quarantine_ms, 0, 24 * kHour,
             "How long a module that killed two compile workers is refused."),
  };
}

std::vector<ConfigKey> CudaKeys() {
  constexpr std::string_view kSection = "targets.cuda";
  return {
      {kSection, "simulate", FlagKey{&C::cuda_simulate},
       "Play a GPU on this machine's processor: for tests and for machines without one. Results are right, speed is "
       "not."},
      {kSection, "devices", TextListKey{&C::cuda_devices},
       "GPUs to use: an index (\"0\"), a UUID (\"GPU-...\") or a MIG instance (\"MIG-...\"; the driver shows it where "
       "the daemon's CUDA_VISIBLE_DEVICES names it). Empty: all that the "
       "driver shows."},
      {kSection, "driver", TextKey{&C::cuda_driver, {}}, "The driver's library. Empty: libcuda.so.1."},
      Number(kSection, "max_contexts", &C::cuda_max_contexts, 1, 1024,
             "Execution workers on one GPU; more answer Busy."),
      Number(
          kSection, "warm", &C::cuda_warm, 0, 16,
          "Workers with a context that wait for the next session, of each trust domain that used a GPU in the last ten "
          "minutes. They make room for sessions. Each takes memory of the GPU."),
      {kSection, "memory_fraction", FractionKey{&C::cuda_memory_fraction},
       "Share of a GPU's memory that this farm may use; others use the card too."},
      Size(kSection, "session_memory", &C::cuda_session_memory, 1 << 20, 1ull << 44,
           "Memory of a GPU for one session."),
      {kSection, "watch_driver", FlagKey{&C::cuda_watch_driver},
       "Let the driver open files and call the system in workers that are locked down, and tell it in the farm's log: "
       "to find out what a new driver needs. Not for service."},
  };
}

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const std::vector<ConfigKey> keys = [] {
    std::vector<ConfigKey> all;
    for (auto&& part : {ServerKeys(), SecurityKeys(), LimitKeys(), SessionAndStoreKeys(), WorkerKeys(), CudaKeys()})
      all.insert(all.end(), part.begin(), part.end());
    return all;
  }();
  return keys;
}

}  // namespace rbc::server
