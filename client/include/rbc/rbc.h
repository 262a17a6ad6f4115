// All of librbc's C++ interface. rbc/llvm.h is apart: it needs LLVM's headers.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "rbc/array.h"
#include "rbc/array_view.h"
#include "rbc/buffer.h"
#include "rbc/exception.h"
#include "rbc/function.h"
#include "rbc/map.h"
#include "rbc/pending.h"
#include "rbc/queue.h"
#include "rbc/remote_jit.h"
#include "rbc/signature.h"
#include "rbc/source.h"
#include "rbc/value.h"
