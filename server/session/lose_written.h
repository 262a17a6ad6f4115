// What a call that ended in the middle leaves behind: buffers that nobody knows the content of.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "server/data/session_data.h"
#include "server/session/session_module.h"
#include "worker/call_message.h"

namespace rbc::server {

// Whether a call that ended by `error` may have begun to write.
bool MayHaveWritten(const Error& error);

// Loses the buffers in the arena, also those that a device was to give back, that `call`, of function number `index` of
// the module, was writing into when it ended by `why`.
void LoseWritten(const worker::CallView& call, const SessionModule& module, uint32_t index, const Error& why,
                 SessionData& data);

}  // namespace rbc::server
