// What the lanes of a warp compute together.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <bit>

#include "cuda/simulator/block.h"

namespace rbc::simulator {
namespace {

bool Has(uint32_t group, uint32_t lane) { return (group >> lane & 1) != 0; }

// PTX ISA, shfl.sync: where a lane reads from, and whether that lies in its segment.
uint64_t Shuffle(const WarpRequest& own, uint32_t lane, Fiber* const lanes[], uint32_t group) {
  const uint32_t offset = own.lane & 31, clamp = own.clamp & 31, segment = own.clamp >> 8 & 31;
  const uint32_t last = (lane & segment) | (clamp & ~segment);
  const uint32_t first = lane & segment;
  int64_t from = lane;
  bool inside = true;
  switch (own.mode) {
    case kShuffleUp:
      from = int64_t{lane} - offset;
      inside = from >= int64_t{last};
      break;
    case kShuffleDown:
      from = int64_t{lane} + offset;
      inside = from <= int64_t{last};
      break;
    case kShuffleButterfly:
      from = lane ^ offset;
      inside = from <= int64_t{last};
      break;
    default:
      from = first | (offset & ~segment);
      inside = from <= int64_t{last};
  }
  if (!inside) from = lane;
  // A lane that is not there has nothing to give: PTX leaves it open, its own value it is.
  const uint32_t source = Has(group, static_cast<uint32_t>(from)) ? static_cast<uint32_t>(from) : lane;
  const uint64_t value = lanes[source]->request.value & 0xffffffff;
  return value | uint64_t{inside} << 32;
}

uint64_t Vote(uint32_t mode, uint32_t ballot, uint32_t group) {
  switch (mode) {
    case kVoteAll:
      return ballot == group;
    case kVoteAny:
      return ballot != 0;
    case kVoteUniform:
      return ballot == 0 || ballot == group;
    default:
      return ballot;
  }
}

uint32_t Combine(uint32_t operation, uint32_t a, uint32_t b) {
  const auto x = static_cast<int32_t>(a), y = static_cast<int32_t>(b);
  switch (operation) {
    case kReduceAdd:
      return a + b;
    case kReduceMin:
      return static_cast<uint32_t>(std::min(x, y));
    case kReduceMax:
      return static_cast<uint32_t>(std::max(x, y));
    case kReduceUmin:
      return std::min(a, b);
    case kReduceUmax:
      return std::max(a, b);
    case kReduceAnd:
      return a & b;
    case kReduceOr:
      return a | b;
    default:
      return a ^ b;
  }
}

uint32_t Reduce(Fiber* const lanes[], uint32_t group) {
  uint32_t lane = static_cast<uint32_t>(std::countr_zero(group));
  const uint32_t operation = lanes[lane]->request.mode;
  auto sum = static_cast<uint32_t>(lanes[lane]->request.value);
  while (++lane < kWarpSize) {
    if (Has(group, lane)) sum = Combine(operation, sum, static_cast<uint32_t>(lanes[lane]->request.value));
  }
  return sum;
}

uint32_t EqualTo(uint64_t value, Fiber* const lanes[], uint32_t group) {
  uint32_t equal = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    if (Has(group, lane) && lanes[lane]->request.value == value) equal |= 1u << lane;
  return equal;
}

}  // namespace

void CompleteWarp(Fiber* const lanes[kWarpSize], uint32_t group) {
  uint32_t ballot = 0;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane)
    if (Has(group, lane) && lanes[lane]->request.value != 0) ballot |= 1u << lane;
  for (uint32_t lane = 0; lane < kWarpSize; ++lane) {
    if (!Has(group, lane)) continue;
    WarpRequest& own = lanes[lane]->request;
    switch (own.kind) {
      case WarpKind::kBarrier:
        own.result = 0;
        break;
      case WarpKind::kShuffle:
        own.result = Shuffle(own, lane, lanes, group);
        break;
      case WarpKind::kVote:
        own.result = Vote(own.mode, ballot, group);
        break;
      case WarpKind::kMatch: {
        const uint32_t equal = EqualTo(own.value, lanes, group);
        const bool all = equal == group;
        own.result = own.mode == kMatchAny ? equal : all ? uint64_t{group} | uint64_t{1} << 32 : 0;
        break;
      }
      case WarpKind::kReduce:
        own.result = Reduce(lanes, group);
        break;
    }
  }
}

}  // namespace rbc::simulator
