// LLVM's ways to end the process, turned into fault records.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rbc::worker {

// Installs LLVM's fatal-error and bad-alloc handlers. Once a process.
void RecordCompilerFaults();

}  // namespace rbc::worker
