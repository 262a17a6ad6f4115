// Runs a program: bytes in, bytes out, within a deadline.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "base/platform.h"
#include "base/unique_fd.h"

extern char** environ;

namespace rbc::client {
namespace {

// A socket pair instead of pipes: writing to a program that has ended is then no signal.
struct Ends {
  UniqueFd ours, theirs;
};

Expected<Ends> MakeEnds() {
  int fds[2];
  if (!platform::OpenSocketPair(fds))
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("no socket can be made: {}; raise the limit of open files", std::strerror(errno)));
  ::fcntl(fds[0], F_SETFL, O_NONBLOCK);
  return Ends{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Reads what is there; closes `fd` at its end.
void Drain(UniqueFd& fd, std::string& into) {
  char bytes[16384];
  for (;;) {
    const ssize_t n = ::recv(fd.get(), bytes, sizeof bytes, 0);
    if (n > 0) {
      into.append(bytes, static_cast<size_t>(n));
    } else if (n < 0 && errno == EINTR) {
      continue;
    } else {
      if (n == 0 || errno != EAGAIN) fd.Reset();
      return;
    }
  }
}

void Feed(UniqueFd& fd, std::string_view& input) {
  const ssize_t n = input.empty() ? 0 : platform::SendAndWait(fd.get(), input.data(), input.size());
  if (n > 0) input.remove_prefix(static_cast<size_t>(n));
  if (input.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) fd.Reset();
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace

std::string FindProgram(std::string_view name) {
  const char* path = std::getenv("PATH");
  std::string_view left = path == nullptr ? "/usr/bin:/bin" : path;
  while (!left.empty()) {
    const size_t colon = left.find(':');
    const std::string candidate = fmt::format("{}/{}", left.substr(0, colon), name);
    left.remove_prefix(colon == std::string_view::npos ? left.size() : colon + 1);
    struct stat status;
    if (candidate[0] == '/' && ::stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
        ::access(candidate.c_str(), X_OK) == 0)
      return candidate;
  }
  return "";
}

Expected<Finished> Run(const std::vector<std::string>& arguments, std::string_view input, size_t most,
                       const Deadline& deadline) {
  RBC_ASSIGN_OR_RETURN(Ends in, MakeEnds());
  RBC_ASSIGN_OR_RETURN(Ends out, MakeEnds());
  RBC_ASSIGN_OR_RETURN(Ends error, MakeEnds());
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in.theirs.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, out.theirs.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, error.theirs.get(), 2);
  std::vector<char*> argv;
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int code = ::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (code != 0)
    return Error(ErrorKind::kUnavailable, fmt::format("'{}' cannot be started: {}", arguments[0], std::strerror(code)));
  in.theirs.Reset();
  out.theirs.Reset();
  error.theirs.Reset();
  Finished finished;
  bool late = false;
  while ((out.ours || error.ours) && finished.out.size() + finished.error.size() <= most) {
    const int ms = deadline.RemainingMs();
    if ((late = ms == 0)) break;
    pollfd wait[3] = {{in.ours.get(), POLLOUT, 0}, {out.ours.get(), POLLIN, 0}, {error.ours.get(), POLLIN, 0}};
    if (::poll(wait, 3, ms) < 0) continue;
    if (in.ours && wait[0].revents != 0) Feed(in.ours, input);
    if (out.ours && wait[1].revents != 0) Drain(out.ours, finished.out);
    if (error.ours && wait[2].revents != 0) Drain(error.ours, finished.error);
  }
  const bool too_much = finished.out.size() + finished.error.size() > most;
  if (late || too_much) ::kill(pid, SIGKILL);
  finished.status = WaitFor(pid);
  if (late)
    return Error(ErrorKind::kDeadlineExceeded,
                 fmt::format("'{}' takes longer than {} ms; raise the deadline", arguments[0], deadline.GivenMs()));
  if (too_much)
    return Error(ErrorKind::kResourceExhausted,
                 fmt::format("'{}' writes more than {} bytes; give it less", arguments[0], most));
  return finished;
}

}  // namespace rbc::client
