// The packed parameters of a launch, for a device and for its simulation alike.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "targets/target.h"

namespace rbc::cuda {

// Where on the device the call's memory lies.
struct DeviceAddresses {
  uint64_t memory = 0;  // of Invocation::memory
  uint64_t result = 0;
  uint64_t status = 0;   // int32_t, 0 before the launch
  uint64_t outcome = 0;  // uint64_t, kAllRowsFine before the launch
  bool is_far = false;   // a device with memory of its own, which is read best in whole sectors
};

// targets/cuda/launch.h has the layouts. kInvalidArgument: more rows than a launch takes.
Expected<std::string> PackParameters(const EntryPoint& entry, const Invocation& invocation,
                                     const DeviceAddresses& addresses);

// Of a call: arrays that do not lie in its memory get their place relative to that, which is at `address` on the
// device; `memory` is what goes there.
void PlacePointers(const Invocation& invocation, uint64_t address, std::span<uint8_t> memory);

// Whether the entry finds anything in the call's memory.
bool NeedsMemory(const EntryPoint& entry, const Invocation& invocation);

// Of a launch of kReduce.
uint32_t BlocksOfReduction(const Invocation& invocation);

// What the module says about its blocks. kInvalidArgument.
Status CheckShape(const EntryPoint& entry, const GridShape& shape);

}  // namespace rbc::cuda
