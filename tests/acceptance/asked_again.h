// The fixture of tests of requests that librbc repeats as calls: over a ring, a connection that may be lent, and TCP.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "client/src/core.h"
#include "rbc/rbc.h"
#include "tests/harness/farm_test.h"

namespace rbc::harness {

enum class Way { kRing, kUnix, kTcp };
inline std::string NameOf(const ::testing::TestParamInfo<Way>& info) {
  return info.param == Way::kRing ? "Ring" : info.param == Way::kUnix ? "Unix" : "Tcp";
}

class AskedAgain : public FarmTest, public ::testing::WithParamInterface<Way> {
 protected:
  static constexpr int kTimes = 40;  // enough for a ring or a lent connection

  void SetUp() override {
    FarmTest::SetUp();
    RemoteJIT::Options options;
    options.direct = GetParam() == Way::kRing;
    options.on_output = [this](std::string_view text) { printed_.append(text); };
    jit_.emplace(GetParam() == Way::kTcp ? farm().tcp_address() : farm().unix_address(), options);
  }
  // Runs `ask`, which asks the farm once, and cancels that request, at once or when it runs.
  template <typename F>
  void Cancelled(F&& ask) const {
    const auto& core = *detail::Inside::CoreOf(*jit_);
    const int64_t before = core.farm->NextRequestId();
    std::thread runs(ask);
    EXPECT_TRUE(WaitUntil(kPatience, [&] {
      const auto stopped = core.farm->Cancel(before + 1, core.DeadlineOf(0));
      return stopped && *stopped;
    }));
    runs.join();
  }
  // Requests that the daemon has seen over sockets.
  int Messages() { return farm().StatusJson().at("connections").at("messages").get<int>(); }

  std::optional<RemoteJIT> jit_;
  std::string printed_;
};

}  // namespace rbc::harness
