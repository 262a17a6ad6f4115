// A network between client and farm: loopback TCP that counts what passes and can be cut.
// SPDX-License-Identifier: Apache-2.0
#include "tests/harness/relay.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <stdexcept>

namespace rbc::harness {
namespace {

constexpr size_t kBuffer = 256 * 1024;
constexpr int kPauseMs = 20;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UniqueFd NewSocket() { return UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

}  // namespace

Relay::Relay(const std::string& farm)
    : farm_port_(static_cast<uint16_t>(std::stoi(farm.substr(farm.rfind(':') + 1)))), listener_(NewSocket()) {
  sockaddr_in address = Loopback(0);
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_.get(), generic, size) != 0 || listen(listener_.get(), 64) != 0 ||
      getsockname(listener_.get(), generic, &size) != 0)
    throw std::runtime_error("no socket for a relay");
  address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  thread_ = std::thread([this] { Run(); });
}

Relay::~Relay() {
  stop_ = true;
  thread_.join();
}

void Relay::Accept() {
  UniqueFd client(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (!client || cut_) return;
  UniqueFd farm = NewSocket();
  const sockaddr_in address = Loopback(farm_port_);
  if (connect(farm.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return;
  const int on = 1;
  for (const int fd : {client.get(), farm.get()}) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  pairs_.push_back({std::move(client), std::move(farm)});
}

// False: one side is done, and so is the pair.
bool Relay::Pass(int from, int to, std::atomic<uint64_t>& count, std::vector<char>& buffer) {
  const ssize_t got = recv(from, buffer.data(), buffer.size(), 0);
  if (got <= 0) return false;
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
  while (!stop_) {
    if (cut_) pairs_.clear();
    std::vector<pollfd> ready = {{listener_.get(), POLLIN, 0}};
    for (const Pair& pair : pairs_) {
      ready.push_back({pair.client.get(), POLLIN, 0});
      ready.push_back({pair.farm.get(), POLLIN, 0});
    }
    if (poll(ready.data(), ready.size(), kPauseMs) <= 0) continue;
    const size_t pairs = pairs_.size();
    std::vector<bool> over(pairs, false);
    for (size_t i = 0; i < pairs; ++i) {
      const Pair& pair = pairs_[i];
      if (ready[1 + 2 * i].revents != 0) over[i] = !Pass(pair.client.get(), pair.farm.get(), to_farm_, buffer);
      if (ready[2 + 2 * i].revents != 0 && !over[i])
        over[i] = !Pass(pair.farm.get(), pair.client.get(), from_farm_, buffer);
    }
    for (size_t i = pairs; i-- > 0;)
      if (over[i]) pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(i));
    if (ready[0].revents != 0) Accept();
  }
}

}  // namespace rbc::harness
