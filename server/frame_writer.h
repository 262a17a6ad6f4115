// One framed message in the making: Thrift's transport for what the daemon writes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <thrift/transport/TVirtualTransport.h>

#include <cstring>
#include <string>
#include <utility>

#include "base/append_to_message.h"

namespace rbc::server {

// Collects a message behind its length in a string that whoever sends it takes: a large array is written once.
class FrameWriter : public apache::thrift::transport::TVirtualTransport<FrameWriter> {
 public:
  FrameWriter() : out_(sizeof(uint32_t), '\0') {}

  bool isOpen() const override { return true; }
  void open() override {}
  void close() override {}
  void write(const uint8_t* from, uint32_t size) {
    AppendToMessage({reinterpret_cast<const char*>(from), size}, &out_);
  }

  bool empty() const { return out_.size() == sizeof(uint32_t); }
  std::string Take() {
    const uint32_t length = __builtin_bswap32(static_cast<uint32_t>(out_.size() - sizeof(uint32_t)));
    std::memcpy(out_.data(), &length, sizeof length);
    return std::move(out_);
  }

 private:
  std::string out_;
};

}  // namespace rbc::server
