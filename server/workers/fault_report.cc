// What a dead worker left behind, as an error.
// SPDX-License-Identifier: Apache-2.0
#include "server/workers/fault_report.h"

#include <fmt/format.h>

#include <csignal>
#include <cstring>

#include "worker/system_calls.h"

namespace rbc::server {
namespace {

using worker::FaultCause;

std::string SignalName(int signal) {
  const char* name = signal > 0 && signal < NSIG ? sigabbrev_np(signal) : nullptr;
  return name == nullptr ? fmt::format("signal {}", signal) : fmt::format("SIG{}", name);
}

std::string SignalCause(int signal) {
  switch (signal) {
    case SIGSEGV:
    case SIGBUS:
      return "invalid memory access";
    case SIGFPE:
      return "arithmetic error (division by zero or overflow)";
    case SIGILL:
    case SIGTRAP:
      return "illegal or trapping instruction, which undefined behaviour may have become";
    default:
      return SignalName(signal);
  }
}

std::string ForbiddenCall(int number) {
  const auto name = worker::SystemCallName(number);
  return name.empty() ? fmt::format("forbidden system call {}", number)
                      : fmt::format("forbidden system call {} ({})", number, name);
}

}  // namespace

std::string HostileText(const char* text, size_t size) {
  std::string out(text, strnlen(text, size));
  std::erase_if(out, [](unsigned char c) { return c < 0x20 && c != '\t' && c != '\n'; });
  return out;
}

std::optional<Fault> ReadFault(const worker::RingHeader& header) {
  const auto& record = header.fault;
  if (record.claimed.load(std::memory_order_acquire) == 0) return std::nullopt;
  Fault fault;
  fault.cause = record.cause;
  fault.signal = record.signal;
  fault.code = record.code;
  fault.lane = record.lane;
  fault.address = record.address;
  fault.function = HostileText(record.function, sizeof record.function);
  fault.phase = HostileText(record.phase, sizeof record.phase);
  fault.message = HostileText(record.message, sizeof record.message);
  return fault;
}

std::string CauseText(const Fault& fault) {
  switch (fault.cause) {
    case FaultCause::kStackOverflow:
      return "stack overflow";
    case FaultCause::kAbort:
      return "abort called";
    case FaultCause::kExit:
      return fmt::format("exit({}) called", fault.code);
    case FaultCause::kAssert:
      return "assertion failed";
    case FaultCause::kStackSmash:
      return "stack smashing detected";
    case FaultCause::kFatalError:
      return "LLVM fatal error";
    case FaultCause::kOutOfMemory:
      return "out of memory";
    case FaultCause::kForbiddenCall:
      return ForbiddenCall(fault.code);
    case FaultCause::kRefused:
      return "refused function called";
    case FaultCause::kDevice:
      return fault.message.substr(0, fault.message.find('\n'));
    case FaultCause::kSignal:
    case FaultCause::kNone:
      break;
  }
  return SignalCause(fault.signal);
}

Error CrashOf(const Fault& fault, const std::string& function) {
  Error error(ErrorKind::kRemoteCrash, "");
  error.role = "execution worker";
  error.function = function.empty() ? fault.function : function;
  error.cause = CauseText(fault);
  error.signal = fault.signal;
  error.may_have_run = true;
  if (fault.phase == worker::kPutsBack) {  // no fault of the function's
    error.kind = ErrorKind::kWorkerLost;
    error.message = fmt::format("the worker ended as it put the arrays of '{}' back: {}", error.function, error.cause);
    return error;
  }
  error.message = fmt::format("function '{}' ended its worker: {}", error.function, error.cause);
  const std::string message =
      fault.cause == FaultCause::kDevice ? fault.message.substr(fault.message.find('\n') + 1) : fault.message;
  if (!message.empty()) error.message += fmt::format(" ({})", message);
  if (fault.signal != 0 && (fault.cause == FaultCause::kSignal || fault.cause == FaultCause::kStackOverflow))
    error.message += fmt::format(", {} at address {:#x}", SignalName(fault.signal), fault.address);
  if (!fault.function.empty() && fault.function != error.function)
    error.message += fmt::format(", in '{}'", fault.function);
  return error;
}

Error CompileCrashOf(const Fault& fault) {
  Error error(ErrorKind::kCompileCrash, "");
  error.role = "compile worker";
  error.function = fault.function;
  error.cause = CauseText(fault);
  error.signal = fault.signal;
  error.message = fmt::format("the compiler died on this module: {}", error.cause);
  if (!fault.message.empty()) error.message += ": " + fault.message;
  if (!fault.phase.empty()) error.message += fmt::format(", in phase {}", fault.phase);
  if (!fault.function.empty()) error.message += fmt::format(", at function '{}'", fault.function);
  return error;
}

}  // namespace rbc::server
