// A raw channel to a farm, for arrays whose memory is not shared: docs/protocol.md, "Raw channels".
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "base/raw_frames.h"
#include "base/unique_fd.h"
#include "client/src/deadline.h"
#include "thrift/tls_stream.h"

namespace rbc::client {

// Told of the bytes that moved, after each chunk.
using MovedBytes = std::function<void(uint64_t bytes)>;

// One thread at a time. After any error but a refused get it is of no more use.
class BulkChannel {
 public:
  // `patience_ms`: how long the farm may be silent, each time.
  BulkChannel(UniqueFd fd, std::unique_ptr<TlsStream> tls, std::string peer, int64_t patience_ms);

  // `token`: as hello had it; "": none.
  Status Attach(int64_t session, std::string_view secret, std::string_view token);
  // Bytes of a buffer from `offset` on. kBufferLost, kInvalidArgument, kConnectionLost, kDeadlineExceeded, kCancelled.
  // A put may be followed by others before it is awaited, so many that their answers fit a socket: kMostAhead.
  static constexpr uint32_t kMostAhead = 128;
  Status Put(int64_t buffer, uint64_t offset, const char* from, uint64_t bytes, const MovedBytes& moved);
  Status AwaitPuts();
  Status Get(int64_t buffer, uint64_t offset, char* to, uint64_t bytes, const MovedBytes& moved);

  bool broken() const { return broken_; }
  bool Alive() const { return IsQuiet(); }
  int fd() const { return fd_.get(); }

  uint64_t epoch = 0;  // the Farm's

 private:
  template <typename Body>
  Status Ask(ChannelType type, const Body& body, uint64_t data_bytes);
  Status Send(const char* from, uint64_t bytes, bool more, const MovedBytes* moved);
  Status Receive(char* to, uint64_t bytes, const MovedBytes* moved);
  // The header of an answer of that type and length to `request`; else the farm's error.
  Status Expect(uint64_t request, ChannelType type, uint64_t length);
  Status AwaitOldest();  // of the puts on their way
  Status Wait(short events, const Deadline& deadline) const;
  ssize_t SendSome(const char* from, uint64_t bytes, bool more);
  ssize_t ReceiveSome(char* to, uint64_t bytes);
  // Nothing has arrived that was not asked for, and the farm has not gone.
  bool IsQuiet() const;
  Error Lost(std::string_view what, int code) const;

  const UniqueFd fd_;
  const std::unique_ptr<TlsStream> tls_;  // all goes through it; null: plain
  const std::string peer_;
  const int64_t patience_ms_;
  uint64_t request_ = 0;  // the last one that was sent
  uint32_t awaited_ = 0;  // puts of these
  bool broken_ = false;
};

}  // namespace rbc::client
