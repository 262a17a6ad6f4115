// A raw channel: bulk data straight between a socket and the session's arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/expected.h"
#include "packing/pacer.h"
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
  // Whether packed pieces are taken and sent.
  virtual bool Packs() const = 0;
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
  // What a request asks for.
  struct Transfer {
    uint64_t buffer = 0, offset = 0, bytes = 0;
    bool sending = false, packed = false;
    uint32_t element = 1;
    bool always = false;  // packed, whatever the line
  };
  Transfer TransferOf(const ChannelHeader& header) const;
  Step ReadHead(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved);
  Step ReadPieces(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved);
  Step WritePieces(const ChannelSocket& socket, const ChannelHost& host, uint64_t* moved);
  Status TakePiece(const ChannelHost& host);
  Step WriteOut(const ChannelSocket& socket, uint64_t* moved);
  Status HandleAttach(const ChannelHeader& header, ChannelHost& host) const;
  void Handle(const ChannelHeader& header, ChannelHost& host);
  void HandleTransfer(const ChannelHeader& header, ChannelHost& host);
  Step MoveBody(const ChannelSocket& socket, ChannelHost& host, uint64_t* moved);
  // `most`: of the array.
  Step ReadPlain(const ChannelSocket& socket, uint64_t most, uint64_t* moved);
  Step WritePlain(const ChannelSocket& socket, uint64_t most, uint64_t* moved);
  ssize_t SendSome(const ChannelSocket& socket, std::string_view bytes, bool more);
  void Advance(uint64_t bytes);
  void Answer(ChannelType type, uint64_t bytes = 0);
  template <typename Body>
  void AnswerWith(ChannelType type, const Body& body) {
    Answer(type, sizeof body);
    out_.append(reinterpret_cast<const char*>(&body), sizeof body);
  }
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
  // Of a packed transfer.
  bool packed_ = false;
  uint32_t element_ = 1;
  std::string piece_;        // in arrival: head and bytes, as far as they are here
  uint64_t plain_left_ = 0;  // of a plain piece, which goes straight between socket and memory
  uint64_t unpacked_ = 0;    // bytes of arrays that cost this turn of the thread
  Pacer pacer_;
  bool attached_ = false;
  bool refused_ = false;
};

}  // namespace rbc::server
