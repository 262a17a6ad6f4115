// The loop: all threads wait in one epoll; the one that takes a request serves it to its end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

#include "server/net/connection.h"
#include "server/net/listener.h"

namespace rbc::server {

// What the loop serves. Called by many threads, for one connection by one at a time.
class Service {
 public:
  virtual ~Service() = default;
  // Answers one framed message. `may_block` is false on the last free thread: what would wait answers Busy. False:
  // malformed, the connection is closed unanswered.
  virtual bool Serve(Connection& connection, std::string_view framed, bool may_block, std::string* reply) = 0;
  // Whether the reply of the last Serve reached the socket whole.
  virtual void Replied(Connection& connection, bool whole) = 0;
  // Nothing is unread or unsent. True: the connection is a worker's from here on and must not be touched.
  virtual bool TryLend(Connection& connection) = 0;
  // A lent connection is back. Fills *reply where the client is owed one; false: close it.
  virtual bool TakeBack(Connection& connection, const LentReturn& returned, std::string* reply) = 0;
  // The connection begins as a raw channel. What is returned ends before Closed.
  virtual std::unique_ptr<ChannelHost> OpenChannel(Connection& connection) = 0;
  // The connection is about to go.
  virtual void Closed(Connection& connection) = 0;
  // A framed reply that refuses `framed` (which may be incomplete) before it is looked at, or "" where it has no
  // readable header.
  virtual std::string Refusal(std::string_view framed, const Error& error) = 0;
};

struct LoopOptions {
  uint64_t max_message = 64ull << 20;
  uint64_t receive_memory = 1ull << 30;
  std::chrono::milliseconds message_timeout{30'000};
  std::chrono::milliseconds hot_wait{4};
  std::chrono::milliseconds idle_thread{5'000};
  uint32_t max_threads = 64;
  uint32_t hot_threads = 8;
  uint32_t spin_us = 50;
  uint32_t max_connections = 16'384;
  std::chrono::milliseconds handshake_timeout{10'000};
  uint32_t max_handshakes = 512;
};

struct LoopCounters {
  uint64_t accepted = 0, open = 0, malformed = 0, timed_out = 0, messages = 0, lends = 0;
  uint32_t threads = 0, lent = 0;
  uint64_t receive_bytes = 0;
  uint64_t tls_failed = 0, tls_evicted = 0, strangers = 0;
};

class Loop {
 public:
  Loop(LoopOptions options, Service& service);
  ~Loop();  // Stop()

  Status Start(std::vector<Listener> listeners);
  std::vector<std::string> addresses() const;
  // No new connections; idle ones are closed, the others after the request they are in.
  void BeginDrain();
  // Those that took much memory, their replies included.
  uint64_t large_messages() const { return large_messages_.load(std::memory_order_relaxed); }
  // Requests being served now; lent calls do not count.
  uint32_t serving() const { return in_request_.load(std::memory_order_relaxed); }
  // Closes everything and waits for the threads, which must not wait for workers any more.
  void Stop();

  // Any thread: a lent connection is back.
  void Return(LentReturn returned);
  LoopCounters counters() const;
  // Ids of connections in a request whose client has gone away.
  std::vector<uint64_t> GoneWhileServed() const;

 private:
  struct Thread;
  enum class Read : uint8_t { kSome, kNothing, kEnd, kGone /* closed already */ };

  void RunThread();
  bool StartThread();  // REQUIRES: the caller counted it in waiting_
  void AcceptFrom(size_t listener);
  void ServeEvent(Connection* connection, Thread& thread);
  // handshake.cc. False: the connection waits for its peer, or is closed.
  bool Handshake(Connection* connection);
  bool SeeFirstByte(Connection* connection);
  void ArmHandshake(Connection* connection, bool wants_write);
  // Under the mutex. Where there are too many, the oldest stranger goes.
  void AddStranger(Connection* connection);
  void SweepStrangers();
  void Welcome(Connection* connection);
  bool ResumeLent(Connection* connection);
  // False: the connection went elsewhere (closed, armed, lent).
  bool ServeBuffered(Connection* connection, Thread& thread);
  bool ServeOne(Connection* connection, std::string_view framed, Thread& thread);
  bool Send(Connection* connection, std::string&& reply);
  bool FlushOut(Connection* connection);
  bool Lend(Connection* connection, Thread& thread);
  Read Receive(Connection* connection, Thread& thread, bool hot);
  Read ReceivePart(Connection* connection, Thread& thread);
  ssize_t ReceiveHot(Connection* connection, Thread& thread);
  bool Refuse(Connection* connection, Thread& thread, const Error& error);
  void StartChannel(Connection* connection, Thread& thread);
  void ServeChannel(Connection* connection, const Thread& thread);
  bool EndWith(Connection* connection, Thread& thread, const std::string& reply);
  bool RefusePlainText(Connection* connection, Thread& thread, std::string_view bytes);
  void KeepRest(Connection* connection, Thread& thread);
  void FreeInput(Connection* connection);
  void Arm(Connection* connection, Thread* thread);
  void Close(Connection* connection, const char* why);
  void Sweep();

  const LoopOptions options_;
  Service& service_;
  int cpus_ = 1;
  UniqueFd epoll_;
  UniqueFd wake_;
  std::vector<Listener> listeners_;

  mutable std::mutex mutex_;  // connections_, stopping; closing holds it so that the sweeper's view stays valid
  std::unordered_map<uint64_t, std::unique_ptr<Connection>> connections_;
  uint64_t next_id_ = 1;
  std::map<uint64_t, int64_t> strangers_;  // TLS connections without a session, by age: id and when they came
  std::condition_variable changed_;
  bool sweep_stop_ = false;
  std::thread sweeper_;

  std::atomic<bool> draining_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<uint32_t> threads_{0};
  std::atomic<uint32_t> waiting_{0};
  std::atomic<uint32_t> hot_{0};
  std::atomic<uint32_t> spinning_{0};
  std::atomic<uint32_t> in_request_{0};
  std::atomic<uint32_t> lent_{0};
  std::atomic<uint64_t> receive_bytes_{0}, large_messages_{0};
  std::atomic<uint64_t> accepted_{0}, malformed_{0}, timed_out_{0}, messages_{0}, lends_{0}, tls_failed_{0},
      tls_evicted_{0};
};

}  // namespace rbc::server
