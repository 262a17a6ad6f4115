// The address spaces of NVPTX.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace rbc::cuda {

enum AddressSpace : unsigned {
  kGenericSpace = 0,
  kGlobalSpace = 1,
  kSharedSpace = 3,
  kConstantSpace = 4,
  kLocalSpace = 5,
  kClusterSpace = 7,
  kParameterSpace = 101
};

}  // namespace rbc::cuda
