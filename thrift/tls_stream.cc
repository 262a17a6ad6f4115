// TLS on a connected socket.
// SPDX-License-Identifier: Apache-2.0
#include "thrift/tls_stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <new>

#include "base/platform.h"

namespace rbc {
namespace {

// ---- the socket as OpenSSL reads and writes it: its own would block, and raise SIGPIPE
// -------------------------------

int DescriptorOf(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }

bool MayTryAgain() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

int WriteSocket(BIO* bio, const char* bytes, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = platform::Send(DescriptorOf(bio), bytes, static_cast<size_t>(size));
  if (sent < 0 && MayTryAgain()) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int ReadSocket(BIO* bio, char* to, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = recv(DescriptorOf(bio), to, static_cast<size_t>(size), MSG_DONTWAIT);
  if (got < 0 && MayTryAgain()) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long ControlSocket(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_FLUSH) return 1;
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
  return 0;
}

// Never freed: one of the process.
const BIO_METHOD* SocketMethod() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (made == nullptr) throw std::bad_alloc();
    BIO_meth_set_write(made, WriteSocket);
    BIO_meth_set_read(made, ReadSocket);
    BIO_meth_set_ctrl(made, ControlSocket);
    return made;
  }();
  return method;
}

BIO* SocketBio(int fd) {
  BIO* const bio = BIO_new(SocketMethod());
  if (bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  return bio;
}

// An alert's number where the peer sent one, else 0.
int AlertOf(unsigned long code) {
  const int reason = ERR_GET_REASON(code);
  const bool is_alert =
      ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256;
  return is_alert ? reason - SSL_AD_REASON_OFFSET : 0;
}

std::string TextOf(unsigned long code) {
  const char* const reason = ERR_reason_error_string(code);
  if (reason != nullptr) return reason;
  char text[128];
  ERR_error_string_n(code, text, sizeof text);
  return text;
}

}  // namespace

void FreeTlsContext::operator()(ssl_ctx_st* context) const { SSL_CTX_free(context); }

TlsContextHandle NewTlsContext(bool is_server) {
  TlsContextHandle context(SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method()));
  if (context == nullptr) return context;
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                                         SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // A peer that sends keys without end must not keep a thread of ours reading.
  if (is_server) SSL_CTX_clear_mode(context.get(), SSL_MODE_AUTO_RETRY);
  return context;
}

std::string TakeTlsComplaint() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  return code == 0 ? std::string() : TextOf(code);
}

TlsStream::TlsStream(ssl_ctx_st* context, int fd, bool is_server) : ssl_(SSL_new(context)) {
  if (ssl_ == nullptr) throw std::bad_alloc();
  BIO* const bio = SocketBio(fd);
  SSL_set_bio(ssl_, bio, bio);
  is_server ? SSL_set_accept_state(ssl_) : SSL_set_connect_state(ssl_);
}

TlsStream::~TlsStream() { SSL_free(ssl_); }

TlsStream::Result TlsStream::ResultOf(int returned) {
  const int failure = errno;
  switch (SSL_get_error(ssl_, returned)) {
    case SSL_ERROR_NONE:
      return Result::kDone;
    case SSL_ERROR_WANT_READ:
      return Result::kWantsRead;
    case SSL_ERROR_WANT_WRITE:
      return Result::kWantsWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kClosed;
    case SSL_ERROR_SYSCALL:
      ended_ = true;
      failure_ = failure == 0 ? "it was closed" : std::strerror(failure);
      ERR_clear_error();
      return failure == 0 || failure == ECONNRESET || failure == EPIPE ? Result::kClosed : Result::kFailed;
    default:
      ended_ = failed_ = true;
      alert_ = AlertOf(ERR_peek_error());
      failure_ = TakeTlsComplaint();
      return Result::kFailed;
  }
}

TlsStream::Result TlsStream::Handshake() {
  ERR_clear_error();
  errno = 0;
  return ResultOf(SSL_do_handshake(ssl_));
}

ssize_t TlsStream::Read(void* to, size_t size) {
  if (failed_) {
    errno = EPROTO;  // OpenSSL would call it an end the second time
    return -1;
  }
  ERR_clear_error();
  errno = 0;
  read_wants_write_ = false;
  size_t got = 0;
  const int returned = SSL_read_ex(ssl_, to, size, &got);
  if (returned > 0) return static_cast<ssize_t>(got);
  switch (ResultOf(returned)) {
    case Result::kWantsWrite:
      read_wants_write_ = true;
      [[fallthrough]];
    case Result::kWantsRead:
      errno = EAGAIN;
      return -1;
    case Result::kDone:
    case Result::kClosed:
      return 0;
    case Result::kFailed:
      break;
  }
  errno = EPROTO;
  return -1;
}

// OpenSSL takes a record at a time; a socket would take what fits.
ssize_t TlsStream::Write(std::string_view bytes) {
  size_t all = 0;
  write_wants_read_ = false;
  while (all < bytes.size()) {
    ERR_clear_error();
    errno = 0;
    size_t written = 0;
    const int returned = SSL_write_ex(ssl_, bytes.data() + all, bytes.size() - all, &written);
    if (returned > 0) {
      all += written;
      continue;
    }
    const Result result = ResultOf(returned);
    if (result != Result::kWantsRead && result != Result::kWantsWrite) {
      errno = result == Result::kFailed ? EPROTO : EPIPE;
      return -1;
    }
    write_wants_read_ = result == Result::kWantsRead;
    break;
  }
  if (all == 0 && !bytes.empty()) {
    errno = EAGAIN;
    return -1;
  }
  return static_cast<ssize_t>(all);
}

void TlsStream::EndWriting() {
  if (ended_ || !SSL_is_init_finished(ssl_)) return;
  ended_ = true;
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsStream::HasUnread() const { return SSL_has_pending(ssl_) != 0; }

bool TlsStream::IsQuiet() {
  ERR_clear_error();
  errno = 0;
  char byte;
  size_t got = 0;
  const int returned = SSL_peek_ex(ssl_, &byte, 1, &got);
  return returned <= 0 && ResultOf(returned) == Result::kWantsRead;
}

}  // namespace rbc
