// Arrays on slow lines: packed both ways where it helps, by the real client and daemon; what travels is counted.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <cstdlib>
#include <numeric>
#include <random>
#include <thread>

#include "rbc/rbc.h"
#include "tests/harness/certificates.h"
#include "tests/harness/farm_test.h"
#include "tests/harness/npy.h"
#include "tests/harness/paths.h"
#include "tests/harness/relay.h"
#include "tests/harness/run_program.h"

namespace rbc::harness {
namespace {

using Numbers = std::vector<double>;
using Saving = RemoteJIT::Saving;

constexpr uint64_t kSlow = 5'000'000;     // bytes a second
constexpr uint64_t kBesides = 64 * 1024;  // what requests and answers may have besides

Numbers Ramp(size_t count) {
  Numbers out(count);
  std::iota(out.begin(), out.end(), 0.0);
  return out;
}

// No two bytes that a packer could make use of.
std::vector<uint64_t> Noise(size_t count) {
  std::mt19937_64 random(7);
  std::vector<uint64_t> out(count);
  for (uint64_t& x : out) x = random();
  return out;
}

RemoteJIT Jit(const std::string& address, Saving compress) {
  RemoteJIT::Options options;
  options.compress = compress;
  options.recall = Saving::kOff;
  return RemoteJIT(address, std::move(options));
}

// Bytes on the line, each way, of a copy there and back.
struct Traffic {
  uint64_t there = 0, back = 0;
};
template <typename T>
Traffic CopyThereAndBack(const Relay& relay, const RemoteJIT& jit, const std::vector<T>& values) {
  const Buffer there = jit.empty<T>({static_cast<int64_t>(values.size())});
  Traffic out{relay.to_farm(), relay.from_farm()};
  there.copy_from(values);
  out.there = relay.to_farm() - out.there;
  EXPECT_TRUE(there.to_host<T>() == values);
  out.back = relay.from_farm() - out.back;
  return out;
}

class Compression : public FarmTest {};

TEST_F(Compression, OnPacksBothWays) {
  const Relay relay(farm().tcp_address(), kSlow);
  const auto traffic = CopyThereAndBack(relay, Jit(relay.address(), Saving::kOn), Ramp(2 << 20));
  EXPECT_LT(traffic.there, (16 << 20) / 20);
  EXPECT_LT(traffic.back, (16 << 20) / 20);
}

TEST_F(Compression, AutoPacksOnASlowLine) {
  const Relay relay(farm().tcp_address(), kSlow);
  const auto traffic = CopyThereAndBack(relay, Jit(relay.far_address(), Saving::kAuto), Ramp(3 << 20));
  EXPECT_LT(traffic.there, (24 << 20) / 2) << "the first of it went plain, and told how slow the line is";
  EXPECT_LT(traffic.back, (24 << 20) / 2);
}

TEST_F(Compression, WhatDoesNotShrinkTravelsAsItIs) {
  const Relay relay(farm().tcp_address(), 4 * kSlow);
  for (const auto& [address, compress] :
       {std::pair(relay.address(), Saving::kOn), std::pair(relay.far_address(), Saving::kAuto)}) {
    const uint64_t bytes = 6 << 20;
    const auto traffic = CopyThereAndBack(relay, Jit(address, compress), Noise(bytes / 8));
    EXPECT_GE(traffic.there, bytes);
    EXPECT_LE(traffic.there, bytes + kBesides);
    EXPECT_GE(traffic.back, bytes);
    EXPECT_LE(traffic.back, bytes + kBesides);
  }
}

TEST_F(Compression, OffAndThisMachineTravelPlain) {
  const Relay relay(farm().tcp_address());
  const uint64_t bytes = 8 << 20;
  for (const auto& jit : {Jit(relay.far_address(), Saving::kOff), Jit(relay.address(), Saving::kAuto)}) {
    const auto traffic = CopyThereAndBack(relay, jit, Ramp(bytes / 8));
    EXPECT_GE(traffic.there, bytes);
    EXPECT_GE(traffic.back, bytes);
  }
}

TEST_F(Compression, TheEnvironmentDecidesWhereTheProgramDoesNot) {
  ::setenv("RBC_COMPRESS", "on", 1);
  const Relay relay(farm().tcp_address());
  const RemoteJIT jit = Jit(relay.address(), Saving::kAuto);
  ::setenv("RBC_COMPRESS", "perhaps", 1);
  EXPECT_THROW(Jit(relay.address(), Saving::kAuto), Exception);
  ::unsetenv("RBC_COMPRESS");
  EXPECT_LT(CopyThereAndBack(relay, jit, Ramp(1 << 20)).there, (8 << 20) / 10);
}

// All sizes around pieces, all widths of elements, views with gaps, and nothing at all.
TEST_F(Compression, EveryElementArrivesAsItWas) {
  const Relay relay(farm().tcp_address());
  const RemoteJIT jit = Jit(relay.address(), Saving::kOn);
  for (const size_t count : {0, 1, 511, 512, 32 * 1024, 32 * 1024 + 1, 100'003}) {
    CopyThereAndBack(relay, jit, Ramp(count));
    CopyThereAndBack(relay, jit, std::vector<int8_t>(count, -3));
    std::vector<float> floats(count);
    for (size_t i = 0; i < count; ++i) floats[i] = std::sin(static_cast<float>(i));
    CopyThereAndBack(relay, jit, floats);
    std::vector<std::complex<double>> complexes(count);
    for (size_t i = 0; i < count; ++i) complexes[i] = {static_cast<double>(i), -static_cast<double>(i)};
    CopyThereAndBack(relay, jit, complexes);
  }
  const Buffer whole = jit.to_device(std::span<const double>(Ramp(300 * 1001)), {300, 1001});
  const Buffer inside = whole.slice(1, 1, 1001);
  const Numbers others(static_cast<size_t>(inside.size()), 0.5);
  inside.copy_from(others);
  EXPECT_TRUE(inside.to_host<double>() == others);
  EXPECT_EQ(whole.slice(1, 0, 1).slice(0, 0, 3).to_host<double>(), (Numbers{0, 1001, 2002}));
}

TEST_F(Compression, ManyAtOnce) {
  const Relay relay(farm().tcp_address());
  const RemoteJIT jit = Jit(relay.address(), Saving::kOn);
  std::vector<std::thread> threads;
  for (int t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 4; ++i) {
        Numbers mine = Ramp(200'000);
        for (double& x : mine) x *= t + 1;
        EXPECT_TRUE(jit.to_device(mine).to_host<double>() == mine);
      }
    });
  for (auto& thread : threads) thread.join();
}

TEST_F(Compression, ProgressCountsTheArray) {
  const Relay relay(farm().tcp_address(), 2 * kSlow);
  std::vector<uint64_t> done;
  RemoteJIT::Options options;
  options.compress = Saving::kOn;
  options.on_progress = [&](uint64_t now, uint64_t total) {
    EXPECT_EQ(total, uint64_t{24} << 20);
    done.push_back(now);
  };
  const RemoteJIT jit(relay.address(), options);
  std::mt19937_64 random(7);
  std::vector<uint64_t> values(3 << 20);
  for (uint64_t& x : values) x = random() >> 32;  // packs to half
  const Buffer there = jit.to_device(values);
  ASSERT_FALSE(done.empty()) << "it takes more than half a second";
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_LE(done.back(), uint64_t{24} << 20);
  EXPECT_GT(done.back(), uint64_t{13} << 20) << "of the array, not of what travels";
  done.clear();
  EXPECT_TRUE(there.to_host<uint64_t>() == values);
  ASSERT_FALSE(done.empty());
  EXPECT_GT(done.back(), uint64_t{13} << 20);
}

TEST_F(Compression, TheCommandPacksWhereItIsTold) {
  const Relay relay(farm().tcp_address());
  const std::string in = farm().folder() + "/x.npy", out = farm().folder() + "/out.npy";
  WriteWholeFile(in, Npy(Ramp(1 << 20)));
  const auto map = [&](const std::string& compress) {
    const uint64_t before = relay.to_farm() + relay.from_farm();
    const Finished run =
        RunProgram({ProgramPath("rbc"), "--farm", relay.address(), "map", SourcePath("examples/add.ll"), "add",
                    "f64(f64,f64)", in, "0", "-o", out, "--compress", compress},
                   {});
    EXPECT_EQ(run.exit_code, compress == "perhaps" ? 2 : 0) << run.ToString();
    return relay.to_farm() + relay.from_farm() - before;
  };
  EXPECT_LT(map("on"), (8u << 20) / 5);
  EXPECT_EQ(ReadWholeFile(out), Npy(Ramp(1 << 20)));
  EXPECT_GE(map("off"), 16u << 20);
  EXPECT_EQ(map("perhaps"), 0u);
}

class NoCompression : public Compression {
  FarmOptions Options() const override { return FarmOptions().Set("data", "compression", "false"); }
};

TEST_F(NoCompression, TheFarmsChoiceCounts) {
  const Relay relay(farm().tcp_address());
  const auto traffic = CopyThereAndBack(relay, Jit(relay.address(), Saving::kOn), Ramp(1 << 20));
  EXPECT_GE(traffic.there, uint64_t{8} << 20);
  EXPECT_GE(traffic.back, uint64_t{8} << 20);
}

class TlsCompression : public FarmTest {
 protected:
  TlsCompression() : authority_(folder_.path(), "ca"), certificate_(authority_.Sign({})) {}
  FarmOptions Options() const override {
    FarmOptions options;
    options.tls_listen = "tls://127.0.0.1:0";
    options.Set("tls", "certificate", "\"" + certificate_.certificate + "\"")
        .Set("tls", "key", "\"" + certificate_.key + "\"");
    return options;
  }
  TemporaryFolder folder_;
  CertificateAuthority authority_;
  CertificateFiles certificate_;
};

TEST_F(TlsCompression, PacksWithinTls) {
  const std::string address = farm().tls_address();
  const Relay relay(address.substr(address.find("//") + 2), kSlow);
  RemoteJIT::Options options;
  options.compress = Saving::kOn;
  options.recall = Saving::kOff;
  options.ca = authority_.path();
  const RemoteJIT jit("tls://" + relay.address(), options);
  const auto ramp = CopyThereAndBack(relay, jit, Ramp(2 << 20));
  EXPECT_LT(ramp.there, (16 << 20) / 20);
  EXPECT_LT(ramp.back, (16 << 20) / 20);
  CopyThereAndBack(relay, jit, Noise(1 << 16));
}

}  // namespace
}  // namespace rbc::harness
