// The loop's reading and writing: frames out of bytes, replies into sockets, and what is refused.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "server/net/channel.h"
#include "server/net/loop.h"
#include "server/net/loop_thread.h"
#include "server/net/transport.h"

namespace rbc::server {
namespace {

constexpr size_t kLengthBytes = 4;
constexpr size_t kLarge = 256 * 1024;     // a message whose memory is worth keeping for the next one
constexpr size_t kFirstPart = 64 * 1024;  // what a message in parts is given at first, then twice as much each time

uint32_t FrameLength(std::string_view bytes) {
  uint32_t word;
  std::memcpy(&word, bytes.data(), sizeof word);
  return __builtin_bswap32(word);
}

// Once bytes wait in front of it the descriptor would come with the wrong ones: the reply is small, so the connection
// of a client that leaves no room for it is broken.
ssize_t SendWithDescriptor(int fd, std::string_view bytes, int descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof descriptor)] = {};
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof descriptor);
  std::memcpy(CMSG_DATA(header), &descriptor, sizeof descriptor);
  const ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) errno = EPIPE;
  return sent;
}

// The next bytes, waited for a short time; a blocking socket's own timeout is set to it.
ssize_t ReceiveSoon(Connection& connection, void* to, size_t size, std::chrono::milliseconds wait) {
  if (connection.tls == nullptr) return recv(connection.fd.get(), to, size, 0);
  pollfd arrival{.fd = connection.fd.get(), .events = POLLIN, .revents = 0};
  poll(&arrival, 1, static_cast<int>(wait.count()));
  return connection.tls->Read(to, size);
}

}  // namespace

bool Loop::ServeBuffered(Connection* connection, Thread& thread) {
  for (;;) {
    const bool parts = !connection->in.empty();
    const auto bytes = parts ? connection->in.view() : thread.view();
    if (connection->stranger && connection->session != nullptr) Welcome(connection);
    if (connection->phase == TlsPhase::kPlainText) return RefusePlainText(connection, thread, bytes);
    if (connection->discarding) {
      connection->in.Consume(connection->in.view().size());
      thread.begin = thread.end = 0;
      return true;
    }
    if (bytes.size() < kLengthBytes) return true;
    if (!connection->started && bytes.substr(0, kLengthBytes) == kChannelMagic) {
      StartChannel(connection, thread);
      return false;
    }
    connection->started = true;
    const size_t length = FrameLength(bytes);
    if (length > options_.max_message) {
      ++malformed_;
      return Refuse(connection, thread,
                    Error(ErrorKind::kResourceExhausted,
                          fmt::format("the message has {} bytes; this farm takes {}", length, options_.max_message)));
    }
    if (bytes.size() < kLengthBytes + length) return true;
    if (!ServeOne(connection, bytes.substr(0, kLengthBytes + length), thread)) return false;
    if (parts) {
      connection->in.Consume(kLengthBytes + length);
      if (connection->in.empty()) FreeInput(connection);
    } else {
      thread.begin += kLengthBytes + length;
    }
    if (draining_ && connection->out.empty()) {
      Close(connection, nullptr);
      return false;
    }
  }
}

bool Loop::ServeOne(Connection* connection, std::string_view framed, Thread& thread) {
  messages_.fetch_add(1, std::memory_order_relaxed);
  thread.reply.clear();
  in_request_.fetch_add(1, std::memory_order_relaxed);
  connection->in_request.store(true, std::memory_order_relaxed);
  const bool good = service_.Serve(*connection, framed, !thread.last, &thread.reply);
  connection->in_request.store(false, std::memory_order_relaxed);
  if (std::max(framed.size(), thread.reply.size()) > kLarge) large_messages_.fetch_add(1, std::memory_order_relaxed);
  bool kept = false;
  if (good) {
    kept = Send(connection, std::move(thread.reply));
  } else {
    ++malformed_;
    Close(connection, "a malformed message");
  }
  in_request_.fetch_sub(1, std::memory_order_relaxed);
  if (!kept) return false;
  if (connection->out_sent < connection->out.size()) {
    // The client does not read: the rest waits for it, and so does what it sent.
    if (connection->in.empty()) {
      thread.begin += framed.size();
    } else {
      connection->in.Consume(framed.size());
    }
    Arm(connection, &thread);
    return false;
  }
  return true;
}

