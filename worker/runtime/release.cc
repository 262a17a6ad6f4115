// Memory that a function gives away with its result.
// SPDX-License-Identifier: Apache-2.0
#include "worker/runtime/release.h"

#include "worker/call_context.h"

void FreeAfterCall(void* memory) {
  auto* context = rbc::worker::CurrentContext();
  if (context != nullptr && memory != nullptr) context->free_after_call.push_back(memory);
}
