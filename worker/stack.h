// Stacks whose bounds are known, so that a fault below one can be called a stack overflow.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>

#include "base/expected.h"
#include "worker/call_context.h"

namespace rbc::worker {

inline constexpr size_t kStackSize = 8 * 1024 * 1024;  // pages come when touched
inline constexpr size_t kStackGuard = 1024 * 1024;     // address space only

// Starts a thread that is never joined, with a stack of kStackSize above a guard, and notes its bounds in the context.
Status StartOnOwnStack(CallContext* context, std::function<void()> body);

// For the main thread. REQUIRES: called from it, RLIMIT_STACK is kStackSize.
void DescribeMainStack(CallContext* context);

}  // namespace rbc::worker