bool Loop::Send(Connection* connection, std::string&& reply) {
  if (reply.empty()) return true;
  ssize_t sent = 0;
  if (connection->send_fd >= 0)
    sent = SendWithDescriptor(connection->fd.get(), reply, std::exchange(connection->send_fd, -1));
  else if (connection->out.empty())
    sent = SendNow(*connection, reply);
  if (sent == static_cast<ssize_t>(reply.size())) {
    service_.Replied(*connection, true);
    return true;
  }
  if (sent < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
    service_.Replied(*connection, false);
    Close(connection, nullptr);
    return false;
  }
  service_.Replied(*connection, false);
  const auto begun = static_cast<size_t>(std::max<ssize_t>(sent, 0));
  if (connection->out.empty()) {
    connection->out = std::move(reply);
    connection->out_sent = begun;
  } else {
    connection->out.append(reply, begun);
  }
  return true;
}

bool Loop::FlushOut(Connection* connection) {
  auto& out = connection->out;
  while (connection->out_sent < out.size()) {
    const ssize_t sent = SendNow(*connection, std::string_view(out).substr(connection->out_sent));
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      Arm(connection, nullptr);
      return false;
    }
    if (sent <= 0) {
      Close(connection, nullptr);
      return false;
    }
    connection->out_sent += static_cast<size_t>(sent);
    connection->progress += static_cast<uint64_t>(sent);
  }
  std::string().swap(out);
  connection->out_sent = 0;
  if (connection->discarding) {
    EndSending(*connection);
  } else {
    service_.Replied(*connection, true);
  }
  return true;
}

Loop::Read Loop::Receive(Connection* connection, Thread& thread, bool hot) {
  if (!connection->in.empty() || thread.left() != 0) return ReceivePart(connection, thread);
  thread.begin = thread.end = 0;
  const ssize_t got =
      hot ? ReceiveHot(connection, thread) : ReceiveNow(*connection, thread.buffer.get(), Thread::kBuffer);
  if (got > 0) {
    thread.end = static_cast<size_t>(got);
    if (connection->discarding) connection->progress = 0;  // no credit for what is thrown away
    return Read::kSome;
  }
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return Read::kNothing;
  return Read::kEnd;
}

// The next request of a connection that was just served: polls, then blocks for a short time.
ssize_t Loop::ReceiveHot(Connection* connection, Thread& thread) {
  if (thread.last || draining_) return ReceiveNow(*connection, thread.buffer.get(), Thread::kBuffer);
  if (hot_.fetch_add(1) >= options_.hot_threads) {
    --hot_;
    return ReceiveNow(*connection, thread.buffer.get(), Thread::kBuffer);
  }
  ssize_t got = -1;
  if (spinning_.fetch_add(1) < static_cast<uint32_t>(cpus_) / 2)
    thread.spin.Until([&] {
      got = ReceiveNow(*connection, thread.buffer.get(), Thread::kBuffer);
      return got >= 0 || errno != EAGAIN;
    });
  if (thread.spin.SharesCpu()) thread.step_aside.Try();
  --spinning_;
  if (got < 0) got = ReceiveSoon(*connection, thread.buffer.get(), Thread::kBuffer, options_.hot_wait);
  const int failure = errno;
  --hot_;
  errno = failure;
  return got;
}

// More of a message that did not fit one read. Memory grows with what has arrived, never with what is announced.
Loop::Read Loop::ReceivePart(Connection* connection, Thread& thread) {
  KeepRest(connection, thread);
  auto& in = connection->in;
  const size_t have = in.view().size();
  const size_t want = have < kLengthBytes ? kLengthBytes : kLengthBytes + FrameLength(in.view());
  if (in.room() == 0 || want > have + in.room()) {
    const size_t room = std::min(std::max(have, kFirstPart), want > have ? want - have : kFirstPart);
    const size_t before = in.capacity();
    if (receive_bytes_ + room > options_.receive_memory) {
      const Error error(ErrorKind::kBusy, fmt::format("requests in arrival hold {} of {} bytes; try again later",
                                                      receive_bytes_.load(), options_.receive_memory));
      return Refuse(connection, thread, error) ? Read::kNothing : Read::kGone;
    }
    in.Reserve(room);
    receive_bytes_ += in.capacity() - before;
  }
  const ssize_t got = ReceiveNow(*connection, in.tail(), in.room());
  if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return Read::kNothing;
  if (got <= 0) return Read::kEnd;
  in.Added(static_cast<size_t>(got));
  connection->progress += static_cast<uint64_t>(got);
  return Read::kSome;
}

