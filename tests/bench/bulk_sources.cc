// Arrays of 64 MiB to and from the farm by librbc, and what the same bytes cost at least. Microseconds an array.
// SPDX-License-Identifier: Apache-2.0
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "base/unique_fd.h"
#include "rbc/rbc.h"
#include "tests/bench/copies.h"
#include "tests/bench/farm_process.h"
#include "tests/harness/loopback.h"

namespace rbc::bench {
namespace {

constexpr size_t kBytes = size_t{64} << 20;
constexpr Rounds kRounds = {.warm_up = 3, .most = 15};

using Memory = std::vector<uint64_t>;
Memory Numbers(uint64_t seed) {
  Memory out(kBytes / sizeof(uint64_t));
  for (uint64_t& number : out) number = seed = seed * 6364136223846793005u + 1;
  return out;
}

enum class Direction { kTo, kFrom };

Sample MeasureBuffer(const Work& work, bool tcp, bool direct, Direction direction) try {
  FarmProcess farm(work);
  if (!farm.error().empty()) return {.error = farm.error()};
  RemoteJIT::Options options;
  options.direct = direct;
  const RemoteJIT rjit(tcp ? "127.0.0.1:" + std::to_string(farm.tcp_port()) : "unix:" + farm.unix_path(), options);
  const Memory numbers = Numbers(7);
  Memory back(numbers.size());
  const Buffer buffer = rjit.to_device(numbers);
  if (direction == Direction::kTo) {
    const Memory others = Numbers(8);
    return TimeCopies(
        work, kRounds, [&] { buffer.copy_from(others); },
        [&] {
          buffer.copy_to(std::span(back));
          return back == others;
        });
  }
  return TimeCopies(
      work, kRounds, [&] { buffer.copy_to(std::span(back)); }, [&] { return back == numbers; });
} catch (const Exception& error) {
  return {.error = error.what()};
}

// ---- floors --------------------------------------------------------------------------------------------------------

struct Ends {
  UniqueFd client, server;
};
Ends Connected(bool tcp) {
  int pair[2];
  if (!tcp) return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? Ends{UniqueFd(pair[0]), UniqueFd(pair[1])} : Ends{};
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  const std::string address = harness::ListenAnywhere(listener.get());
  Ends ends{UniqueFd(socket(AF_INET, SOCK_STREAM, 0)), UniqueFd()};
  if (!harness::ConnectTo(ends.client.get(), harness::PortOf(address))) return {};
  ends.server.Reset(accept(listener.get(), nullptr, nullptr));
  const int on = 1;
  for (const int fd : {ends.client.get(), ends.server.get()}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return ends;
}

// One process asks with a byte for an array, or sends one and gets a byte.
Sample MeasureStream(const Work& work, bool tcp, Direction direction) {
  Ends ends = Connected(tcp);
  if (!ends.client || !ends.server) return {.error = "no pair of sockets can be made"};
  Memory numbers = Numbers(7);
  void* const bytes = numbers.data();
  char byte = 'x';
  ServerProcess server(work.mode, [&] {
    std::vector<char> there(kBytes);
    std::memcpy(there.data(), bytes, kBytes);
    const int fd = ends.server.get();
    for (;;) {
      const bool good = direction == Direction::kTo ? ReceiveAll(fd, there.data(), kBytes) && SendAll(fd, &byte, 1)
                                                    : ReceiveAll(fd, &byte, 1) && SendAll(fd, there.data(), kBytes);
      if (!good) return;
    }
  });
  ends.server.Reset();
  bool good = true;
  const int fd = ends.client.get();
  return TimeCopies(
      work, kRounds,
      [&] {
        good &= direction == Direction::kTo ? SendAll(fd, bytes, kBytes) && ReceiveAll(fd, &byte, 1)
                                            : SendAll(fd, &byte, 1) && ReceiveAll(fd, bytes, kBytes);
      },
      [&] { return good && numbers == Numbers(7); });
}

// Between two arrays of this process, as one thread does it.
Sample Memcpy(const Work& work) {
  const Memory from = Numbers(7);
  Memory to(from.size());
  return TimeCopies(
      work, kRounds, [&] { std::memcpy(to.data(), from.data(), kBytes); }, [&] { return to == from; });
}

Sample ToUnix(const Work& work) { return MeasureBuffer(work, false, false, Direction::kTo); }
Sample FromUnix(const Work& work) { return MeasureBuffer(work, false, false, Direction::kFrom); }
Sample ToTcp(const Work& work) { return MeasureBuffer(work, true, false, Direction::kTo); }
Sample FromTcp(const Work& work) { return MeasureBuffer(work, true, false, Direction::kFrom); }
Sample ToLocal(const Work& work) { return MeasureBuffer(work, false, true, Direction::kTo); }
Sample FromLocal(const Work& work) { return MeasureBuffer(work, false, true, Direction::kFrom); }
Sample StreamToUnix(const Work& work) { return MeasureStream(work, false, Direction::kTo); }
Sample StreamFromUnix(const Work& work) { return MeasureStream(work, false, Direction::kFrom); }
Sample StreamToTcp(const Work& work) { return MeasureStream(work, true, Direction::kTo); }
Sample StreamFromTcp(const Work& work) { return MeasureStream(work, true, Direction::kFrom); }

constexpr Source kSources[] = {
    {"bulk_to_unix", ToUnix},         {"bulk_from_unix", FromUnix},
    {"bulk_to_tcp", ToTcp},           {"bulk_from_tcp", FromTcp},
    {"bulk_to_local", ToLocal},       {"bulk_from_local", FromLocal},
    {"stream_to_unix", StreamToUnix}, {"stream_from_unix", StreamFromUnix},
    {"stream_to_tcp", StreamToTcp},   {"stream_from_tcp", StreamFromTcp},
    {"bulk_memcpy", Memcpy},
};

}  // namespace

std::span<const Source> BulkSources() { return kSources; }

}  // namespace rbc::bench
