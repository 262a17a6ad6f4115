// The fixture of tests of arrays on a device: over a Unix socket and TCP, on the simulator or, where RBC_REQUIRE=cuda
// asks for it, on a GPU.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/library.h"

namespace rbc::harness {

class OnDevice : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  virtual std::string SessionMemory() const = 0;
  FarmOptions Options() const override {
    return WithCuda().Set("targets.cuda", "session_memory", "\"" + SessionMemory() + "\"");
  }
  bool IsLocal() const { return std::string_view(GetParam()) == "unix"; }
  RemoteJIT Jit() { return RemoteJIT(IsLocal() ? farm().unix_address() : farm().tcp_address()); }
  static Buffer OnCuda(const RemoteJIT& jit, const Numbers& numbers, std::string name = {}) {
    return jit.to_device(numbers, {.name = std::move(name), .target = "cuda"});
  }
};

}  // namespace rbc::harness
