// The hand-written `call` message against Thrift's generated code, both ways, and against lying bytes.
// SPDX-License-Identifier: Apache-2.0
#include "worker/call_message.h"

#include <gtest/gtest.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <random>

#include "gen/Farm.h"
#include "thrift/error_wire.h"

namespace rbc::worker {
namespace {

using apache::thrift::protocol::T_CALL;
using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TMemoryBuffer;

std::string Encode(const wire::CallRequest& request) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  auto framed = std::make_shared<TFramedTransport>(buffer);
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(framed));
  client.send_call(request);
  return buffer->getBufferAsString().substr(4);
}

// What a generated client makes of a framed reply: the reply, or the exception it throws.
wire::CallReply Decode(std::string framed) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  buffer->write(reinterpret_cast<const uint8_t*>(framed.data()), static_cast<uint32_t>(framed.size()));
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  wire::CallReply reply;
  client.recv_call(reply);
  EXPECT_EQ(buffer->available_read(), 0u);
  return reply;
}

wire::CallRequest FullRequest() {
  wire::CallRequest request;
  request.request_id = 77;
  request.function_id = 0x500000007;
  request.frame = std::string("\0\1\2binary", 9);
  request.__set_deadline_ms(1500);
  request.__set_out_bytes(64);
  request.__set_return_from(16);
  return request;
}

TEST(CallMessage, ReadsWhatTheGeneratedClientWrites) {
  const std::string message = Encode(FullRequest());
  CallView call;
  ASSERT_EQ(ParseCall(message, &call), CallParse::kCall);
  EXPECT_EQ(call.request_id, 77);
  EXPECT_EQ(call.function_id, 0x500000007u);
  EXPECT_EQ(call.frame, std::string_view("\0\1\2binary", 9));
  EXPECT_EQ(call.deadline_ms, 1500u);
  EXPECT_EQ(call.out_bytes, 64u);
  EXPECT_EQ(call.return_from, 16u);
  EXPECT_FALSE(call.keep);
}

TEST(CallMessage, KnowsWhatKeepsItsArrays) {
  wire::CallRequest request = FullRequest();
  request.__set_keep("");
  CallView call;
  const std::string message = Encode(request);
  ASSERT_EQ(ParseCall(message, &call), CallParse::kCall);
  EXPECT_TRUE(call.keep);
  EXPECT_EQ(call.return_from, 16u);
}

TEST(CallMessage, AbsentFieldsKeepTheirDefaults) {
  wire::CallRequest request;
  request.function_id = 3;
  CallView call;
  const std::string message = Encode(request);
  ASSERT_EQ(ParseCall(message, &call), CallParse::kCall);
  EXPECT_EQ(call.deadline_ms, 0u);
  EXPECT_EQ(call.out_bytes, 0u);
  EXPECT_EQ(call.return_from, 0xffffffffu);
}

TEST(CallMessage, LeavesOtherMethodsToTheGeneratedCode) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  client.send_unload(5);
  CallView call;
  EXPECT_EQ(ParseCall(buffer->getBufferAsString().substr(4), &call), CallParse::kOther);
}

TEST(CallMessage, EveryTruncationIsRefused) {
  const std::string message = Encode(FullRequest());
  for (size_t size = 0; size < message.size(); ++size) {
    CallView call;
    EXPECT_NE(ParseCall(std::string_view(message).substr(0, size), &call), CallParse::kCall) << size;
  }
}

TEST(CallMessage, LyingLengthsAreRefusedNegativeSizesAnswered) {
  auto request = FullRequest();
  request.__set_out_bytes(-1);
  CallView call;
  EXPECT_EQ(ParseCall(Encode(request), &call), CallParse::kOther);
  std::string message = Encode(FullRequest());
  const size_t frame_length = message.find(std::string("\0\0\0\x09\0\1\2", 7));
  ASSERT_NE(frame_length, std::string::npos);
  message[frame_length] = '\x7f';
  EXPECT_EQ(ParseCall(message, &call), CallParse::kMalformed);
}

