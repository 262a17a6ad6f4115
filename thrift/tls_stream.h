// TLS on a connected socket, for both sides. OpenSSL's types stay in .cc files.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;

namespace rbc {

// Frees OpenSSL's context, which is counted: streams made of it keep it.
struct FreeTlsContext {
  void operator()(ssl_ctx_st* context) const;
};
using TlsContextHandle = std::unique_ptr<ssl_ctx_st, FreeTlsContext>;

// What both sides of this project agree on, whatever their certificates: no compression, no renegotiation, no resumed
// sessions. Null: no memory.
TlsContextHandle NewTlsContext(bool is_server);
// OpenSSL's oldest complaint of this thread, and forgets the rest; "" where it has none.
std::string TakeTlsComplaint();

// One side of one connection. One thread at a time. Never blocks, never raises SIGPIPE; the descriptor is the caller's
// and may be blocking. After kFailed and kClosed it is of no more use.
class TlsStream {
 public:
  enum class Result { kDone, kWantsRead, kWantsWrite, kClosed, kFailed };

  // REQUIRES: `fd` stays open for as long as this lives.
  TlsStream(ssl_ctx_st* context, int fd, bool is_server);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  // A step of the handshake. A failure has told the peer why.
  Result Handshake();
  // As recv() and send() with MSG_DONTWAIT, errno included. EPROTO: the peer breaks the protocol or refuses us;
  // failure() says how. Bytes that Write() refused with EAGAIN must be offered again before any others, unchanged.
  ssize_t Read(void* to, size_t size);
  ssize_t Write(std::string_view bytes);
  // What the last EAGAIN waits for: true where it is not what its name says, as when a read has to answer the peer.
  bool read_wants_write() const { return read_wants_write_; }
  bool write_wants_read() const { return write_wants_read_; }
  // Tells the peer that nothing more comes; best effort.
  void EndWriting();
  // True where bytes were taken from the descriptor and not given by Read() yet.
  bool HasUnread() const;
  // True while nothing has arrived that has not been read, and the peer has not gone.
  bool IsQuiet();

  const std::string& failure() const { return failure_; }
  // The alert that the peer refused us with, such as 48 for an unknown CA; 0: none.
  int alert() const { return alert_; }
  ssl_st* ssl() { return ssl_; }

 private:
  Result ResultOf(int returned);

  ssl_st* ssl_;
  bool read_wants_write_ = false, write_wants_read_ = false;
  bool ended_ = false, failed_ = false;
  int alert_ = 0;
  std::string failure_;
};

}  // namespace rbc
