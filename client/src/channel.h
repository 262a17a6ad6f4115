// Thrift's transport over a FrameSocket: everything but `call` goes through the generated client and this.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thrift/transport/TTransportException.h>
#include <thrift/transport/TVirtualTransport.h>

#include <string>
#include <string_view>

#include "client/src/frame_socket.h"
#include "client/src/large_memory.h"

namespace rbc::client {

// Carries an Error of ours through the generated code, which knows exceptions only. Never leaves connection.cc.
class ChannelError : public apache::thrift::transport::TTransportException {
 public:
  explicit ChannelError(Error error) : TTransportException(UNKNOWN, error.message), error_(std::move(error)) {}
  Error& error() { return error_; }

 private:
  Error error_;
};

// Collects what is written into one frame, sends it at flush(), and reads from one received frame. One thread at a
// time.
class Channel : public apache::thrift::transport::TVirtualTransport<Channel> {
 public:
  // The socket must outlive the channel. `most_sent` bounds a request, `limit` of the socket a reply.
  explicit Channel(FrameSocket* socket);
  // A new request, which must be over by `deadline`.
  void Begin(const Deadline& deadline);
  void SetMostSent(size_t bytes) { most_sent_ = bytes; }
  size_t most_sent() const { return most_sent_; }

  bool isOpen() const override { return true; }
  void open() override {}
  void close() override {}
  uint32_t read(uint8_t* into, uint32_t size);
  // Where the generated code asks for a whole string: the check of its length before it makes room for it.
  const uint8_t* borrow(uint8_t* buffer, uint32_t* size);
  void consume(uint32_t size);
  void write(const uint8_t* from, uint32_t size);
  void flush() override;
  uint32_t readEnd() override;

 private:
  void EnsureReceived();
  [[noreturn]] void Short() const;

  FrameSocket* socket_;
  Deadline deadline_;
  std::string out_;
  LargeMemory memory_;  // of out_
  std::string_view in_;
  bool received_ = false;
  size_t most_sent_;
};

}  // namespace rbc::client
