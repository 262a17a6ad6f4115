// A client of a raw channel, byte for byte.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/socket.h>

#include <cstring>
#include <string>

#include "base/raw_frames.h"
#include "tests/server/farm_fixture.h"
#include "thrift/error_wire.h"

namespace rbc::server::testing {

struct Frame {
  ChannelHeader header{};
  std::string body;
  bool there = false;
  // Of an error.
  ErrorKind kind() const {
    uint32_t number = 0;
    if (header.type == kChannelError && body.size() >= 8) std::memcpy(&number, body.data(), sizeof number);
    return ErrorKindFromNumber(static_cast<int32_t>(number));
  }
};

template <typename T>
std::string BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

// A buffer to send to and read from.
inline wire::BufferInfo MakeBytes(Client& client, int64_t bytes) {
  wire::BufferSpec spec;
  spec.dtype = "int8";
  spec.shape = {bytes};
  wire::BufferInfo info;
  client->buffer_create(info, spec);
  return info;
}

class Channel {
 public:
  explicit Channel(const std::string& address) : fd_(RawConnect(address)) {}
  void Send(const std::string& bytes) { (void)!send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  void Ask(uint16_t type, const std::string& body, uint64_t more = 0, uint64_t id = 7) {
    Send(BytesOf(ChannelHeader{{'R', 'B', 'C', '1'}, 1, type, id, body.size() + more}) + body);
  }
  void Attach(const wire::HelloReply& session, const std::string& token = "", uint16_t type = kChannelAttach) {
    ChannelAttachBody body{static_cast<uint64_t>(session.session_id), {}};
    std::memcpy(body.secret, session.secret.data(), sizeof body.secret);
    Ask(type, BytesOf(body) + token);
  }
  void Put(int64_t buffer, uint64_t offset, const std::string& data) {
    Ask(kChannelPut, BytesOf(ChannelPutBody{static_cast<uint64_t>(buffer), offset}), data.size());
    Send(data);
  }
  void Get(int64_t buffer, uint64_t offset, uint64_t bytes) {
    Ask(kChannelGet, BytesOf(ChannelGetBody{static_cast<uint64_t>(buffer), offset, bytes}));
  }
  Frame Read() {
    Frame out;
    if (!Exactly(reinterpret_cast<char*>(&out.header), sizeof out.header) || out.header.length > (64 << 20)) return out;
    out.body.resize(out.header.length);
    out.there = Exactly(out.body.data(), out.body.size());
    return out;
  }
  // Whether the farm ends it.
  bool Ends() {
    char byte;
    return recv(fd_.get(), &byte, 1, 0) == 0;
  }
  void EndSending() { shutdown(fd_.get(), SHUT_WR); }
  void Close() { fd_.Reset(); }
  bool Exactly(char* to, size_t bytes) {
    for (size_t have = 0; have < bytes;) {
      const ssize_t got = recv(fd_.get(), to + have, bytes - have, 0);
      if (got <= 0) return false;
      have += static_cast<size_t>(got);
    }
    return true;
  }

 private:
  UniqueFd fd_;
};

}  // namespace rbc::server::testing
