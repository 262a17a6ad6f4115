// The hand-written call message against the generated code, both ways, and against frames kept in tests/golden.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>

#include "client/src/call_codec.h"
#include "gen/Farm.h"
#include "tests/client/fake_farm.h"

namespace rbc::client {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TMemoryBuffer;

CallMessage FullCall(std::string_view frame) {
  return CallMessage{.request_id = 0x0102030405060708,
                     .function_id = 77,
                     .frame = frame,
                     .deadline_ms = 1500,
                     .out_bytes = 64,
                     .return_from = 32};
}

wire::CallRequest Decoded(const std::string& framed, int32_t* sequence) {
  const std::string body = framed.substr(4);
  const auto buffer = std::make_shared<TMemoryBuffer>(reinterpret_cast<uint8_t*>(const_cast<char*>(body.data())),
                                                      static_cast<uint32_t>(body.size()));
  TBinaryProtocol in(buffer, 0, 0, true, true);
  std::string name;
  apache::thrift::protocol::TMessageType type;
  in.readMessageBegin(name, type, *sequence);
  EXPECT_EQ(name, "call");
  EXPECT_EQ(type, apache::thrift::protocol::T_CALL);
  wire::Farm_call_args args;
  args.read(&in);
  EXPECT_EQ(buffer->available_read(), 0u);
  return args.request;
}

wire::Farm_call_result FullReply() {
  wire::Farm_call_result result;
  result.success.result = std::string(
      "\x00\x01\xff"
      "binary",
      9);
  result.success.__set_status(-5);
  result.success.__set_data("data");
  result.success.__set_output("printed\n");
  result.__isset.success = true;
  return result;
}

wire::Farm_call_result FullError() {
  wire::Farm_call_result result;
  wire::FarmError& e = result.error;
  e.kind = wire::ErrorKind::RemoteCrash;
  e.message = "it crashed";
  e.__set_role("execution worker");
  e.__set_function_name("f");
  e.__set_cause("stack overflow");
  e.__set_address("there:1");
  e.__set_output("before");
  e.__set_signal(11);
  e.__set_may_have_run(true);
  e.__set_retry_safe(true);
  e.__set_retry_after_ms(1LL << 40);
  wire::Diagnostic d;
  d.severity = wire::Severity::Warning;
  d.message = "hm";
  d.line = 3;
  d.column = 4;
  d.source_line = "x = y";
  e.__set_diagnostics({d, d});
  result.__isset.error = true;
  return result;
}

TEST(CallCodec, GeneratedCodeReadsOurRequests) {
  std::string out;
  int32_t sequence = 0;
  EncodeCall(FullCall("frame bytes"), 42, out);
  const wire::CallRequest all = Decoded(out, &sequence);
  EXPECT_EQ(sequence, 42);
  EXPECT_EQ(all.request_id, 0x0102030405060708);
  EXPECT_EQ(all.function_id, 77);
  EXPECT_EQ(all.frame, "frame bytes");
  EXPECT_EQ(all.deadline_ms, 1500);
  EXPECT_EQ(all.out_bytes, 64);
  EXPECT_EQ(all.return_from, 32);

  std::vector<CallBuffer> buffers;
  for (int32_t i = 0; i < 100; ++i) buffers.push_back({8 * i, int64_t{1} << 40 | i, -i});
  CallMessage with = FullCall("frame bytes");
  with.buffers = buffers;
  std::string().swap(out);
  EncodeCall(with, 43, out);
  const wire::CallRequest named = Decoded(out, &sequence);
  ASSERT_EQ(named.buffers.size(), buffers.size());
  for (size_t i = 0; i < buffers.size(); ++i) {
    EXPECT_EQ(named.buffers[i].position, buffers[i].position);
    EXPECT_EQ(named.buffers[i].buffer, buffers[i].buffer);
    EXPECT_EQ(named.buffers[i].offset, buffers[i].offset);
  }
  EXPECT_EQ(named.return_from, 32);

  EncodeCall(CallMessage{.request_id = 1, .function_id = 2, .frame = ""}, -1, out);
  const wire::CallRequest few = Decoded(out, &sequence);
  EXPECT_EQ(sequence, -1);
  EXPECT_FALSE(few.__isset.deadline_ms || few.__isset.out_bytes || few.__isset.return_from || few.__isset.buffers);
  EXPECT_EQ(few.frame, "");
}

TEST(CallCodec, OurRequestsAreTheGeneratedOnesByteForByte) {
  wire::Farm_call_args args;
  args.request.request_id = 0x0102030405060708;
  args.request.function_id = 77;
  args.request.frame = "frame bytes";
  args.request.__set_deadline_ms(1500);
  args.request.__set_out_bytes(64);
  args.request.__set_return_from(32);
  const auto buffer = std::make_shared<TMemoryBuffer>();
  TBinaryProtocol protocol(buffer);
  protocol.writeMessageBegin("call", apache::thrift::protocol::T_CALL, 42);
  args.write(&protocol);
  std::string out;
  EncodeCall(FullCall("frame bytes"), 42, out);
  EXPECT_EQ(out.substr(4), buffer->getBufferAsString());
}

TEST(CallCodec, WeReadGeneratedReplies) {
  const std::string message = test::EncodeReply("call", 9, FullReply());
  const auto answer = DecodeCallReply(message, 9);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_FALSE(answer->error);
  EXPECT_EQ(answer->result, std::string_view("\x00\x01\xff"
                                             "binary",
                                             9));
  EXPECT_EQ(answer->status, -5);
  EXPECT_EQ(answer->data, "data");
  EXPECT_EQ(answer->output, "printed\n");
  EXPECT_FALSE(DecodeCallReply(message, 10)) << "another request's reply";
}

TEST(CallCodec, TimesAreAskedForAndRead) {
  std::string out;
  int32_t sequence = 0;
  CallMessage asking = FullCall("frame bytes");
  asking.profile = true;
  EncodeCall(asking, 1, out);
  EXPECT_TRUE(Decoded(out, &sequence).profile);
  EncodeCall(FullCall("frame bytes"), 1, out);
  EXPECT_FALSE(Decoded(out, &sequence).__isset.profile);

  wire::Farm_call_result result = FullReply();
  result.success.__set_queue_ns(1);
  result.success.__set_upload_ns(2);
  result.success.__set_kernel_ns(1LL << 40);
  result.success.__set_download_ns(4);
  const std::string message = test::EncodeReply("call", 9, result);
  const auto answer = DecodeCallReply(message, 9);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->times.queue, 1);
  EXPECT_EQ(answer->times.upload, 2);
  EXPECT_EQ(answer->times.kernel, 1LL << 40);
  EXPECT_EQ(answer->times.download, 4);
  EXPECT_EQ(answer->output, "printed\n");
}

