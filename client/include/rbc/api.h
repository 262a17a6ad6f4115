// What the shared library shows of itself.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#define RBC_API __attribute__((visibility("default")))
