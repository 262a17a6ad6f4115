// Arrays of 8 MiB over a line of 20 MB/s, packed where that is faster, and a raw stream over the same line.
// Microseconds an array.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <thread>

#include "base/unique_fd.h"
#include "rbc/rbc.h"
#include "tests/bench/farm_process.h"
#include "tests/harness/relay.h"

namespace rbc::bench {
namespace {

constexpr uint64_t kLine = 20'000'000;  // bytes a second, each way
constexpr size_t kCount = 1 << 20;
constexpr size_t kBytes = kCount * sizeof(double);
constexpr int kWarmUp = 1, kMostCopies = 3;

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

template <typename Copy, typename Right>
Sample TimeCopies(const Work& work, Copy copy, Right right) {
  std::vector<int64_t> times;
  for (int i = 0; i < std::min(work.calls, kMostCopies) + kWarmUp; ++i) {
    const int64_t start = NowNs();
    copy();
    if (i >= kWarmUp) times.push_back(NowNs() - start);
  }
  if (!right()) return {.error = "what arrived is not what was sent"};
  return {.p50 = Quantile(times, 0.50) / 1000.0, .p99 = Quantile(times, 0.99) / 1000.0};
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
        work, [&] { buffer.copy_from(numbers); },
        [&] {
          buffer.copy_to(std::span(back));
          return std::memcmp(back.data(), numbers.data(), kBytes) == 0;
        });
  return TimeCopies(
      work, [&] { buffer.copy_to(std::span(back)); },
      [&] { return std::memcmp(back.data(), numbers.data(), kBytes) == 0; });
} catch (const Exception& error) {
  return {.error = error.what()};
}

bool SendAll(int fd, const char* from, size_t bytes) {
  while (bytes != 0) {
    const ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    bytes -= static_cast<size_t>(sent);
  }
  return true;
}
bool ReceiveAll(int fd, char* to, size_t bytes) {
  while (bytes != 0) {
    const ssize_t got = recv(fd, to, bytes, MSG_WAITALL);
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

// Takes an array, and answers with a byte.
Sample Stream(const Work& work) {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) != 0 || listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), generic, &size) != 0)
    return {.error = "no socket to listen on"};
  const harness::Relay line("127.0.0.1:" + std::to_string(ntohs(address.sin_port)), kLine);
  const std::string port = line.address().substr(line.address().rfind(':') + 1);
  address.sin_port = htons(static_cast<uint16_t>(std::stoi(port)));
  const UniqueFd near(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(near.get(), generic, size) != 0) return {.error = "no connection over the line"};
  const UniqueFd far(accept(listener.get(), nullptr, nullptr));
  const Memory numbers = Walk();
  Memory there(kCount);
  std::thread peer([&] {
    char byte = 'x';
    while (ReceiveAll(far.get(), reinterpret_cast<char*>(there.data()), kBytes) && SendAll(far.get(), &byte, 1)) {
    }
  });
  bool good = true;
  char byte;
  const Sample sample = TimeCopies(
      work,
      [&] {
        good &= SendAll(near.get(), reinterpret_cast<const char*>(numbers.data()), kBytes) &&
                ReceiveAll(near.get(), &byte, 1);
      },
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
