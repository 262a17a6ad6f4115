// The `call` message of rbc.thrift by hand: framed, strict binary. The worker answers clients directly and links no
// Thrift; the daemon peeks at what it relays. Checked against the generated code in tests/worker.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "targets/target.h"

namespace rbc::worker {

// A CallRequest; `frame` points into the message.
struct CallView {
  int32_t seqid = 0;
  int64_t request_id = 0;
  uint64_t function_id = 0;
  std::string_view frame;
  uint32_t deadline_ms = 0;  // 0: none given
  uint32_t out_bytes = 0;
  uint32_t return_from = 0xffffffff;  // none
  bool profile = false;               // the reply shall have times
  bool keep = false;                  // array results wait for kKeptResultsFunction (kept_frame.h): the daemon asks so
};

enum class CallParse : uint8_t {
  kCall,       // a well-formed call
  kOther,      // another method, or fields that this reader does not know: the generated code shall read it
  kMalformed,  // lying lengths, negative sizes: not worth an answer
};

// `message` is what follows the 4-byte frame length. Never reads outside it. Unknown fields are skipped where they are
// of fixed size or strings, else kOther.
CallParse ParseCall(std::string_view message, CallView* call);

// A `call_batch`.
struct BatchView {
  int32_t seqid = 0;
  uint32_t count = 0;      // that the message names; TakeCall tells what there is
  std::string_view calls;  // CallRequests, one behind the other
};
// As ParseCall. Of the calls themselves nothing has been looked at.
CallParse ParseBatch(std::string_view message, BatchView* batch);
// Takes the first CallRequest off `calls`, which may be hostile; after anything but kCall the rest means nothing.
CallParse TakeCall(std::string_view* calls, CallView* call);

// Bytes of a framed successful reply around its parts, at most: result, status, data, output, times.
inline constexpr size_t kReplyOverhead = 144;

// Writes a whole framed reply (with its 4-byte length) to `out` of at least kReplyOverhead + the sizes of the parts.
// Empty data and output, a zero status and absent times (nullptr) are left out. Returns the bytes written.
size_t WriteReply(uint8_t* out, int32_t seqid, std::string_view result, int32_t status, std::string_view data,
                  std::string_view output, const EntryTimes* times = nullptr);

// A framed `call` of a CallRequest's bytes.
std::string FramedCall(std::string_view request);

// A whole framed reply of `call` that throws FarmError.
std::string ErrorReply(int32_t seqid, const Error& error);

// Appends a framed reply of `call` as a CallOutcome. False: it is none, and nothing was appended. What lies between its
// head and its end is not looked at.
bool AppendOutcome(std::string_view framed, std::string* out);
// A framed reply of `call_batch` around so many outcomes.
std::string BatchReply(int32_t seqid, uint32_t count, std::string_view outcomes);

}  // namespace rbc::worker
