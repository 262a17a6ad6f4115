// A connected socket that carries length-prefixed frames, each way bounded in size and in time.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/adaptive_spin.h"
#include "base/expected.h"
#include "base/unique_fd.h"
#include "client/src/deadline.h"
#include "client/src/large_memory.h"
#include "thrift/tls_stream.h"

namespace rbc::client {

// One request, one reply at a time; one thread at a time. After any error but a refused size it is of no more use:
// the stream has lost its place. Believes no length that the peer announces: memory grows with what has arrived.
class FrameSocket {
 public:
  // `peer` is how errors name the farm. The descriptor may block or not. All goes
  // through `tls` where there is one, a stream on the descriptor.
  FrameSocket(UniqueFd fd, std::string peer, bool same_machine, std::unique_ptr<TlsStream> tls = nullptr);
  FrameSocket(const FrameSocket&) = delete;
  FrameSocket& operator=(const FrameSocket&) = delete;

  // Sends `frame`, its 4 length bytes included. kConnectionLost, kDeadlineExceeded; sent() tells whether any byte left.
  Status Send(std::string_view frame, const Deadline& deadline);
  // Bytes of the last Send() that the kernel took. 0: the peer has seen nothing of it.
  size_t sent() const { return sent_; }
  // The next frame without its length; valid until the next Receive(). kProtocolMismatch where it is larger than the
  // limit.
  Expected<std::string_view> Receive(const Deadline& deadline);

  // The next frame comes with a descriptor: from here on those that arrive are kept, the last one for TakeDescriptor.
  void ExpectDescriptor() { expects_descriptor_ = true; }
  UniqueFd TakeDescriptor() {
    expects_descriptor_ = false;
    return std::move(descriptor_);
  }

  // True while the peer neither closed the connection nor sent bytes that nobody asked for. One system call.
  bool Alive() const;
  void SetLimit(size_t bytes) { limit_ = bytes; }
  size_t limit() const { return limit_; }
  const std::string& peer() const { return peer_; }
  int fd() const { return fd_.get(); }

 private:
  // At least one byte into [buffer_ + have, ...); the count.
  Expected<size_t> ReceiveSome(size_t have, const Deadline& deadline);
  ssize_t Poll(char* to, size_t room);
  ssize_t SendBytes(std::string_view bytes);
  ssize_t ReceiveTls(char* to, size_t room, bool wait);
  ssize_t ReceiveBytes(char* to, size_t room, int flags);
  Expected<size_t> Block(char* to, size_t room, const Deadline& deadline);
  Error Silent(const Deadline& deadline) const;
  Error Lost(std::string_view what, int code) const;
  void Grow(size_t size);

  UniqueFd fd_;
  std::unique_ptr<TlsStream> tls_;
  std::string peer_;
  std::string buffer_;
  size_t received_ = 0;  // bytes of the last frame
  LargeMemory memory_;   // of buffer_
  size_t limit_;
  size_t sent_ = 0;
  int receive_timeout_ms_ = -1;  // SO_RCVTIMEO as set now
  AdaptiveSpin spin_;
  bool expects_descriptor_ = false;
  UniqueFd descriptor_;
};

}  // namespace rbc::client
