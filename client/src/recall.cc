// Whether large arrays are asked for by digest before they are sent.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/recall.h"

#include <fmt/format.h>

#include <cstdlib>

#include "base/array_digest.h"

namespace rbc::client {

Expected<RemoteJIT::Saving> SavingChoice(RemoteJIT::Saving option, const char* variable) {
  using Saving = RemoteJIT::Saving;
  const char* const text = std::getenv(variable);
  if (option != Saving::kAuto || text == nullptr || *text == 0) return option;
  const std::string_view word = text;
  if (word == "auto") return Saving::kAuto;
  if (word == "on") return Saving::kOn;
  if (word == "off") return Saving::kOff;
  return Error(ErrorKind::kInvalidArgument, fmt::format("{} is '{}'; set it to on, off or auto", variable, word));
}

bool WouldRecall(RemoteJIT::Saving choice, bool far, uint64_t bytes) {
  if (bytes < kLeastRecalled || choice == RemoteJIT::Saving::kOff) return false;
  return far || choice == RemoteJIT::Saving::kOn;
}

Expected<bool> Recall(Farm& farm, uint64_t epoch, int64_t id, std::string_view bytes, const Deadline& deadline) {
  const Digest digest = ArrayDigest(bytes);
  return farm.AskIn(epoch, deadline,
                    [&](wire::FarmClient& client) { return client.buffer_recall(id, std::string(Bytes(digest))); });
}

}  // namespace rbc::client
