// Whether large arrays are asked for by digest before they are sent.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "base/expected.h"
#include "client/src/farm.h"
#include "rbc/remote_jit.h"

namespace rbc::client {

// An answer costs a round trip and a digest of all bytes (about 2 GB/s); smaller arrays are as quickly sent.
inline constexpr uint64_t kLeastRecalled = uint64_t{1} << 20;

// The option as it is, or what the environment's `variable` says. kInvalidArgument: something else than on, off and
// auto.
Expected<RemoteJIT::Saving> SavingChoice(RemoteJIT::Saving option, const char* variable);
// For an array of so many bytes.
bool WouldRecall(RemoteJIT::Saving choice, bool far, uint64_t bytes);
// True: buffer `id` of the session `epoch` has these bytes now. False: send them.
Expected<bool> Recall(Farm& farm, uint64_t epoch, int64_t id, std::string_view bytes, const Deadline& deadline);

}  // namespace rbc::client
