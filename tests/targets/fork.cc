// Limits and reports of a forked child.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/fork.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace rbc::testing {
namespace {

void Limit(int resource, uint64_t value) {
  const rlimit limit{value, value};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &limit);
}

[[noreturn]] void RunChild(int out, const std::function<std::string()>& body, const ForkLimits& limits) {
  Limit(RLIMIT_CPU, limits.cpu_seconds);
  Limit(RLIMIT_CORE, 0);
#ifndef RBC_SANITIZED
  Limit(RLIMIT_AS, limits.memory_bytes);
#endif
  ::alarm(4 * limits.cpu_seconds);
  const int quiet = ::open("/dev/null", O_WRONLY);
  ::dup2(quiet, STDERR_FILENO);
  const std::string answer = "+" + body().substr(0, 60000);
  [[maybe_unused]] const auto written = ::write(out, answer.data(), answer.size());
  ::_exit(0);
}

}  // namespace

ForkOutcome InFork(const std::function<std::string()>& body, ForkLimits limits) {
  ForkOutcome outcome;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return outcome;
  const pid_t child = ::fork();
  if (child == 0) RunChild(ends[1], body, limits);
  ::close(ends[1]);
  char buffer[4096];
  for (ssize_t got; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) outcome.answer.append(buffer, got);
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  outcome.answered = outcome.signal == 0 && !outcome.answer.empty();
  if (!outcome.answer.empty()) outcome.answer.erase(0, 1);
  return outcome;
}

}  // namespace rbc::testing
