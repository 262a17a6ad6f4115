// Memory that a function gives away with its result.
// SPDX-License-Identifier: Apache-2.0
#pragma once

// C linkage because client code calls it.
extern "C" {
// Frees memory of malloc when the reply of the running call is written, so that a function can return text that it
// made. Null: nothing to do. Outside of a call the memory is freed with the next call's.
void FreeAfterCall(void* memory);
}
