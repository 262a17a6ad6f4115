// abort and __stack_chk_fail of the whole program, LLVM's code included: glibc's own would need system calls that are
// not left after lock-down, and the fault record would name those instead of the reason.
// SPDX-License-Identifier: Apache-2.0
#include <csignal>

#include "worker/fault.h"

#ifndef RBC_SANITIZED
extern "C" {

[[noreturn]] void abort() {
  rbc::worker::EndWithFault(rbc::worker::FaultCause::kAbort, SIGABRT, 0, nullptr, __builtin_return_address(0), {});
}

[[noreturn]] void __stack_chk_fail() {
  rbc::worker::EndWithFault(rbc::worker::FaultCause::kStackSmash, SIGABRT, 0, nullptr, __builtin_return_address(0), {});
}

}  // extern "C"
#endif
