// The error value: a kind and a sentence. In the installed package this file is base/error.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/error.h"
