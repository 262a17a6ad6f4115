// Conversions to bfloat16 that this compiler's runtime library lacks.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// A bfloat16 travels in the low half of an SSE register, as a _Float16 does; its bits mean another number.
extern "C" {
_Float16 TruncateFloatToBfloat(float value);
_Float16 TruncateDoubleToBfloat(double value);
}
