// The bytes of `call`: framed, strict TBinaryProtocol, written by hand for this one message.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/expected.h"

namespace rbc::client {

// FrameBuffer of thrift/rbc.thrift.
struct CallBuffer {
  int32_t position = 0;
  int64_t buffer = 0;
  int64_t offset = 0;
};

// CallRequest of thrift/rbc.thrift. Optional fields are absent where they have the value given here.
struct CallMessage {
  int64_t request_id = 0;
  int64_t function_id = 0;
  std::string_view frame;
  int32_t deadline_ms = 0;
  int32_t out_bytes = 0;
  int32_t return_from = -1;
  bool profile = false;
  std::span<const CallBuffer> buffers{};
  uint64_t epoch = 0;  // not sent: of the session that the frame names arrays of; 0: none
  // Not sent: the function that the farm gave for just this frame (ReadyCall), good for one worker; 0: another call.
  int64_t repeats = 0;
};

// Where the farm's time went, in nanoseconds.
struct CallTimes {
  int64_t queue = 0;
  int64_t upload = 0;
  int64_t kernel = 0;
  int64_t download = 0;
};

// CallReply, or the error in its place. The views point into the message that was decoded.
struct CallAnswer {
  std::string_view result;
  int32_t status = 0;
  std::string_view data;
  std::string_view output;
  CallTimes times;  // of a request with `profile`
  std::unique_ptr<Error> error;
};

// Makes `out` the whole message, length first. What it held before is lost, its capacity is kept.
void EncodeCall(const CallMessage& call, int32_t sequence, std::string& out);
// `message` without its length; hostile. kProtocolMismatch: it is no reply to `call` number `sequence`.
Expected<CallAnswer> DecodeCallReply(std::string_view message, int32_t sequence);

// The same of `call_batch`.
struct BatchAnswer {
  std::vector<CallAnswer> calls;
  std::unique_ptr<Error> error;  // of the whole, which did not run
};
void EncodeBatch(std::span<const CallMessage> calls, int32_t sequence, std::string& out);
Expected<BatchAnswer> DecodeBatchReply(std::string_view message, int32_t sequence);

}  // namespace rbc::client
