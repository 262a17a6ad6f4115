// Expected<T>: a value or an Error. In the installed package this file is base/expected.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"