TEST(CallMessage, MutatedBytesNeverReachOutside) {
  const std::string message = Encode(FullRequest());
  std::mt19937 random(20);
  for (int round = 0; round < 200'000; ++round) {
    // A fresh allocation of the exact size, so that a sanitizer sees any step outside.
    const std::string copy = [&] {
      std::string bytes = message;
      for (int k = random() % 4; k >= 0; --k) bytes[random() % bytes.size()] = static_cast<char>(random());
      bytes.resize(random() % 3 == 0 ? random() % bytes.size() : bytes.size());
      bytes.shrink_to_fit();
      return bytes;
    }();
    CallView call;
    if (ParseCall(copy, &call) == CallParse::kCall && !call.frame.empty()) {
      EXPECT_GE(call.frame.data(), copy.data());
      EXPECT_LE(call.frame.data() + call.frame.size(), copy.data() + copy.size());
    }
  }
}

TEST(CallMessage, TheGeneratedClientReadsOurReply) {
  std::string out(kReplyOverhead + 64, '\xee');
  const std::string result("\1\2\3\4\5\6\7\0", 8);
  out.resize(WriteReply(reinterpret_cast<uint8_t*>(out.data()), 0, result, -7, "data", "printed\n"));
  const auto reply = Decode(out);
  EXPECT_EQ(reply.result, result);
  EXPECT_EQ(reply.status, -7);
  EXPECT_EQ(reply.data, "data");
  EXPECT_EQ(reply.output, "printed\n");
}

TEST(CallMessage, TimesAreSentWhereTheyAreAskedFor) {
  auto request = FullRequest();
  request.__set_profile(true);
  CallView call;
  ASSERT_EQ(ParseCall(Encode(request), &call), CallParse::kCall);
  EXPECT_TRUE(call.profile);
  const EntryTimes times{.upload = 1, .kernel = uint64_t{1} << 40, .download = 3};
  const std::string large(500, 'x');
  std::string out(kReplyOverhead + 3 * large.size(), '\xee');
  out.resize(WriteReply(reinterpret_cast<uint8_t*>(out.data()), 0, large, -7, large, large, &times));
  EXPECT_LE(out.size(), kReplyOverhead + 3 * large.size());
  const auto reply = Decode(out);
  EXPECT_EQ(reply.upload_ns, 1);
  EXPECT_EQ(reply.kernel_ns, int64_t{1} << 40);
  EXPECT_EQ(reply.download_ns, 3);
  EXPECT_FALSE(reply.__isset.queue_ns) << "the farm's affair";
  EXPECT_EQ(reply.output, large);
}

TEST(CallMessage, EmptyPartsAreLeftOut) {
  std::string out(kReplyOverhead, '\xee');
  out.resize(WriteReply(reinterpret_cast<uint8_t*>(out.data()), 0, "", 0, "", ""));
  const auto reply = Decode(out);
  EXPECT_FALSE(reply.__isset.status || reply.__isset.data || reply.__isset.output || reply.__isset.kernel_ns);
}

TEST(CallMessage, TheGeneratedClientThrowsOurError) {
  Error error(ErrorKind::kRemoteCrash, "it crashed");
  error.role = "execution worker";
  error.function = "add";
  error.cause = "stack overflow";
  error.output = "before";
  error.signal = 11;
  error.may_have_run = true;
  error.retry_safe = true;
  error.retry_after_ms = 1'000'000'000'000;
  error.diagnostics.push_back({Severity::kWarning, "odd", 3, 4, "  %x = odd"});
  try {
    Decode(ErrorReply(0, error));
    FAIL() << "no exception";
  } catch (const wire::FarmError& thrown) {
    EXPECT_EQ(thrown, ToWire(error));
  }
}

}  // namespace
}  // namespace rbc::worker
