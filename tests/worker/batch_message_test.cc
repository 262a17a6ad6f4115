// The hand-written `call_batch` message against Thrift's generated code, both ways, and against lying bytes.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include "gen/Farm.h"
#include "worker/call_message.h"

namespace rbc::worker {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TMemoryBuffer;

std::vector<wire::CallRequest> Requests() {
  std::vector<wire::CallRequest> out(3);
  for (size_t i = 0; i < out.size(); ++i) {
    out[i].request_id = static_cast<int64_t>(100 + i);
    out[i].function_id = 0x500000007;
    out[i].frame = std::string(8 * i, 'x');
  }
  out[1].__set_out_bytes(64);
  out[2].__set_deadline_ms(1500);
  return out;
}

std::string Encode(const std::vector<wire::CallRequest>& requests) {
  auto buffer = std::make_shared<TMemoryBuffer>();
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  client.send_call_batch(requests);
  return buffer->getBufferAsString().substr(4);
}

// The calls of a message up to the first that is none, and what the parsers say.
CallParse Walk(std::string_view message, std::vector<CallView>* calls) {
  BatchView batch;
  CallParse parsed = ParseBatch(message, &batch);
  while (parsed == CallParse::kCall && !batch.calls.empty()) parsed = TakeCall(&batch.calls, &calls->emplace_back());
  return parsed;
}

TEST(BatchMessage, ReadsWhatTheGeneratedClientWrites) {
  const std::string message = Encode(Requests());
  BatchView batch;
  ASSERT_EQ(ParseBatch(message, &batch), CallParse::kCall);
  EXPECT_EQ(batch.count, 3u);
  std::vector<CallView> calls;
  ASSERT_EQ(Walk(message, &calls), CallParse::kCall);
  ASSERT_EQ(calls.size(), 3u);
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(calls[i].request_id, static_cast<int64_t>(100 + i));
    EXPECT_EQ(calls[i].function_id, 0x500000007u);
    EXPECT_EQ(calls[i].frame, std::string(8 * i, 'x'));
  }
  EXPECT_EQ(calls[1].out_bytes, 64u);
  EXPECT_EQ(calls[2].deadline_ms, 1500u);
}

TEST(BatchMessage, LeavesWhatIsNotPlainToTheGeneratedCode) {
  std::vector<CallView> calls;
  auto requests = Requests();
  requests[1].__set_buffers({{}});
  EXPECT_EQ(Walk(Encode(requests), &calls), CallParse::kOther);
  requests = Requests();
  requests[1].__set_out_bytes(-1);
  EXPECT_EQ(Walk(Encode(requests), &calls), CallParse::kOther);
  std::string other = Encode(Requests());
  other.replace(other.find("call_batch"), 10, "call_chain");
  EXPECT_EQ(Walk(other, &calls), CallParse::kOther);
}

TEST(BatchMessage, NeverReadsOutsideOfADamagedOne) {
  const std::string whole = Encode(Requests());
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string cut = whole.substr(0, size);
    std::vector<CallView> calls;
    if (Walk(cut, &calls) == CallParse::kCall) {
      EXPECT_LT(calls.size(), 3u) << size;
    }
  }
  for (size_t i = 0; i < whole.size(); ++i) {
    for (const int flip : {1, 0x7f, 0x80, 0xff}) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ flip);
      std::vector<CallView> calls;
      Walk(damaged, &calls);
      for (const CallView& call : calls) EXPECT_LE(call.frame.size(), whole.size());
    }
  }
}

TEST(BatchMessage, FramesOneOfItsCallsAsACall) {
  const std::string message = Encode(Requests());
  BatchView batch;
  ASSERT_EQ(ParseBatch(message, &batch), CallParse::kCall);
  CallView call;
  std::string_view rest = batch.calls;
  ASSERT_EQ(TakeCall(&rest, &call), CallParse::kCall);
  const std::string framed = FramedCall(batch.calls.substr(0, batch.calls.size() - rest.size()));
  CallView again;
  ASSERT_EQ(ParseCall(std::string_view(framed).substr(4), &again), CallParse::kCall);
  EXPECT_EQ(again.request_id, 100);
  EXPECT_EQ(again.function_id, 0x500000007u);
}

TEST(BatchMessage, ItsReplyIsReadByTheGeneratedClient) {
  uint8_t reply[kReplyOverhead + 64];
  const size_t size = WriteReply(reply, 5, "result", -2, "data", "output");
  Error error(ErrorKind::kRemoteCrash, "it crashed");
  error.may_have_run = true;
  std::string outcomes;
  ASSERT_TRUE(AppendOutcome({reinterpret_cast<const char*>(reply), size}, &outcomes));
  ASSERT_TRUE(AppendOutcome(ErrorReply(6, error), &outcomes));
  const std::string framed = BatchReply(0, 2, outcomes);
  auto buffer = std::make_shared<TMemoryBuffer>();
  buffer->write(reinterpret_cast<const uint8_t*>(framed.data()), static_cast<uint32_t>(framed.size()));
  wire::FarmClient client(std::make_shared<TBinaryProtocol>(std::make_shared<TFramedTransport>(buffer)));
  std::vector<wire::CallOutcome> got;
  client.recv_call_batch(got);
  EXPECT_EQ(buffer->available_read(), 0u);
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].reply.result, "result");
  EXPECT_EQ(got[0].reply.status, -2);
  EXPECT_EQ(got[0].reply.data, "data");
  EXPECT_EQ(got[0].reply.output, "output");
  ASSERT_TRUE(got[1].__isset.error);
  EXPECT_EQ(got[1].error.kind, wire::ErrorKind::RemoteCrash);
  EXPECT_TRUE(got[1].error.may_have_run);
}

TEST(BatchMessage, NoOutcomeIsMadeOfAnythingElse) {
  uint8_t reply[kReplyOverhead + 64];
  const size_t size = WriteReply(reply, 5, "result", 0, "", "");
  const std::string whole(reinterpret_cast<const char*>(reply), size);
  std::string outcomes;
  for (size_t cut = 0; cut < size; ++cut) EXPECT_FALSE(AppendOutcome(whole.substr(0, cut), &outcomes));
  EXPECT_FALSE(AppendOutcome(whole + '\0', &outcomes));
  std::string of_another_field = whole;
  of_another_field[22] = 3;
  EXPECT_FALSE(AppendOutcome(of_another_field, &outcomes));
  EXPECT_TRUE(outcomes.empty());
}

}  // namespace
}  // namespace rbc::worker
