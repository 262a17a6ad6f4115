// A program run to its end with a time limit.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "base/unique_fd.h"

namespace rbc::harness {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  UniqueFd read, write;
  Pipe() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) std::abort();
    read.Reset(ends[0]);
    write.Reset(ends[1]);
  }
};

[[noreturn]] void Exec(const ProgramCall& call, int in, int out, int err) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(in, STDIN_FILENO);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  call.Exec();
}

std::vector<char*> Pointers(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

// Takes what there is. False: the other end is closed.
bool Drain(int fd, std::string* into) {
  char buffer[16 * 1024];
  const ssize_t size = read(fd, buffer, sizeof buffer);
  if (size > 0) into->append(buffer, static_cast<size_t>(size));
  return size > 0 || (size < 0 && (errno == EAGAIN || errno == EINTR));
}

// Feeds and empties the pipes until both outputs are closed. False: the time is over.
bool Pump(Pipe& in, Pipe& out, Pipe& err, std::string_view input, Clock::time_point end, Finished* result) {
  fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  if (input.empty()) in.write.Reset();
  while (out.read || err.read) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    if (left <= 0) return false;
    pollfd waits[3] = {{out.read.get(), POLLIN, 0}, {err.read.get(), POLLIN, 0}, {in.write.get(), POLLOUT, 0}};
    if (poll(waits, 3, static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (waits[0].revents != 0 && !Drain(out.read.get(), &result->out)) out.read.Reset();
    if (waits[1].revents != 0 && !Drain(err.read.get(), &result->err)) err.read.Reset();
    if (waits[2].revents != 0) {
      const ssize_t sent = write(in.write.get(), input.data(), input.size());
      if (sent > 0) input.remove_prefix(static_cast<size_t>(sent));
      if (input.empty() || (sent < 0 && errno != EAGAIN)) in.write.Reset();
    }
  }
  return true;
}

}  // namespace

std::string Finished::ToString() const {
  std::string text = timed_out     ? "killed at its time limit"
                     : signal != 0 ? "signal " + std::to_string(signal)
                                   : "exit code " + std::to_string(exit_code);
  return text + " after " + std::to_string(took.count()) + " ms\nout: " + out + "\nerr: " + err;
}

ProgramCall::ProgramCall(std::vector<std::string> command,
                         const std::vector<std::pair<std::string, std::string>>& environment)
    : command_(std::move(command)) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const bool replaced = std::any_of(environment.begin(), environment.end(),
                                      [&](const auto& more) { return text.starts_with(more.first + "="); });
    if (!replaced) environment_.emplace_back(text);
  }
  for (const auto& [name, value] : environment) environment_.push_back(name + "=" + value);
  arguments_ = Pointers(command_);
  environment_pointers_ = Pointers(environment_);
}

void ProgramCall::Exec() const {
  execvpe(arguments_[0], arguments_.data(), environment_pointers_.data());
  _exit(127);
}

Finished RunProgram(const std::vector<std::string>& command, const RunOptions& options) {
  signal(SIGPIPE, SIG_IGN);
  Pipe in, out, err;
  const ProgramCall call(command, options.environment);
  Finished result;
  const auto begin = Clock::now();
  const pid_t pid = fork();
  if (pid == 0) Exec(call, in.read.get(), out.write.get(), err.write.get());
  if (pid < 0) return result;
  in.read.Reset();
  out.write.Reset();
  err.write.Reset();
  result.timed_out = !Pump(in, out, err, options.input, begin + options.limit, &result);
  if (result.timed_out) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  result.took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  if (result.timed_out) return result;
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  return result;
}

}  // namespace rbc::harness
