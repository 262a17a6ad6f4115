// The loop: threads, the common wait, lent connections, the sweep.
// SPDX-License-Identifier: Apache-2.0
#include "server/net/loop.h"

#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/time.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "server/net/loop_thread.h"
#include "server/net/transport.h"

namespace rbc::server {
namespace {

constexpr uint32_t kReadEvents = EPOLLIN | EPOLLRDHUP | EPOLLONESHOT;
constexpr uint32_t kWriteEvents = EPOLLOUT | EPOLLONESHOT;
constexpr uint32_t kReturnEvents = EPOLLIN | EPOLLOUT | EPOLLONESHOT;
constexpr int kAcceptsAtOnce = 32;
// epoll's data: a connection's address, or one of these.
constexpr uint64_t kWakeTag = 1;
constexpr uint64_t kListenerTag = 2;  // + 2 * index: odd and small, never an address

void SetReceiveTimeout(int fd, std::chrono::milliseconds timeout) {
  const timeval value{.tv_sec = timeout.count() / 1000, .tv_usec = timeout.count() % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &value, sizeof value);
}

}  // namespace

int64_t NowMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Loop::Loop(LoopOptions options, Service& service) : options_(options), service_(service), cpus_(AllowedCpus()) {}

Loop::~Loop() { Stop(); }

Status Loop::Start(std::vector<Listener> listeners) {
  listeners_ = std::move(listeners);
  epoll_.Reset(epoll_create1(EPOLL_CLOEXEC));
  wake_.Reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll_ || !wake_)
    return {ErrorKind::kUnavailable, fmt::format("cannot make an epoll: {}", std::strerror(errno))};
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeTag}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
  for (size_t i = 0; i < listeners_.size(); ++i) {
    event = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = kListenerTag + 2 * i + 1}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, listeners_[i].fd(), &event);
  }
  ++waiting_;
  if (!StartThread()) return {ErrorKind::kUnavailable, "cannot start a thread"};
  sweeper_ = std::thread([this] { Sweep(); });
  return {};
}

std::vector<std::string> Loop::addresses() const {
  std::vector<std::string> out;
  for (const auto& listener : listeners_) out.push_back(listener.address());
  return out;
}

bool Loop::StartThread() {
  const uint32_t before = threads_.fetch_add(1);
  if (before < options_.max_threads && !stopping_) {
    try {
      std::thread([this] { RunThread(); }).detach();
      return true;
    } catch (const std::system_error& failure) {
      spdlog::warn("cannot start a thread: {}", failure.what());
    }
  }
  --threads_;
  --waiting_;
  return false;
}

void Loop::RunThread() {
  Thread thread(options_.spin_us);
  while (!stopping_) {
    epoll_event event;
    const int got = epoll_wait(epoll_.get(), &event, 1, static_cast<int>(options_.idle_thread.count()));
    if (got <= 0) {
      // Long idle: go, unless this is the last one that waits.
      uint32_t waiting = waiting_;
      while (got == 0 && waiting > 1)
        if (waiting_.compare_exchange_weak(waiting, waiting - 1)) {
          thread.left_waiting = true;
          break;
        }
      if (thread.left_waiting) break;
      continue;
    }
    if (event.data.u64 == kWakeTag) continue;
    thread.last = waiting_.fetch_sub(1) == 1 && (++waiting_, !StartThread());
    if (event.data.u64 <= kListenerTag + 2 * listeners_.size() + 1 && event.data.u64 % 2 == 1) {
      AcceptFrom((event.data.u64 - kListenerTag - 1) / 2);
    } else {
      ServeEvent(static_cast<Connection*>(event.data.ptr), thread);
    }
    thread.Trim();
    ++waiting_;
  }
  if (!thread.left_waiting) --waiting_;
  const std::lock_guard lock(mutex_);
  --threads_;
  changed_.notify_all();
}

