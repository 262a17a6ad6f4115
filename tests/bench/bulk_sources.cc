// Arrays of 64 MiB to and from the farm by librbc, and what the same bytes cost at least. Microseconds an array.
// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cstring>
#include <memory>

#include "base/unique_fd.h"
#include "rbc/rbc.h"
#include "tests/bench/farm_process.h"

namespace rbc::bench {
namespace {

constexpr size_t kBytes = size_t{64} << 20;
constexpr size_t kChunk = 256 * 1024;
constexpr int kWarmUp = 3;
constexpr int kMostCopies = 15;

using Memory = std::vector<uint64_t>;
Memory Numbers(uint64_t seed) {
  Memory out(kBytes / sizeof(uint64_t));
  for (uint64_t& number : out) number = seed = seed * 6364136223846793005u + 1;
  return out;
}

// Times `copy()`; `right()` is asked once, after the last.
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
        work, [&] { buffer.copy_from(others); },
        [&] {
          buffer.copy_to(std::span(back));
          return back == others;
        });
  }
  return TimeCopies(
      work, [&] { buffer.copy_to(std::span(back)); }, [&] { return back == numbers; });
} catch (const Exception& error) {
  return {.error = error.what()};
}

// ---- floors --------------------------------------------------------------------------------------------------------

bool SendAll(int fd, const char* from, size_t bytes) {
  while (bytes != 0) {
    const ssize_t sent = send(fd, from, std::min(bytes, kChunk), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    from += sent;
    bytes -= static_cast<size_t>(sent);
  }
  return true;
}
bool ReceiveAll(int fd, char* to, size_t bytes) {
  while (bytes != 0) {
    const ssize_t got = recv(fd, to, std::min(bytes, kChunk), MSG_WAITALL);
    if (got <= 0) return false;
    to += got;
    bytes -= static_cast<size_t>(got);
  }
  return true;
}

struct Ends {
  UniqueFd client, server;
};
Ends Connected(bool tcp) {
  int pair[2];
  if (!tcp) return socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 ? Ends{UniqueFd(pair[0]), UniqueFd(pair[1])} : Ends{};
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) != 0 || listen(listener.get(), 1) != 0 ||
      getsockname(listener.get(), generic, &size) != 0)
    return {};
  Ends ends{UniqueFd(socket(AF_INET, SOCK_STREAM, 0)), UniqueFd()};
  if (connect(ends.client.get(), generic, size) != 0) return {};
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
  auto* const bytes = reinterpret_cast<char*>(numbers.data());
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
      work,
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
      work, [&] { std::memcpy(to.data(), from.data(), kBytes); }, [&] { return to == from; });
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
