// The hand-written batch message against the generated code, both ways, and against damage.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "client/src/call_codec.h"
#include "gen/Farm.h"
#include "tests/client/fake_farm.h"

namespace rbc::client {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TMemoryBuffer;

wire::Farm_call_batch_result Outcomes() {
  wire::Farm_call_batch_result result;
  wire::CallOutcome good, bad;
  good.reply.result = "eight by";
  good.reply.__set_status(-2);
  good.reply.__set_output("printed\n");
  good.__isset.reply = true;
  bad.error.kind = wire::ErrorKind::RemoteCrash;
  bad.error.message = "it crashed";
  bad.error.__set_may_have_run(true);
  bad.__isset.error = true;
  result.success = {good, bad, good};
  result.__isset.success = true;
  return result;
}

TEST(BatchCodec, OurRequestsAreTheGeneratedOnesByteForByte) {
  const std::vector<CallMessage> calls = {
      {.request_id = 1, .function_id = 77, .frame = "first"},
      {.request_id = 2, .function_id = 77, .frame = "", .out_bytes = 64, .return_from = 32}};
  wire::Farm_call_batch_args args;
  args.requests.resize(2);
  args.requests[0].request_id = 1;
  args.requests[1].request_id = 2;
  for (auto& request : args.requests) request.function_id = 77;
  args.requests[0].frame = "first";
  args.requests[1].__set_out_bytes(64);
  args.requests[1].__set_return_from(32);
  for (const size_t count : {size_t{2}, size_t{0}}) {
    args.requests.resize(count);
    const auto buffer = std::make_shared<TMemoryBuffer>();
    TBinaryProtocol protocol(buffer);
    protocol.writeMessageBegin("call_batch", apache::thrift::protocol::T_CALL, 42);
    args.write(&protocol);
    std::string out;
    EncodeBatch(std::span(calls).first(count), 42, out);
    EXPECT_EQ(out.substr(4), buffer->getBufferAsString());
  }
}

TEST(BatchCodec, WeReadGeneratedReplies) {
  const std::string message = test::EncodeReply("call_batch", 9, Outcomes());
  const auto answer = DecodeBatchReply(message, 9);
  ASSERT_TRUE(answer) << answer.error().message;
  ASSERT_EQ(answer->calls.size(), 3u);
  EXPECT_FALSE(answer->error);
  EXPECT_EQ(answer->calls[0].result, "eight by");
  EXPECT_EQ(answer->calls[2].status, -2);
  EXPECT_EQ(answer->calls[2].output, "printed\n");
  ASSERT_TRUE(answer->calls[1].error);
  EXPECT_EQ(answer->calls[1].error->kind, ErrorKind::kRemoteCrash);
  EXPECT_TRUE(answer->calls[1].error->may_have_run);
  EXPECT_FALSE(DecodeBatchReply(message, 10)) << "another request's reply";
  EXPECT_FALSE(DecodeBatchReply(test::EncodeReply("call", 9, Outcomes()), 9)) << "another method's";
}

TEST(BatchCodec, WeReadTheErrorOfTheWhole) {
  wire::Farm_call_batch_result refused;
  refused.error.kind = wire::ErrorKind::UnknownSession;
  refused.error.message = "gone";
  refused.__isset.error = true;
  const std::string message = test::EncodeReply("call_batch", 1, refused);
  const auto answer = DecodeBatchReply(message, 1);
  ASSERT_TRUE(answer && answer->error);
  EXPECT_EQ(answer->error->kind, ErrorKind::kUnknownSession);
}

TEST(BatchCodec, DamagedRepliesAreRefused) {
  const std::string whole = test::EncodeReply("call_batch", 1, Outcomes());
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_FALSE(DecodeBatchReply(std::string(whole.substr(0, size)), 1)) << size;
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      const auto answer = DecodeBatchReply(damaged, 1);
      if (!answer) {
        EXPECT_EQ(answer.error().kind, ErrorKind::kProtocolMismatch);
      }
    }
  }
}

}  // namespace
}  // namespace rbc::client
