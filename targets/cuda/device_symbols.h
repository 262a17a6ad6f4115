// Names that device code may refer to without defining them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

#include "targets/target.h"

namespace rbc::cuda {

// What every GPU offers (vprintf, malloc, free, __assertfail), and why the usual others are not there. Addresses mean
// nothing: only whether there is one.
class DeviceSymbols : public RuntimeSymbols {
 public:
  void* Find(std::string_view name) const override;
  std::string_view WhyRefused(std::string_view name) const override;
};

// A function of C's or CUDA's maths: libdevice has it under another name.
bool IsMathName(std::string_view name);

}  // namespace rbc::cuda
