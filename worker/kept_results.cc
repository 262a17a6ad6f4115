// Array results that wait in their worker for their places in the session's data arena.
// SPDX-License-Identifier: Apache-2.0
#include "worker/kept_results.h"

#include <cstring>
#include <string>
#include <utility>

#include "worker/data_arena.h"
#include "worker/kept_frame.h"

namespace rbc::worker {
namespace {

Error Invalid(std::string message) { return {ErrorKind::kInvalidArgument, std::move(message)}; }

}  // namespace

uint64_t KeptResults::Add(std::vector<ArrayResult> arrays) {
  const std::lock_guard lock(mutex_);
  waiting_.emplace(++last_, std::move(arrays));
  return last_;
}

std::vector<ArrayResult> KeptResults::Take(uint64_t number) {
  const std::lock_guard lock(mutex_);
  auto taken = waiting_.extract(number);
  return taken ? std::move(taken.mapped()) : std::vector<ArrayResult>();
}

Status KeptResults::Place(std::string_view frame) {
  KeptHead head;
  if (frame.size() < sizeof head) return Invalid("a request for kept results has no head");
  std::memcpy(&head, frame.data(), sizeof head);
  frame.remove_prefix(sizeof head);
  if (head.magic != kKeptMagic || frame.size() != uint64_t{head.count} * sizeof(uint64_t))
    return Invalid("a request for kept results is malformed");
  const std::vector<ArrayResult> arrays = Take(head.number);
  if (head.count == 0) return {};
  if (head.count != arrays.size())
    return Invalid("kept results number " + std::to_string(head.number) + " are " + std::to_string(arrays.size()) +
                   " arrays, there are " + std::to_string(head.count) + " places for them");
  const auto arena = DataArena();
  for (const ArrayResult& array : arrays) {
    uint64_t place;
    std::memcpy(&place, frame.data(), sizeof place);
    frame.remove_prefix(sizeof place);
    if (place > arena.size() || array.bytes() > arena.size() - place)
      return Invalid("the place for a kept result lies outside of the session's arena");
    if (array.bytes() != 0) array.CopyTo(reinterpret_cast<char*>(arena.data()) + place);
  }
  return {};
}

KeptResults& KeptResultsHere() {
  static auto* const here = new KeptResults();  // lanes run to the very end
  return *here;
}

}  // namespace rbc::worker
