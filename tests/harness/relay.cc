// A network between client and farm: loopback TCP that counts what passes, can be slow and can be cut.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/relay.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "tests/harness/loopback.h"

namespace rbc::harness {
namespace {

constexpr size_t kBuffer = 256 * 1024;
constexpr int kPauseMs = 20, kSlowPauseMs = 1;
constexpr double kBurst = 0.01;  // seconds of a slow line's rate
constexpr int kSlowQueue = 64 * 1024;

UniqueFd NewSocket(bool slow) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  for (const int queue : {SO_RCVBUF, SO_SNDBUF})
    if (slow) setsockopt(fd.get(), SOL_SOCKET, queue, &kSlowQueue, sizeof kSlowQueue);
  return fd;
}

}  // namespace

size_t Relay::Allowance::Now() {
  if (rate == 0) return kBuffer;
  const auto now = std::chrono::steady_clock::now();
  const double most = static_cast<double>(rate) * kBurst;
  bytes = std::min(most, bytes + static_cast<double>(rate) * std::chrono::duration<double>(now - last).count());
  last = now;
  return std::min(kBuffer, static_cast<size_t>(bytes));
}

Relay::Relay(const std::string& farm, uint64_t bytes_per_second)
    : farm_port_(PortOf(farm)), rate_(bytes_per_second), listener_(NewSocket(rate_ != 0)) {
  address_ = ListenAnywhere(listener_.get());
  thread_ = std::thread([this] { Run(); });
}

Relay::~Relay() {
  stop_ = true;
  thread_.join();
}

void Relay::Break() {
  break_ = true;
  while (break_) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void Relay::Accept() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client || cut_) return;
  UniqueFd farm = NewSocket(rate_ != 0);
  if (!ConnectTo(farm.get(), farm_port_)) return;
  const int on = 1;
  for (const int fd : {client.get(), farm.get()}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  pairs_.push_back({std::move(client), std::move(farm)});
}

// False: one side is done, and so is the pair.
bool Relay::Pass(int from, int to, std::atomic<uint64_t>& count, Allowance& allowance, std::vector<char>& buffer) {
  const size_t most = allowance.Now();
  if (most == 0) return true;
  const ssize_t got = recv(from, buffer.data(), most, 0);
  if (got <= 0) return false;
  allowance.bytes -= static_cast<double>(got);
  count += static_cast<uint64_t>(got);
  for (ssize_t done = 0; done < got;) {
    const ssize_t sent = send(to, buffer.data() + done, static_cast<size_t>(got - done), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += sent;
  }
  return true;
}

void Relay::Run() {
  std::vector<char> buffer(kBuffer);
  Allowance up{.rate = rate_}, down{.rate = rate_};
  while (!stop_) {
    if (cut_ || break_) pairs_.clear();
    break_ = false;
    std::vector<pollfd> ready = {{listener_.get(), POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      ready.push_back({pair.client.get(), static_cast<short>(up.Now() != 0 ? POLLIN : 0), 0});
      ready.push_back({pair.farm.get(), static_cast<short>(down.Now() != 0 ? POLLIN : 0), 0});
    }
    if (poll(ready.data(), ready.size(), rate_ == 0 ? kPauseMs : kSlowPauseMs) <= 0) continue;
    const size_t pairs = pairs_.size();
    std::vector<bool> over(pairs, false);
    for (size_t i = 0; i < pairs; ++i) {
      const Pair& pair = pairs_[i];
      if (ready[1 + 2 * i].revents != 0) over[i] = !Pass(pair.client.get(), pair.farm.get(), to_farm_, up, buffer);
      if (ready[2 + 2 * i].revents != 0 && !over[i])
        over[i] = !Pass(pair.farm.get(), pair.client.get(), from_farm_, down, buffer);
    }
    for (size_t i = pairs; i-- > 0;)
      if (over[i]) pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
    if (ready[0].revents != 0) Accept();
  }
}

}  // namespace rbc::harness
