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
#include "packing/pacer.h"
#include "thrift/tls_stream.h"

namespace rbc::client {

// Told of the bytes that moved, after each chunk.
using MovedBytes = std::function<void(uint64_t bytes)>;

// Whether arrays are packed on their way, where the farm takes that: where it makes the transfer faster, or always.
enum class Packing : uint8_t { kNone, kWhereFaster, kAlways };

// One thread at a time. After any error but a refused get it is of no more use.
class BulkChannel {
 public:
  // `patience_ms`: how long the farm may be silent, each time.
  BulkChannel(UniqueFd fd, std::unique_ptr<TlsStream> tls, std::string peer, int64_t patience_ms);

  // `token`: as hello had it; "": none. `packing`: kNone for farms before 1.4.
  Status Attach(int64_t session, std::string_view secret, std::string_view token, Packing packing);
  // Bytes of a buffer from `offset` on. kBufferLost, kInvalidArgument, kConnectionLost, kDeadlineExceeded, kCancelled.
  // A put may be followed by others before it is awaited, so many that their answers fit a socket: kMostAhead.
  static constexpr uint32_t kMostAhead = 128;
  struct Place {
    int64_t buffer = 0;
    uint64_t offset = 0;
    uint32_t element = 1;  // bytes of the array's elements
  };
  Status Put(const Place& place, const char* from, uint64_t bytes, const MovedBytes& moved);
  Status AwaitPuts();
  Status Get(const Place& place, char* to, uint64_t bytes, const MovedBytes& moved);

  bool broken() const { return broken_; }
  bool Alive() const { return IsQuiet(); }
  int fd() const { return fd_.get(); }

  uint64_t epoch = 0;  // the Farm's

 private:
  template <typename Body>
  Status Ask(ChannelType type, const Body& body, uint64_t data_bytes);
  Status SendPieces(const char* from, uint64_t bytes, uint32_t element, const MovedBytes& moved);
  Status ReceivePieces(char* to, uint64_t bytes, const MovedBytes& moved);
  Status ReceivePiece(const ChannelPiece& head, char* to);
  Error NotAnAnswer() const;
  Status Send(const char* from, uint64_t bytes, bool more, const MovedBytes* moved);
  Status Receive(char* to, uint64_t bytes, const MovedBytes* moved);
  // The header of an answer of that type and length to `request`; else the farm's error.
  Status Expect(uint64_t request, ChannelType type, uint64_t length);
  Status AwaitOldest();  // of the puts on their way
  Status Wait(short events, const Deadline& deadline);
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
  bool refused_ = false;              // the farm takes no more; why, its answer says
  Packing packing_ = Packing::kNone;  // as agreed with the farm
  Packer packer_;
  Clock::time_point asked_{};  // when the waiting thread was last asked whether it still likes to wait
  Pacer pacer_;                // of what is sent
  std::string piece_;
};

}  // namespace rbc::client
