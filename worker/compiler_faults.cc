// LLVM's ways to end the process, turned into fault records.
// SPDX-License-Identifier: Apache-2.0
#include "worker/compiler_faults.h"

#include <llvm/Support/ErrorHandling.h>

#include "worker/fault.h"

namespace rbc::worker {

void RecordCompilerFaults() {
  llvm::install_fatal_error_handler(
      [](void*, const char* reason, bool) { EndWithFault(FaultCause::kFatalError, 0, 0, nullptr, nullptr, reason); },
      nullptr);
  llvm::install_bad_alloc_error_handler(
      [](void*, const char* reason, bool) { EndWithFault(FaultCause::kOutOfMemory, 0, 0, nullptr, nullptr, reason); },
      nullptr);
}

}  // namespace rbc::worker