void Loop::AcceptFrom(size_t index) {
  for (int i = 0; i < kAcceptsAtOnce && !draining_; ++i) {
    Peer peer;
    UniqueFd fd = listeners_[index].Accept(&peer);
    if (!fd) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) break;
      spdlog::warn("cannot accept a connection: {}", std::strerror(errno));
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      break;
    }
    SetReceiveTimeout(fd.get(), options_.hot_wait);
    ++accepted_;
    auto owner = std::make_unique<Connection>();
    auto* connection = owner.get();
    connection->fd = std::move(fd);
    connection->peer = std::move(peer);
    connection->tls_context = listeners_[index].tls();
    if (connection->tls_context != nullptr) connection->phase = TlsPhase::kFirstByte;
    connection->holder.store(Holder::kArmed, std::memory_order_release);
    const std::lock_guard lock(mutex_);
    connection->id = next_id_++;
    // A few above the limit are kept long enough to be told; more are closed at once.
    if (connections_.size() >= options_.max_connections + 64) continue;
    connection->over_limit = connections_.size() >= options_.max_connections;
    connections_.emplace(connection->id, std::move(owner));
    if (connection->tls_context != nullptr) AddStranger(connection);
    epoll_event event{.events = kReadEvents, .data = {.ptr = connection}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection->fd.get(), &event);
  }
  if (draining_) return;
  epoll_event event{.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = kListenerTag + 2 * index + 1}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, listeners_[index].fd(), &event);
}

void Loop::ServeEvent(Connection* connection, Thread& thread) {
  const bool was_lent = connection->holder.exchange(Holder::kServing, std::memory_order_acq_rel) == Holder::kLent;
  if (was_lent && !ResumeLent(connection)) return;
  if (connection->phase != TlsPhase::kNone && !Handshake(connection)) return;
  if (connection->channel != nullptr) return ServeChannel(connection, thread);
  if (connection->out_sent < connection->out.size() && !FlushOut(connection)) return;
  for (bool hot = false;; hot = true) {
    if (!ServeBuffered(connection, thread)) return;
    if (hot && Lend(connection, thread)) return;
    switch (Receive(connection, thread, hot)) {
      case Read::kSome:
        break;
      case Read::kNothing:
        Arm(connection, &thread);
        return;
      case Read::kEnd:
        Close(connection, nullptr);
        return;
      case Read::kGone:
        return;
    }
  }
}

bool Loop::ResumeLent(Connection* connection) {
  --lent_;
  SetReceiveTimeout(connection->fd.get(), options_.hot_wait);
  const auto returned = std::move(connection->returned);
  std::string reply;
  const bool keep = service_.TakeBack(*connection, *returned, &reply);
  if (!reply.empty() && !Send(connection, std::move(reply))) return false;
  if (!keep || returned->end_of_stream) {
    Close(connection, nullptr);
    return false;
  }
  connection->in.Append(returned->unread);
  receive_bytes_ += connection->in.capacity();
  return true;
}

bool Loop::Lend(Connection* connection, Thread& thread) {
  if (connection->lend_to == nullptr || connection->tls != nullptr || draining_ || thread.left() != 0 ||
      !connection->in.empty() || !connection->out.empty())
    return false;
  FreeInput(connection);
  SetReceiveTimeout(connection->fd.get(), std::chrono::milliseconds(0));
  connection->since_ms = 0;
  ++lent_;
  connection->holder.store(Holder::kLent, std::memory_order_release);
  if (service_.TryLend(*connection)) {
    ++lends_;
    return true;
  }
  connection->holder.store(Holder::kServing, std::memory_order_release);
  --lent_;
  SetReceiveTimeout(connection->fd.get(), options_.hot_wait);
  return false;
}

void Loop::Return(LentReturn returned) {
  const std::lock_guard lock(mutex_);
  const auto found = connections_.find(returned.cookie);
  if (found == connections_.end() || found->second->holder != Holder::kLent || found->second->returned) return;
  auto* connection = found->second.get();
  connection->returned = std::make_unique<LentReturn>(std::move(returned));
  connection->holder.store(Holder::kLent, std::memory_order_release);
  epoll_event event{.events = kReturnEvents, .data = {.ptr = connection}};
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection->fd.get(), &event);
}