TEST(CallCodec, WeReadGeneratedErrors) {
  const std::string message = test::EncodeReply("call", 1, FullError());
  const auto answer = DecodeCallReply(message, 1);
  ASSERT_TRUE(answer && answer->error);
  const Error& e = *answer->error;
  EXPECT_EQ(e.kind, ErrorKind::kRemoteCrash);
  EXPECT_EQ(e.message, "it crashed");
  EXPECT_EQ(e.role, "execution worker");
  EXPECT_EQ(e.function, "f");
  EXPECT_EQ(e.cause, "stack overflow");
  EXPECT_EQ(e.address, "there:1");
  EXPECT_EQ(e.output, "before");
  EXPECT_EQ(e.signal, 11);
  EXPECT_TRUE(e.may_have_run && e.retry_safe);
  EXPECT_EQ(e.retry_after_ms, 1LL << 40);
  ASSERT_EQ(e.diagnostics.size(), 2u);
  EXPECT_EQ(e.diagnostics[1].severity, Severity::kWarning);
  EXPECT_EQ(e.diagnostics[1].source_line, "x = y");
}

// Every prefix and every single changed byte: an answer or a typed error, never a read outside (ASan watches).
TEST(CallCodec, DamagedRepliesAreRefused) {
  for (const std::string& whole :
       {test::EncodeReply("call", 1, FullReply()), test::EncodeReply("call", 1, FullError())}) {
    for (size_t n = 0; n < whole.size(); ++n) {
      const std::string copy(whole, 0, n);
      EXPECT_FALSE(DecodeCallReply(copy, 1)) << n;
    }
    for (size_t n = 0; n < whole.size(); ++n)
      for (const char change : {'\x00', '\x01', '\x7f', '\xff', '\x0f'}) {
        std::string copy = whole;
        copy[n] = change;
        const auto answer = DecodeCallReply(copy, 1);
        if (answer) {
          EXPECT_LE(answer->result.size() + answer->data.size() + answer->output.size(), copy.size());
        }
      }
  }
}

