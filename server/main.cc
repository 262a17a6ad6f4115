// rbc-farm: the daemon.
// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>

#include "server/auth/authenticator.h"
#include "server/config/config.h"
#include "server/farm.h"
#include "server/net/address.h"
#include "server/net/exposure.h"
#include "server/net/tls_context.h"
#include "server/spare_memory.h"
#include "server/supervisor_backend.h"
#include "server/version.h"

namespace rbc::server {
namespace {

constexpr int kUsage = 2;

struct Arguments {
  std::string new_token, group;
  double expires_days = 0;
  std::string config;
  std::vector<std::string> listen;
  bool check = false;
  bool print = false;
  bool until_eof = false;
};

Expected<FarmConfig> Configure(const Arguments& arguments) {
  FarmConfig config;
  if (!arguments.config.empty()) {
    RBC_ASSIGN_OR_RETURN(config, ReadConfig(arguments.config));
  }
  if (!arguments.listen.empty()) config.listen = arguments.listen;
  RBC_RETURN_IF_ERROR(Complete(&config));
  return config;
}

bool HasTls(const FarmConfig& config) {
  return std::any_of(config.listen.begin(), config.listen.end(),
                     [](const auto& address) { return address.starts_with(kTlsScheme); });
}

// What the farm needs of files besides the configuration: whether it would start.
Status CheckFiles(const FarmConfig& config) {
  if (HasTls(config)) {
    const auto tls = ReadTlsContext(config);
    if (!tls) return tls.error();
  }
  const auto tokens = Authenticator::Read(config.tokens_file);
  return tokens ? Status() : tokens.error();
}

Expected<std::vector<Listener>> Listen(const FarmConfig& config) {
  TlsContext tls;
  if (HasTls(config)) {
    RBC_ASSIGN_OR_RETURN(tls, ReadTlsContext(config));
  }
  std::vector<Listener> listeners;
  for (const auto& text : config.listen) {
    RBC_ASSIGN_OR_RETURN(auto listener, Listener::Open(text, tls));
    listeners.push_back(std::move(listener));
  }
  return listeners;
}

// The domain whose first request is the likeliest: its nursery is ready before anybody asks.
std::string FirstDomain(const FarmConfig& config) {
  return config.listen.front().rfind("unix:", 0) == 0 ? fmt::format("uid:{}", getuid()) : "loopback";
}

// Prints a new token, once; only its digest is kept. The exit status.
int NewToken(const Arguments& arguments, const FarmConfig& config) {
  constexpr int64_t kDayMs = 24ll * 3'600'000;
  TokenEntry entry{.user = arguments.new_token, .group = arguments.group, .digest = {}, .expires_ms = 0};
  if (arguments.expires_days > 0)
    entry.expires_ms = WallClockMs() + static_cast<int64_t>(arguments.expires_days * static_cast<double>(kDayMs));
  const auto token = config.tokens_file.empty()
                         ? Expected<std::string>(Error(ErrorKind::kInvalidArgument,
                                                       "auth.tokens_file is not set; set it and give --config FILE"))
                         : AddToken(config.tokens_file, entry);
  if (!token) {
    fmt::print(stderr, "rbc-farm: {}\n", token.error().message);
    return 1;
  }
  fmt::print("{}\n", *token);
  fmt::print(stderr, "rbc-farm: a token of {} is in {}; restart the farm to make it known\n", DomainOf(entry),
             config.tokens_file);
  return 0;
}

// Signals become bytes in a pipe: handlers, unlike masks, do not outlive an exec, so workers start with a clean slate.
int g_signal_pipe[2] = {-1, -1};
void OnSignal(int signal) {
  const auto byte = static_cast<unsigned char>(signal);
  (void)!write(g_signal_pipe[1], &byte, 1);
}

bool CatchSignals() {
  if (pipe2(g_signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGTERM, SIGINT, SIGPIPE}) sigaction(signal, &action, nullptr);
  return true;
}

// True once nobody can write to standard input any more; what is written is dropped.
bool InputEnded() {
  char bytes[256];
  const ssize_t n = read(STDIN_FILENO, bytes, sizeof bytes);
  return n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
}

// Blocks until TERM or INT; returns which. The end of standard input counts as TERM where `until_eof` asks for it.
int WaitForStop(bool until_eof = false) {
  for (;;) {
    pollfd wait[2] = {{.fd = g_signal_pipe[0], .events = POLLIN, .revents = 0},
                      {.fd = until_eof ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
    poll(wait, 2, -1);
    unsigned char signal = 0;
    while (read(g_signal_pipe[0], &signal, 1) == 1)
      if (signal == SIGTERM || signal == SIGINT) return signal;
    if (wait[1].revents != 0 && InputEnded()) return SIGTERM;
  }
}

void Tune() {
  SpareMemory::Tune();
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
}

// Serves until a signal. The exit status.
int Run(const FarmConfig& config, Backend& backend, std::vector<Listener> listeners, bool until_eof) {
  Farm farm(config, backend);
  if (const auto status = farm.Start(std::move(listeners)); !status) {
    spdlog::error("{}", status.error().message);
    return 1;
  }
  const auto ready = fmt::format("ready {}\n", fmt::join(farm.addresses(), " "));
  std::fputs(ready.c_str(), stdout);
  std::fflush(stdout);
  spdlog::info("farm {} {} serves {}", kFarmVersion, farm.id(), fmt::join(farm.addresses(), " "));
  const int signal = WaitForStop(until_eof);
  spdlog::info("{}: calls in flight are waited for {} ms", signal == SIGTERM ? "TERM" : "INT",
               signal == SIGTERM ? config.grace_ms : 0);
  std::atomic<bool> hurry{signal == SIGINT};
  std::thread second([&hurry] {
    WaitForStop();
    hurry = true;
  });
  const bool all = farm.Drain(std::chrono::milliseconds(config.grace_ms), hurry);
  OnSignal(SIGTERM);  // ends the watch for a second signal
  second.join();
  farm.Stop();
  spdlog::info("stopped{}", all ? "" : "; calls in flight were ended");
  return 0;
}

int Main(const Arguments& arguments) {
  auto config = Configure(arguments);
  if (config && !arguments.new_token.empty()) return NewToken(arguments, *config);
  auto good = config ? CheckAddresses(*config) : Status(config.error());
  if (good && !arguments.print) good = CheckFiles(*config);
  if (!good) {
    fmt::print(stderr, "rbc-farm: {}\n", good.error().message);
    return 1;
  }
  if (arguments.print) {
    fmt::print("{}", PrintConfig(*config));
    return 0;
  }
  if (arguments.check) {
    fmt::print("the configuration is good\n");
    return 0;
  }
  spdlog::set_level(spdlog::level::from_str(config->log_level == "warn" ? "warning" : config->log_level));
  Tune();
  if (!CatchSignals()) return 1;
  auto listeners = Listen(*config);
  if (!listeners) {
    spdlog::error("{}", listeners.error().message);
    return 1;
  }
  auto backend = StartSupervisor(*config, FirstDomain(*config));
  if (!backend) {
    spdlog::error("{}", backend.error().message);
    return 1;
  }
  if (const auto notes = (*backend)->sandbox_notes(); !notes.empty()) spdlog::warn("sandbox: {}", notes);
  if (const auto notes = (*backend)->device_notes(); !notes.empty()) spdlog::debug("no GPU: {}", notes);
  return Run(*config, **backend, *std::move(listeners), arguments.until_eof);
}

}  // namespace
}  // namespace rbc::server

int main(int argc, char** argv) {
  rbc::server::Arguments arguments;
  CLI::App app("rbc-farm: compiles functions and runs them for its clients.");
  app.set_version_flag("--version", rbc::server::kFarmVersion);
  app.add_option("--config", arguments.config, "Configuration file (TOML)");
  app.add_option("--listen", arguments.listen,
                 "HOST:PORT, tls://HOST:PORT or unix:PATH; may be repeated; instead of the configured ones")
      ->allow_extra_args(false);
  auto* const user =
      app.add_option("--new-token", arguments.new_token, "Print a new token for this user, keep its digest, and exit")
          ->type_name("USER");
  app.add_option("--group", arguments.group, "Of --new-token: share code and names with this group, not with the user")
      ->type_name("GROUP")
      ->needs(user);
  app.add_option("--expires", arguments.expires_days, "Of --new-token: days until it expires; default: never")
      ->type_name("DAYS")
      ->check(CLI::Range(0.0001, 36500.0))
      ->needs(user);
  app.add_flag("--until-eof", arguments.until_eof, "Stop when standard input ends: with the program that started it");
  app.add_flag("--check-config", arguments.check, "Check the configuration and exit");
  app.add_flag("--print-config", arguments.print, "Print the configuration with all keys and exit");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);
    return status == 0 ? 0 : rbc::server::kUsage;
  }
  spdlog::set_default_logger(spdlog::stderr_logger_mt("rbc-farm"));
  spdlog::set_pattern("%Y-%m-%dT%H:%M:%S.%e %l %v");
  return rbc::server::Main(arguments);
}
