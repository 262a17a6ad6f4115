// Array results that wait in their worker for their places in the session's data arena.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/expected.h"
#include "worker/array_places.h"

namespace rbc::worker {

// Of one worker. Thread-safe.
class KeptResults {
 public:
  // The number by which they are asked for.
  uint64_t Add(std::vector<ArrayResult> arrays);
  // Nobody will ask.
  void Drop(uint64_t number) { (void)Take(number); }
  // A frame of kKeptResultsFunction (kept_frame.h), which may be anything. kInvalidArgument: it is none, or its places
  // do not lie in the arena; arrays that it names are dropped then too.
  Status Place(std::string_view frame);

 private:
  std::vector<ArrayResult> Take(uint64_t number);

  std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<uint64_t, std::vector<ArrayResult>> waiting_;
};

// This process's.
KeptResults& KeptResultsHere();

}  // namespace rbc::worker
