// A raw channel: bulk data straight between a socket and the session's arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "server/net/channel.h"
#include "server/net/channel_socket.h"

namespace rbc::server {

// Memory of a buffer, checked, and held for as long as somebody copies from or to it.
struct ChannelMemory {
  char* data = nullptr;
  std::shared_ptr<const void> hold;
};

// What a channel asks of the farm. Called on the thread that serves the channel.
class ChannelHost {
 public:
  virtual ~ChannelHost() = default;
  // `token`: empty where none came.
  virtual Status Attach(uint64_t session, std::string_view secret, const std::string& token) = 0;
  // kBufferLost, kInvalidArgument, kUnknownSession.
  virtual Expected<ChannelMemory> Memory(uint64_t buffer, uint64_t offset, uint64_t bytes) = 0;
  // The session is over: nobody wants the rest.
  virtual bool Ended() const = 0;
};

// One request at a time, in their order. Believes no length before it has been compared with a buffer's; data that has
// no place is not read. Served by one thread at a time.
class RawChannel {
 public:
  // Why Run() came back.
  enum class Wait : uint8_t {
    kReadable,  // for the peer's bytes
    kWritable,  // for the peer to take ours
    kEnd,       // close it
    kRefused,   // the last word is sent: read on only to let it arrive
  };

  // `first`: what was received before it was known to be a channel.
  explicit RawChannel(std::string_view first) : early_(first) {}

  // Moves what can be moved. *moved grows by the bytes.
  Wait Run(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved);
  // In the middle of something: no progress is then a peer that is too slow.
  bool busy() const { return !head_.empty() || left_ != 0 || !out_.empty(); }

 private:
  enum class Step : uint8_t { kMore, kWait, kEnd };
  Step ReadHead(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved);
  Step ReadBody(const ChannelSocket& socket, uint64_t* moved);
  Step WriteBody(const ChannelSocket& socket, uint64_t* moved);
  Step WriteOut(const ChannelSocket& socket, uint64_t* moved);
  Status HandleAttach(const ChannelHeader& header, ChannelHost& host) const;
  void Handle(const ChannelHeader& header, ChannelHost& host);
  void HandleTransfer(const ChannelHeader& header, ChannelHost& host);
  void Answer(ChannelType type, uint64_t bytes = 0);
  void Fail(const Error& error, bool for_good);
  ssize_t Read(const ChannelSocket& socket, char* to, size_t bytes);

  std::string_view Early() const { return std::string_view(early_).substr(early_used_); }

  std::string early_;
  size_t early_used_ = 0;
  std::string head_;  // header and the fixed part of the body, as far as they are here
  std::string out_;   // answers that the peer has not taken
  size_t out_sent_ = 0;
  uint64_t request_id_ = 0;  // of the transfer
  bool sending_ = false;     // the transfer goes to the peer
  uint64_t left_ = 0;        // of it
  ChannelMemory memory_;     // where it goes on
  bool attached_ = false;
  bool refused_ = false;
};

}  // namespace rbc::server
