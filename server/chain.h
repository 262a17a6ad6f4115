// Chains: which steps need which, and what a step that ran hands on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/expected.h"
#include "gen/rbc_types.h"

namespace rbc::server {

// kInvalidArgument: a step that is none or several requests, that names a step which is not before it or makes no
// array, or whose result shall both stay and not.
Status CheckChain(const wire::ChainRequest& chain);

// A step, ready to run as a request of its own.
struct ReadyStep {
  wire::ChainStep request;
  std::vector<wire::ArrayRef> made;  // what its buffers (FrameBuffer) with a step are, in their order
};

// The steps of a chain with the arrays of those before put in.
class ChainProgress {
 public:
  // REQUIRES: CheckChain(chain).
  explicit ChainProgress(const wire::ChainRequest& chain) : chain_(chain) {}

  // The next step with the chain's id and at most this much time; 0: the farm's own limit. The error: of the step that
  // it needs, which has failed.
  Expected<ReadyStep> Next(int32_t deadline_ms) const;
  // How the next step went.
  void Add(wire::ChainOutcome outcome) { outcomes_.push_back(std::move(outcome)); }

  size_t done() const { return outcomes_.size(); }
  // What the client is told. Arrays that it did not want are gone from there.
  std::vector<wire::ChainOutcome> Finish() &&;
  // Buffers that were for later steps alone.
  std::vector<uint64_t> Dropped() const;

 private:
  Status PutIn(wire::ArrayRef* array) const;
  Error FailureOf(size_t step) const;

  const wire::ChainRequest& chain_;
  std::vector<wire::ChainOutcome> outcomes_;
};

}  // namespace rbc::server
