// A farm behind ssh.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/tunnel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "base/platform.h"

extern char** environ;

namespace rbc::client {
namespace {

constexpr char kHail[] = "rbc-tunnel\n";
constexpr size_t kMostComplaint = 2000;

struct Pipe {
  UniqueFd read, write;
};

Expected<Pipe> MakePipe() {
  int fds[2];
  if (!platform::OpenPipe(fds))
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("no pipe can be made: {}; raise the limit of open files", std::strerror(errno)));
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

std::vector<std::string> Arguments(const Address& address, const std::string& local) {
  std::vector<std::string> out = {"ssh", "-T",
                                  "-o",  "BatchMode=yes",
                                  "-o",  "ExitOnForwardFailure=yes",
                                  "-o",  "ServerAliveInterval=15",
                                  "-o",  "ControlMaster=no",
                                  "-o",  "ControlPath=none",
                                  "-L",  local + ":" + address.path};
  if (address.port != 0) out.insert(out.end(), {"-p", std::to_string(address.port)});
  out.insert(out.end(), {"--", address.user.empty() ? address.host : address.user + "@" + address.host, "cat"});
  return out;
}

}  // namespace

Expected<std::unique_ptr<Tunnel>> Tunnel::Open(const Address& address, const Deadline& deadline) {
  std::unique_ptr<Tunnel> tunnel(new Tunnel);
  RBC_RETURN_IF_ERROR(tunnel->Start(address));
  RBC_RETURN_IF_ERROR(tunnel->WaitReady(address, deadline));
  return tunnel;
}

Status Tunnel::Start(const Address& address) {
  std::error_code none;
  std::filesystem::path parent = std::filesystem::temp_directory_path(none);
  if (none) parent = "/tmp";
  std::string pattern = (parent / "rbc-ssh-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr)
    return Error(ErrorKind::kResourceExhausted, fmt::format("no directory for the tunnel can be made in {}: {}",
                                                            parent.string(), std::strerror(errno)));
  directory_ = pattern;
  near_ = Address{.kind = Address::Kind::kUnix, .path = directory_ + "/farm", .text = address.text};
  RBC_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  RBC_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.write.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, (directory_ + "/log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  const std::vector<std::string> arguments = Arguments(address, near_.path);
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  const int code = ::posix_spawnp(&pid_, "ssh", &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0) {
    pid_ = -1;
    return Error(ErrorKind::kConnectionLost,
                 fmt::format("ssh cannot be started for the farm at {}: {}; install the package openssh-client",
                             address.text, std::strerror(code)));
  }
  input_ = std::move(in.write);
  output_ = std::move(out.read);
  return {};
}

Error Tunnel::Failed(const Address& address, std::string_view what) const {
  return Error(ErrorKind::kConnectionLost,
               fmt::format("ssh to the farm at {} {}: {}", address.text, what, Complaint()));
}

Status Tunnel::WaitReady(const Address& address, const Deadline& deadline) {
  std::string heard;
  // A broken pipe here is an ssh that has ended; its output says so next. The signal would be the caller's.
  sigset_t pipe_signal, before;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  const ssize_t written = ::write(input_.get(), kHail, sizeof kHail - 1);
  const timespec no_time{};
  if (written < 0 && errno == EPIPE) ::sigtimedwait(&pipe_signal, nullptr, &no_time);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  while (heard.find(kHail) == std::string::npos) {
    const int ms = deadline.RemainingMs();
    if (ms == 0)
      return Error(ErrorKind::kDeadlineExceeded, fmt::format("ssh to the farm at {} is not through within {} ms: {}",
                                                             address.text, deadline.GivenMs(), Complaint()));
    pollfd wait{output_.get(), POLLIN, 0};
    if (::poll(&wait, 1, ms) <= 0) continue;
    char bytes[512];
    const ssize_t n = ::read(output_.get(), bytes, sizeof bytes);
    if (n == 0 || (n < 0 && errno != EINTR)) return Failed(address, "has ended");
    if (n > 0) heard.append(bytes, static_cast<size_t>(n));
    if (heard.size() > kMostComplaint) heard.erase(0, heard.size() - kMostComplaint);
  }
  return {};
}

bool Tunnel::Alive() {
  if (pid_ > 0 && ::waitpid(pid_, nullptr, WNOHANG) != 0) pid_ = -1;
  return pid_ > 0;
}

std::string Tunnel::Complaint() const {
  std::ifstream log(directory_ + "/log", std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(log)), std::istreambuf_iterator<char>());
  if (text.size() > kMostComplaint) text.erase(0, text.size() - kMostComplaint);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text.empty() ? "it says nothing" : text;
}

void Tunnel::Abandon() {
  pid_ = -1;
  directory_.clear();
  input_.Reset();
  output_.Reset();
}

Tunnel::~Tunnel() {
  input_.Reset();
  output_.Reset();
  if (pid_ > 0) {
    ::kill(pid_, SIGTERM);
    for (int i = 0; i < 100 && Alive(); ++i) ::poll(nullptr, 0, 10);
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
  }
  std::error_code ignored;
  if (!directory_.empty()) std::filesystem::remove_all(directory_, ignored);
}

}  // namespace rbc::client
