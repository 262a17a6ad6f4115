// Arrays of 8 MiB over a line of 20 MB/s, packed where that is faster, and a raw stream over the same line.
// Microseconds an array.
// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "base/unique_fd.h"
#include "rbc/rbc.h"
#include "tests/bench/copies.h"
#include "tests/bench/farm_process.h"
#include "tests/harness/loopback.h"
#include "tests/harness/relay.h"

namespace rbc::bench {
namespace {

constexpr uint64_t kLine = 20'000'000;  // bytes a second, each way
constexpr size_t kCount = 1 << 20;
constexpr size_t kBytes = kCount * sizeof(double);
constexpr Rounds kRounds = {.warm_up = 1, .most = 3};

using Memory = std::vector<double>;

// A random walk: its high bytes repeat, its low ones are noise.
Memory Walk() {
  std::mt19937_64 random(7);
  std::normal_distribution<double> step;
  Memory out(kCount);
  double at = 100;
  for (double& x : out) x = at += step(random);
  return out;
}
// The same in whole cents.
Memory Prices() {
  Memory out = Walk();
  for (double& x : out) x = std::round(x * 100) / 100;
  return out;
}
// Noise in all bytes.
Memory Noise() {
  std::mt19937_64 random(7);
  Memory out(kCount);
  for (double& x : out) {
    const uint64_t bits = (random() & ~(0x7ffull << 52)) | (0x3ffull << 52);
    std::memcpy(&x, &bits, sizeof x);
  }
  return out;
}

Sample MeasureBuffer(const Work& work, const Memory& numbers, bool to) try {
  FarmProcess farm(work);
  if (!farm.error().empty()) return {.error = farm.error()};
  const harness::Relay line("127.0.0.1:" + std::to_string(farm.tcp_port()), kLine);
  RemoteJIT::Options options;
  options.compress = RemoteJIT::Saving::kAuto;
  options.recall = RemoteJIT::Saving::kOff;
  const RemoteJIT rjit(line.far_address(), options);
  Memory back(kCount);
  const Buffer buffer = rjit.to_device(numbers);
  if (to)
    return TimeCopies(
        work, kRounds, [&] { buffer.copy_from(numbers); },
        [&] {
          buffer.copy_to(std::span(back));
          return std::memcmp(back.data(), numbers.data(), kBytes) == 0;
        });
  return TimeCopies(
      work, kRounds, [&] { buffer.copy_to(std::span(back)); },
      [&] { return std::memcmp(back.data(), numbers.data(), kBytes) == 0; });
} catch (const Exception& error) {
  return {.error = error.what()};
}

// Takes an array, and answers with a byte.
Sample Stream(const Work& work) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const harness::Relay line(harness::ListenAnywhere(listener.get()), kLine);
  const UniqueFd near(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!harness::ConnectTo(near.get(), harness::PortOf(line.address()))) return {.error = "no connection over the line"};
  const UniqueFd far(accept(listener.get(), nullptr, nullptr));
  const Memory numbers = Walk();
  Memory there(kCount);
  std::thread peer([&] {
    char byte = 'x';
    while (ReceiveAll(far.get(), there.data(), kBytes) && SendAll(far.get(), &byte, 1)) {
    }
  });
  bool good = true;
  char byte;
  const Sample sample = TimeCopies(
      work, kRounds, [&] { good &= SendAll(near.get(), numbers.data(), kBytes) && ReceiveAll(near.get(), &byte, 1); },
      [&] { return good && there == numbers; });
  shutdown(near.get(), SHUT_RDWR);
  shutdown(far.get(), SHUT_RDWR);
  peer.join();
  return sample;
}

Sample ToPrices(const Work& work) { return MeasureBuffer(work, Prices(), true); }
Sample FromPrices(const Work& work) { return MeasureBuffer(work, Prices(), false); }
Sample ToWalk(const Work& work) { return MeasureBuffer(work, Walk(), true); }
Sample ToNoise(const Work& work) { return MeasureBuffer(work, Noise(), true); }

constexpr Source kSources[] = {
    {"slow_to_prices", ToPrices}, {"slow_from_prices", FromPrices}, {"slow_to_walk", ToWalk},
    {"slow_to_noise", ToNoise},   {"slow_stream", Stream},
};

}  // namespace

std::span<const Source> SlowLineSources() { return kSources; }

}  // namespace rbc::bench