TEST(CallCodec, RandomBytesAreRefused) {
  std::mt19937 random(20240607);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 200, '\0');
    for (char& c : bytes) c = static_cast<char>(random());
    if (i % 2 == 0) {  // a proper head, so that the fields are reached
      const std::string head = test::EncodeReply("call", 1, FullReply()).substr(0, 19);
      bytes = head + bytes;
    }
    (void)DecodeCallReply(bytes, 1);
  }
}

TEST(CallCodec, FieldsOfALaterProtocolAreSkipped) {
  const auto buffer = std::make_shared<TMemoryBuffer>();
  TBinaryProtocol out(buffer);
  using namespace apache::thrift::protocol;  // NOLINT(google-build-using-namespace)
  out.writeMessageBegin("call", T_REPLY, 3);
  out.writeFieldBegin("success", T_STRUCT, 0);
  out.writeFieldBegin("new", T_MAP, 77);
  out.writeMapBegin(T_STRING, T_LIST, 1);
  out.writeString(std::string("key"));
  out.writeListBegin(T_STRUCT, 2);
  out.writeFieldBegin("x", T_DOUBLE, 1);
  out.writeDouble(1.5);
  out.writeFieldStop();
  out.writeFieldStop();
  out.writeFieldBegin("result", T_STRING, 1);
  out.writeString(std::string("r"));
  out.writeFieldBegin("new", T_SET, 78);
  out.writeSetBegin(T_I16, 1);
  out.writeI16(1);
  out.writeFieldStop();
  out.writeFieldStop();
  const std::string message = buffer->getBufferAsString();
  const auto answer = DecodeCallReply(message, 3);
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->result, "r");
}

// ---- frames kept over releases ---------------------------------------------------------------------------------

// With RBC_RECORD=1 the files are written anew: for a new file only, released ones never change.
void ExpectGolden(const std::string& name, const std::string& bytes) {
  const char* const folder = std::getenv("RBC_GOLDEN");
  ASSERT_NE(folder, nullptr) << "RBC_GOLDEN names the folder of the frames";
  const std::string path = std::string(folder) + "/" + name;
  if (std::getenv("RBC_RECORD") != nullptr) std::ofstream(path, std::ios::binary) << bytes;
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file.is_open()) << path;
  const std::string kept((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_EQ(kept, bytes) << path;
}

TEST(GoldenFrames, CallOfVersionOne) {
  std::string out;
  EncodeCall(FullCall("frame bytes"), 42, out);
  ExpectGolden("call_request_1_0.bin", out);
  EncodeCall(CallMessage{.request_id = 1, .function_id = 2, .frame = std::string_view("\0\0\0\0\0\0\xf8\x3f", 8)}, 1,
             out);
  ExpectGolden("call_request_small_1_0.bin", out);
  ExpectGolden("call_reply_1_0.bin", test::EncodeReply("call", 42, FullReply()));
  ExpectGolden("call_error_1_0.bin", test::EncodeReply("call", 42, FullError()));
}

}  // namespace
}  // namespace rbc::client