void Loop::Arm(Connection* connection, Thread* thread) {
  if (thread != nullptr) KeepRest(connection, *thread);
  const bool unsent = connection->out_sent < connection->out.size() || connection->channel_writes;
  const bool unfinished = unsent || (connection->channel != nullptr && connection->channel->busy()) ||
                          !connection->in.empty() || connection->discarding;
  if (!unfinished) {
    connection->since_ms = 0;
    connection->progress = 0;
    FreeInput(connection);
    if (draining_) {
      Close(connection, nullptr);
      return;
    }
  } else if (connection->since_ms == 0 || connection->progress >= kProgressBytes) {
    connection->since_ms = NowMs();
    connection->progress = 0;
  }
  epoll_event event{.events = unsent ? kWriteEvents : kReadEvents, .data = {.ptr = connection}};
  if (connection->tls != nullptr) {
    // TLS may have to answer before it can read, or to read before it can write.
    if (unsent ? connection->tls->write_wants_read() : connection->tls->read_wants_write())
      event.events = unsent ? kReadEvents : kWriteEvents;
  }
  const int fd = connection->fd.get();  // after the store the connection is whoever's it comes to
  connection->holder.store(Holder::kArmed, std::memory_order_release);
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void Loop::Close(Connection* connection, const char* why) {
  connection->channel = nullptr;
  connection->channel_host = nullptr;
  if (why != nullptr) spdlog::info("connection {} of {} closed: {}", connection->id, connection->peer.domain, why);
  service_.Closed(*connection);
  FreeInput(connection);
  if (connection->tls != nullptr) connection->tls->EndWriting();
  std::unique_ptr<Connection> gone;  // destroyed, and its session with it, outside the lock
  const std::lock_guard lock(mutex_);
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, connection->fd.get(), nullptr);
  shutdown(connection->fd.get(), SHUT_RDWR);
  if (connection->stranger) strangers_.erase(connection->id);
  const auto found = connections_.find(connection->id);
  gone = std::move(found->second);
  connections_.erase(found);
  changed_.notify_all();
}

void Loop::Sweep() {
  const auto period = std::clamp(std::min(options_.message_timeout, options_.handshake_timeout) / 4,
                                 std::chrono::milliseconds(5), std::chrono::milliseconds(250));
  std::unique_lock lock(mutex_);
  while (!sweep_stop_) {
    changed_.wait_for(lock, period, [this] { return sweep_stop_; });
    SweepStrangers();
    const int64_t latest = NowMs() - options_.message_timeout.count();
    for (const auto& [id, connection] : connections_) {
      const int64_t since = connection->since_ms;
      if (since == 0 || since > latest || connection->holder != Holder::kArmed) continue;
      ++timed_out_;
      connection->since_ms = 0;
      spdlog::info("connection {} of {}: a message takes longer than {} ms", id, connection->peer.domain,
                   options_.message_timeout.count());
      shutdown(connection->fd.get(), SHUT_RDWR);  // whoever this wakes closes it
    }
  }
}

void Loop::BeginDrain() {
  draining_ = true;
  const std::lock_guard lock(mutex_);
  for (auto& listener : listeners_) {
    epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, listener.fd(), nullptr);
    shutdown(listener.fd(), SHUT_RDWR);
  }
  for (const auto& [id, connection] : connections_)
    if (connection->holder == Holder::kArmed && connection->since_ms == 0) shutdown(connection->fd.get(), SHUT_RD);
}

void Loop::Stop() {
  if (!epoll_) return;
  draining_ = true;
  stopping_ = true;
  const uint64_t one = 1;
  (void)!write(wake_.get(), &one, sizeof one);
  std::unique_lock lock(mutex_);
  sweep_stop_ = true;
  for (const auto& [id, connection] : connections_) shutdown(connection->fd.get(), SHUT_RDWR);
  changed_.notify_all();
  changed_.wait(lock, [this] { return threads_ == 0; });
  auto left = std::move(connections_);
  connections_.clear();
  lock.unlock();
  if (sweeper_.joinable()) sweeper_.join();
  for (auto& [id, connection] : left) service_.Closed(*connection);
  listeners_.clear();
  epoll_.Reset();
}

LoopCounters Loop::counters() const {
  LoopCounters out;
  out.accepted = accepted_;
  out.malformed = malformed_;
  out.timed_out = timed_out_;
  out.messages = messages_;
  out.lends = lends_;
  out.threads = threads_;
  out.lent = lent_;
  out.receive_bytes = receive_bytes_;
  out.tls_failed = tls_failed_;
  out.tls_evicted = tls_evicted_;
  const std::lock_guard lock(mutex_);
  out.strangers = strangers_.size();
  out.open = connections_.size();
  return out;
}

std::vector<uint64_t> Loop::GoneWhileServed() const {
  std::vector<uint64_t> gone;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, connection] : connections_) {
    if (!connection->in_request) continue;
    pollfd probe{.fd = connection->fd.get(), .events = POLLRDHUP, .revents = 0};
    if (poll(&probe, 1, 0) == 1 && (probe.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) gone.push_back(id);
  }
  return gone;
}

}  // namespace rbc::server