// Answers what cannot be read, and reads on only to let the answer arrive.
bool Loop::Refuse(Connection* connection, Thread& thread, const Error& error) {
  const auto bytes = connection->in.empty() ? thread.view() : connection->in.view();
  spdlog::info("connection {} of {}: {}", connection->id, connection->peer.domain, error.message);
  const auto reply = service_.Refusal(bytes, error);
  if (reply.empty()) {
    Close(connection, nullptr);
    return false;
  }
  return EndWith(connection, thread, reply);
}

// A client without TLS on an address with it: answered in its own words once its message can be told.
bool Loop::RefusePlainText(Connection* connection, Thread& thread, std::string_view bytes) {
  if (bytes.size() < kLengthBytes) return true;
  const Error error(ErrorKind::kInvalidArgument,
                    "this address of the farm speaks TLS and the client plain text; write tls:// before the address");
  if (bytes.substr(0, kLengthBytes) != kChannelMagic) {
    const size_t length = FrameLength(bytes);
    if (length <= options_.max_message && bytes.size() < kLengthBytes + length) return true;
    connection->phase = TlsPhase::kNone;
    return Refuse(connection, thread, error);
  }
  connection->phase = TlsPhase::kNone;
  return EndWith(connection, thread, ChannelError(error, 0));
}

// The last words of a connection; what still arrives is thrown away.
bool Loop::EndWith(Connection* connection, Thread& thread, const std::string& reply) {
  connection->discarding = true;
  thread.begin = thread.end = 0;
  FreeInput(connection);
  if (!Send(connection, std::string(reply))) return false;
  if (connection->out.empty()) EndSending(*connection);
  return true;
}

void Loop::StartChannel(Connection* connection, Thread& thread) {
  connection->channel_host = service_.OpenChannel(*connection);
  connection->channel = std::make_unique<RawChannel>(connection->in.empty() ? thread.view() : connection->in.view());
  thread.begin = thread.end = 0;
  FreeInput(connection);
  // A peer that is slow to take bytes may keep a thread for so long, as one that is slow to send them.
  const timeval wait{.tv_sec = options_.hot_wait.count() / 1000, .tv_usec = options_.hot_wait.count() % 1000 * 1000};
  setsockopt(connection->fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  ServeChannel(connection, thread);
}

void Loop::ServeChannel(Connection* connection, const Thread& thread) {
  const bool patient = hot_.fetch_add(1) < options_.hot_threads && !thread.last;
  const ChannelSocket socket{connection->fd.get(), connection->tls.get(), patient, options_.hot_wait,
                             connection->peer.local};
  const auto wait = connection->channel->Run(socket, *connection->channel_host, &connection->progress);
  --hot_;
  if (connection->stranger && connection->session != nullptr) Welcome(connection);
  connection->channel_writes = wait == RawChannel::Wait::kWritable;
  if (wait == RawChannel::Wait::kEnd) return Close(connection, nullptr);
  if (wait == RawChannel::Wait::kRefused) {
    connection->channel = nullptr;
    connection->discarding = true;
    EndSending(*connection);
  }
  Arm(connection, nullptr);
}

void Loop::KeepRest(Connection* connection, Thread& thread) {
  auto& in = connection->in;
  if (in.empty() && thread.left() == 0) {
    FreeInput(connection);
    return;
  }
  const size_t before = in.capacity();
  in.Append(thread.view());
  receive_bytes_ += in.capacity() - before;
  thread.begin = thread.end = 0;
}

void Loop::FreeInput(Connection* connection) {
  receive_bytes_ -= connection->in.capacity();
  connection->in.Free();
}

}  // namespace rbc::server
