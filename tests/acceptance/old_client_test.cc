// A client of protocol 1.3, by the generated code of that time, with today's farm.
// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thrift/TConfiguration.h>
#include <thrift/protocol/TBinaryProtocol.h>
#include <thrift/transport/TBufferTransports.h>
#include <thrift/transport/TSocket.h>

#include <cstring>

#include "gen_1_3/OldFarm.h"
#include "tests/harness/farm_test.h"
#include "thrift/handle.h"
#include "types/array.h"

namespace rbc::harness {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TFramedTransport;
using apache::thrift::transport::TSocket;
namespace old = wire_1_3;

constexpr char kIr[] = R"(
define double @add(double %x, double %y) {
  %r = fadd double %x, %y
  ret double %r
}
define double @first(ptr %x, i64 %n) {
  %r = load double, ptr %x
  ret double %r
}
)";

std::string BytesOf(const std::vector<double>& numbers) {
  return {reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(double)};
}
double NumberOf(const std::string& bytes) {
  double out = 0;
  if (bytes.size() == sizeof out) std::memcpy(&out, bytes.data(), sizeof out);
  return out;
}
old::ArrayRef Array(const std::vector<double>& numbers) {
  old::ArrayRef out;
  out.dtype = "float64";
  out.shape = {static_cast<int64_t>(numbers.size())};
  out.strides = {8};
  out.__set_data(BytesOf(numbers));
  return out;
}

class OldClientTest : public FarmTest, public ::testing::WithParamInterface<const char*> {
 protected:
  void SetUp() override {
    FarmTest::SetUp();
    const bool local = std::string(GetParam()) == "unix";
    const std::string address = local ? farm().unix_address().substr(5) : farm().tcp_address();
    const auto limits = std::make_shared<apache::thrift::TConfiguration>();
    const size_t colon = address.rfind(':');
    const auto socket =
        local ? std::make_shared<TSocket>(address, limits)
              : std::make_shared<TSocket>(address.substr(0, colon), std::stoi(address.substr(colon + 1)), limits);
    transport_ = std::make_shared<TFramedTransport>(socket);
    transport_->open();
    client_ = std::make_unique<old::OldFarmClient>(std::make_shared<TBinaryProtocol>(transport_));
    old::HelloRequest hello;
    hello.protocol_major = 1;
    hello.protocol_minor = 3;
    hello.client = "of 1.3";
    client_->hello(session_, hello);
    old::CompileRequest compile;
    compile.target = "host";
    compile.functions.resize(2);
    compile.functions[0].symbol = "add";
    compile.functions[0].signature = "float64(float64, float64)";
    compile.functions[1].symbol = "first";
    compile.functions[1].signature = "float64(float64[::1])";
    compile.__set_ir(kIr);
    compile.handle = Bytes(HandleOf("host", {Declared(compile, 0), Declared(compile, 1)}, {}, kIr));
    client_->compile(compiled_, compile);
  }
  void TearDown() override {
    transport_->close();
    FarmTest::TearDown();
  }
  // As thrift/handle.h wants it.
  static wire::FunctionDeclaration Declared(const old::CompileRequest& request, size_t index) {
    wire::FunctionDeclaration out;
    out.symbol = request.functions[index].symbol;
    out.signature = request.functions[index].signature;
    return out;
  }
  int64_t add() const { return compiled_.functions[0].function_id; }

  std::shared_ptr<TFramedTransport> transport_;
  std::unique_ptr<old::OldFarmClient> client_;
  old::HelloReply session_;
  old::CompileReply compiled_;
};
INSTANTIATE_TEST_SUITE_P(Over, OldClientTest, ::testing::Values("unix", "tcp"),
                         [](const auto& info) { return std::string(info.param); });

TEST_P(OldClientTest, IsServedAsEver) {
  EXPECT_EQ(session_.protocol_major, 1);
  EXPECT_GE(session_.protocol_minor, 3);
  old::CallRequest call;
  call.request_id = 3;
  call.function_id = add();
  call.frame = BytesOf({2, 3});
  old::CallReply reply;
  for (int i = 0; i < 40; ++i) {  // also where the connection is lent
    client_->call(reply, call);
    ASSERT_EQ(NumberOf(reply.result), 5);
  }
  std::vector<old::CallOutcome> outcomes;
  client_->call_batch(outcomes, {call, call});
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(NumberOf(outcomes[1].reply.result), 5);
  call.function_id = compiled_.functions[1].function_id;
  call.frame = std::string(types::FrameArrayBytes(1), '\0');
  types::StoreFrameArray({32, {2}, {8}}, call.frame.data());
  call.frame.resize(32);
  call.frame += BytesOf({7, 8});
  client_->call(reply, call);
  EXPECT_EQ(NumberOf(reply.result), 7) << "an array in the message";
  call.function_id = 12345;
  try {
    client_->call(reply, call);
    ADD_FAILURE() << "there is no such function";
  } catch (const old::FarmError& error) {
    EXPECT_EQ(error.kind, old::ErrorKind::UnknownModule);
  }
}

TEST_P(OldClientTest, MapsChainsAndBuffersToo) {
  old::ArrayMapRequest map;
  map.function_id = add();
  map.inputs = {Array({1, 2, 3}), Array({10})};
  map.__set_keep("sum");
  old::ArrayReply kept;
  client_->map_arrays(kept, map);
  ASSERT_TRUE(kept.__isset.kept);
  EXPECT_EQ(kept.kept.shape, std::vector<int64_t>{3});
  old::ChainRequest chain;
  chain.steps.resize(2);
  map.inputs = {kept.result, kept.result};
  map.__isset.keep = false;
  chain.steps[0].__set_map_arrays(map);
  chain.steps[0].__set_drop(true);
  old::ArrayReduceRequest reduce;
  reduce.function_id = add();
  reduce.input.__set_step(0);
  chain.steps[1].__set_reduce_array(reduce);
  std::vector<old::ChainOutcome> outcomes;
  client_->chain(outcomes, chain);
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(NumberOf(outcomes[1].array.result.data), 2 * 36);
  std::vector<old::BufferInfo> all;
  client_->buffers(all);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].name, "sum");
  client_->buffer_free(all[0].id);
  EXPECT_THROW(client_->buffer_free(all[0].id), old::FarmError);
  old::FarmStatus status;
  client_->status(status);
  EXPECT_FALSE(status.json.empty());
}

}  // namespace
}  // namespace rbc::harness
