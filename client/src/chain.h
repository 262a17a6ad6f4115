// Chains on their way to the farm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <vector>

#include "client/src/arena_map.h"
#include "gen/rbc_types.h"

namespace rbc::client {

class Module;

// A step whose function is number `declared` of `module`; its ids are set when it is sent.
struct ChainPart {
  Module* module = nullptr;
  size_t declared = 0;
  wire::ChainStep step;
  uint64_t epoch = 0;  // of the session whose arrays its frame names; 0: none
};

struct ChainReply {
  uint64_t epoch = 0;                     // of the session that has what stays
  std::shared_ptr<const ArenaMap> arena;  // where it lies, if that is shared with this process
  std::vector<wire::ChainOutcome> outcomes;
};

}  // namespace rbc::client
