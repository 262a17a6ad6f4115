// The bytes of every method as the first released version speaks them. A client of that version must be understood for
// as long as the major version stands, and must understand us.
// SPDX-License-Identifier: Apache-2.0
#include "tests/server/golden.h"

#include <sys/socket.h>
#include <unistd.h>

#include <functional>

#include "tests/server/farm_fixture.h"
#include "thrift/handle.h"

namespace rbc::server::testing {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::transport::TMemoryBuffer;

// Checks that `value` is written as recorded, and that the record is read back to the same bytes.
template <typename Value>
void Check(const std::string& name, const std::string& method, apache::thrift::protocol::TMessageType type,
           const Value& value) {
  const auto write = [&](const auto& what) {
    const auto buffer = std::make_shared<TMemoryBuffer>();
    TBinaryProtocol protocol(buffer);
    protocol.writeMessageBegin(method, type, 7);
    what.write(&protocol);
    protocol.writeMessageEnd();
    return Framed(buffer->getBufferAsString());
  };
  const auto bytes = write(value);
  const auto recorded = Golden(name, bytes);
  EXPECT_EQ(ToHex(bytes), recorded) << name;
  auto body = FromHex(recorded).substr(4);
  const auto buffer =
      std::make_shared<TMemoryBuffer>(reinterpret_cast<uint8_t*>(body.data()), static_cast<uint32_t>(body.size()));
  TBinaryProtocol protocol(buffer);
  std::string read_method;
  apache::thrift::protocol::TMessageType read_type;
  int32_t sequence;
  protocol.readMessageBegin(read_method, read_type, sequence);
  EXPECT_EQ(read_method, method);
  EXPECT_EQ(sequence, 7);
  Value back;
  back.read(&protocol);
  EXPECT_EQ(write(back), bytes) << name;
}

template <typename Arguments>
void Request(const std::string& method, const Arguments& arguments) {
  Check(method + ".request", method, apache::thrift::protocol::T_CALL, arguments);
}
template <typename Result>
void Reply(const std::string& method, const Result& result) {
  Check(method + ".reply", method, apache::thrift::protocol::T_REPLY, result);
}

template <typename Result, typename Value>
void Succeed(Result* result, const Value& value) {
  result->success = value;
  result->__isset.success = true;
}

wire::TargetInfo Host() {
  wire::TargetInfo host;
  host.name = "host";
  host.triple = "x86_64-unknown-linux-gnu";
  host.data_layout = "e-m:e-p270:32:32";
  host.cpu = "znver4";
  host.pointer_bits = 64;
  host.devices = {"cpu"};
  host.llvm_version = "22.1.8";
  return host;
}

wire::FunctionInfo Function() {
  wire::FunctionInfo info;
  info.function_id = 0x1234567800000002;
  info.symbol = "add";
  info.signature = "float64(float64, float64)";
  info.abi = wire::Abi::Sysv;
  info.frame_size = 16;
  info.result_size = 8;
  return info;
}

wire::FarmError FullError() {
  wire::FarmError error;
  error.kind = wire::ErrorKind::RemoteCrash;
  error.message = "add crashed";
  error.__set_role("execution worker");
  error.__set_function_name("add");
  error.__set_cause("stack overflow");
  error.__set_address("farm:1");
  error.__set_output("hello\n");
  error.__set_signal(11);
  error.__set_may_have_run(true);
  error.__set_retry_safe(false);
  error.__set_retry_after_ms(20);
  wire::Diagnostic diagnostic;
  diagnostic.severity = wire::Severity::Warning;
  diagnostic.message = "unused";
  diagnostic.line = 3;
  diagnostic.column = 5;
  diagnostic.source_line = "define";
  error.__set_diagnostics({diagnostic});
  return error;
}

// 1.5 and 2.
std::string TwoNumbers() { return std::string("\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\0\x40", 16); }

wire::CallRequest SomeCall() {
  wire::CallRequest call;
  call.request_id = 5;
  call.function_id = 0x1234567800000002;
  call.frame = TwoNumbers();
  call.__set_deadline_ms(1000);
  call.__set_out_bytes(32);
  call.__set_return_from(16);
  return call;
}

wire::CallReply SomeReply() {
  wire::CallReply reply;
  reply.result = std::string("\0\0\0\0\0\0\x0c\x40", 8);
  reply.__set_status(3);
  reply.__set_data("data");
  reply.__set_output("printed");
  return reply;
}

TEST(Golden, SessionMethods) {
  wire::Farm_hello_args hello;
  hello.request.protocol_major = 1;
  hello.request.protocol_minor = 0;
  hello.request.client = "librbc 0.1.0";
  hello.request.__set_token("token");
  hello.request.__set_name_space("default");
  Request("hello", hello);
  wire::HelloReply session;
  session.protocol_major = 1;
  session.farm_id = "0123456789abcdef0123456789abcdef";
  session.session_id = 42;
  session.secret = "0123456789abcdef";
  session.lease_ms = 900'000;
  session.farm_version = "0.1.0";
  session.llvm_version = "22.1.8";
  session.targets = {Host()};
  session.max_message = 64 << 20;
  wire::Farm_hello_result hello_result;
  Succeed(&hello_result, session);
  Reply("hello", hello_result);
  wire::Farm_attach_args attach;
  attach.request.session_id = 42;
  attach.request.secret = session.secret;
  attach.request.farm_id = session.farm_id;
  Request("attach", attach);
  wire::Farm_attach_result attach_result;
  Succeed(&attach_result, session);
  Reply("attach", attach_result);
  Request("bye", wire::Farm_bye_args());
  Reply("bye", wire::Farm_bye_result());
  Request("targets", wire::Farm_targets_args());
  wire::Farm_targets_result targets;
  Succeed(&targets, std::vector<wire::TargetInfo>{Host()});
  Reply("targets", targets);
}

TEST(Golden, ModuleMethods) {
  wire::Farm_compile_args compile;
  compile.request = MakeRequest("define double @f(double %x) { ret double %x }");
  compile.request.request_id = 9;
  compile.request.deadline_ms = 5000;
  compile.request.recache = true;
  Request("compile", compile);
  wire::CompileReply module;
  module.handle = compile.request.handle;
  module.module_id = 77;
  module.functions = {Function()};
  module.cached = true;
  module.warnings = FullError().diagnostics;
  wire::Timing timing;
  timing.phase = "parse";
  timing.us = 120;
  module.timings = {timing};
  module.stateful = true;
  wire::Farm_compile_result compile_result;
  Succeed(&compile_result, module);
  Reply("compile", compile_result);
  module.functions[0].signature = "void(float64[::1], float64[::1])";
  module.functions[0].__set_read_only({0});
  Succeed(&compile_result, module);
  Check("compile_1_4.reply", "compile", apache::thrift::protocol::T_REPLY, compile_result);
  wire::Farm_emit_args emit;
  emit.request.request_id = 10;
  emit.request.target = "host";
  emit.request.functions = compile.request.functions;
  emit.request.ir = "ir";
  emit.request.emit = wire::Emit::Assembly;
  emit.request.deadline_ms = 1;
  Request("emit", emit);
  wire::Farm_emit_result emit_result;
  wire::EmitReply code;
  code.code = "ret";
  code.timings = module.timings;
  Succeed(&emit_result, code);
  Reply("emit", emit_result);
  wire::Farm_unload_args unload;
  unload.module_id = 77;
  Request("unload", unload);
  Reply("unload", wire::Farm_unload_result());
  wire::Farm_get_ir_args get_ir;
  get_ir.module_id = 77;
  Request("get_ir", get_ir);
  wire::Farm_get_ir_result ir;
  Succeed(&ir, "define");
  Reply("get_ir", ir);
}

TEST(Golden, CallMethods) {
  wire::Farm_call_args call;
  call.request = SomeCall();
  Request("call", call);
  wire::FrameBuffer there;
  there.position = 16;
  there.buffer = 77;
  there.offset = 8;
  call.request.__set_buffers({there});
  Check("call_1_4.request", "call", apache::thrift::protocol::T_CALL, call);
  wire::Farm_call_result result;
  Succeed(&result, SomeReply());
  Reply("call", result);
  wire::Farm_call_result failed;
  failed.error = FullError();
  failed.__isset.error = true;
  Check("error.reply", "call", apache::thrift::protocol::T_REPLY, failed);
  wire::Farm_call_batch_args batch;
  batch.requests = {SomeCall(), SomeCall()};
  Request("call_batch", batch);
  wire::Farm_call_batch_result outcomes;
  wire::CallOutcome good, bad;
  good.__set_reply(SomeReply());
  bad.__set_error(FullError());
  Succeed(&outcomes, std::vector<wire::CallOutcome>{good, bad});
  Reply("call_batch", outcomes);
  wire::Farm_cancel_args cancel;
  cancel.request_id = 5;
  Request("cancel", cancel);
  wire::Farm_cancel_result cancelled;
  Succeed(&cancelled, true);
  Reply("cancel", cancelled);
  wire::Farm_outcome_args outcome;
  outcome.request_id = 5;
  Request("outcome", outcome);
  wire::Farm_outcome_result told;
  Succeed(&told, bad);
  Reply("outcome", told);
}

TEST(Golden, CallsThatKeepTheirArrays) {
  wire::Farm_call_args call;
  call.request = SomeCall();
  call.request.__set_keep("kept");
  Check("call_kept_1_4.request", "call", apache::thrift::protocol::T_CALL, call);
  wire::BufferInfo kept;
  kept.id = 77;
  kept.name = "kept";
  kept.dtype = "float64";
  kept.shape = {2, 3};
  kept.strides = {24, 8};
  kept.offset = 4096;
  kept.bytes = 48;
  wire::CallReply reply = SomeReply();
  reply.__set_kept({kept});
  wire::Farm_call_result result;
  Succeed(&result, reply);
  Check("call_kept_1_4.reply", "call", apache::thrift::protocol::T_REPLY, result);
}

wire::ArrayRef InMessage() {
  wire::ArrayRef array;
  array.dtype = "float64";
  array.shape = {2};
  array.strides = {8};
  array.__set_data(TwoNumbers());
  return array;
}
wire::ArrayRef InBuffer() {
  wire::ArrayRef array;
  array.dtype = "float64";
  array.shape = {2};
  array.strides = {8};
  array.__set_buffer(7);
  array.offset = 64;
  return array;
}

TEST(Golden, MapsOfArrays) {
  wire::ArrayRef mask = InMessage();
  mask.dtype = "bool";
  mask.strides = {1};
  mask.data = std::string("\0\1", 2);
  wire::Farm_map_arrays_args map;
  map.request.request_id = 5;
  map.request.function_id = 0x1234567800000002;
  map.request.inputs = {InMessage(), InBuffer()};
  map.request.__set_into(InBuffer());
  map.request.__set_where(mask);
  map.request.accuracy = wire::MathAccuracy::Precise;
  map.request.__set_deadline_ms(1000);
  Request("map_arrays", map);
  wire::ArrayReply mapped;
  mapped.result = InBuffer();
  mapped.__set_status(3);
  mapped.__set_row(1);
  mapped.__set_output("printed");
  wire::Farm_map_arrays_result map_result;
  Succeed(&map_result, mapped);
  Reply("map_arrays", map_result);
  map.request.__set_ready(true);
  Check("map_arrays_1_4.request", "map_arrays", apache::thrift::protocol::T_CALL, map);
  wire::ReadyCall ready;
  ready.function_id = 0x1234567800000003;
  ready.frame = std::string("frame\0", 6);
  mapped.__set_ready(ready);
  Succeed(&map_result, mapped);
  Check("map_arrays_1_4.reply", "map_arrays", apache::thrift::protocol::T_REPLY, map_result);
}

TEST(Golden, ReductionsAndScansOfArrays) {
  wire::Farm_reduce_array_args reduce;
  reduce.request.request_id = 6;
  reduce.request.function_id = 0x1234567800000002;
  reduce.request.input = InBuffer();
  reduce.request.__set_axis(-1);
  reduce.request.__set_identity(std::string(8, '\0'));
  reduce.request.ordered = true;
  Request("reduce_array", reduce);
  wire::ArrayReply reduced;
  reduced.result = InMessage();
  wire::Farm_reduce_array_result reduce_result;
  Succeed(&reduce_result, reduced);
  Reply("reduce_array", reduce_result);
  wire::Farm_scan_array_args scan;
  scan.request.request_id = 7;
  scan.request.function_id = 0x1234567800000002;
  scan.request.input = InMessage();
  scan.request.__set_into(InBuffer());
  Request("scan_array", scan);
  wire::ArrayReply scanned;
  scanned.result = InBuffer();
  wire::Farm_scan_array_result scan_result;
  Succeed(&scan_result, scanned);
  Reply("scan_array", scan_result);
}

TEST(Golden, Chain) {
  wire::Farm_chain_args chain;
  chain.request.request_id = 8;
  chain.request.__set_deadline_ms(1000);
  wire::ArrayRef made;
  made.__set_step(0);
  wire::ArrayRef one;
  one.dtype = "float64";
  one.__set_buffer(77);
  wire::ChainStep map;
  map.map_arrays.function_id = 0x1234567800000002;
  map.map_arrays.inputs = {one, made};
  map.map_arrays.__set_keep("sum");
  map.map_arrays.__set_profile(true);
  map.__isset.map_arrays = true;
  wire::ChainStep reduce;
  reduce.reduce_array.function_id = 0x1234567800000002;
  reduce.reduce_array.input = made;
  reduce.reduce_array.__set_profile(true);
  reduce.__isset.reduce_array = true;
  reduce.__set_drop(true);
  chain.request.steps = {map, reduce};
  Request("chain", chain);
  wire::ChainStep call;
  call.__set_call(SomeCall());
  wire::FrameBuffer of_step;
  of_step.position = 16;
  of_step.__set_step(0);
  call.call.__set_buffers({of_step});
  chain.request.steps = {map, call};
  Check("chain_1_4.request", "chain", apache::thrift::protocol::T_CALL, chain);
  wire::ArrayReply array;
  array.result = one;
  array.__set_compile_ns(1);
  array.__set_queue_ns(2);
  array.__set_upload_ns(3);
  array.__set_kernel_ns(4);
  array.__set_download_ns(5);
  wire::BufferInfo kept;
  kept.id = 78;
  kept.name = "sum";
  kept.dtype = "float64";
  kept.shape = {3};
  kept.strides = {8};
  kept.offset = 4096;
  kept.bytes = 24;
  array.__set_kept(kept);
  wire::ChainOutcome good;
  good.__set_array(array);
  wire::FarmError failed;
  failed.kind = wire::ErrorKind::BufferLost;
  failed.message = "buffer 77 is lost";
  wire::ChainOutcome bad;
  bad.__set_error(failed);
  wire::Farm_chain_result result;
  Succeed(&result, std::vector<wire::ChainOutcome>{good, bad});
  Reply("chain", result);
}

TEST(Golden, MapsOfRows) {
  wire::Column column;
  column.dtype = "float64";
  column.data = TwoNumbers();
  column.stride = 8;
  wire::Farm_map_rows_args map;
  map.request.request_id = 5;
  map.request.function_id = 0x1234567800000002;
  map.request.rows = 2;
  map.request.columns = {column, column};
  map.request.__set_deadline_ms(1000);
  Request("map_rows", map);
  wire::MapReply rows;
  rows.result = column;
  rows.__set_status(3);
  rows.__set_row(1);
  rows.__set_output("printed");
  wire::Farm_map_rows_result map_result;
  Succeed(&map_result, rows);
  Reply("map_rows", map_result);
}

TEST(Golden, Launches) {
  wire::Farm_launch_args launch;
  launch.request.request_id = 6;
  launch.request.function_id = 0x1234567800000002;
  launch.request.grid = {4, 2};
  launch.request.block = {128};
  launch.request.shared_bytes = 1024;
  launch.request.frame = TwoNumbers();
  launch.request.__set_deadline_ms(1000);
  launch.request.__set_out_bytes(32);
  launch.request.__set_return_from(16);
  Request("launch", launch);
  wire::FrameBuffer there;
  there.position = 8;
  there.buffer = 77;
  there.offset = 24;
  launch.request.__set_buffers({there});
  Check("launch_1_4.request", "launch", apache::thrift::protocol::T_CALL, launch);
  wire::Farm_launch_result launch_result;
  Succeed(&launch_result, SomeReply());
  Reply("launch", launch_result);
  launch.request.__set_ready(true);
  Check("launch_again_1_4.request", "launch", apache::thrift::protocol::T_CALL, launch);
  wire::CallReply launched = SomeReply();
  wire::ReadyCall ready;
  ready.function_id = launch.request.function_id;
  ready.frame = std::string("frame\0", 6);
  launched.__set_ready(ready);
  Succeed(&launch_result, launched);
  Check("launch_again_1_4.reply", "launch", apache::thrift::protocol::T_REPLY, launch_result);
}

TEST(Golden, TargetsWithDevices) {
  wire::TargetInfo gpu = Host();
  wire::DeviceInfo device;
  device.number = 1;
  device.name = "NVIDIA H200";
  device.uuid = "GPU-a1a1a1a1-a1a1-a1a1-a1a1-a1a1a1a1a1a1";
  device.sm = 90;
  device.memory = int64_t{141} << 30;
  device.free_memory = int64_t{140} << 30;
  device.driver = "12.8";
  device.contexts = 2;
  device.max_contexts = 16;
  gpu.__set_device_infos({device});
  wire::Farm_targets_result targets;
  Succeed(&targets, std::vector<wire::TargetInfo>{gpu});
  Check("targets_1_1.reply", "targets", apache::thrift::protocol::T_REPLY, targets);
}

TEST(Golden, NameAndStatusMethods) {
  wire::Farm_publish_args publish;
  publish.request.module_id = 77;
  publish.request.function_id = 5;
  publish.request.name = "add";
  publish.request.__set_expires_ms(1000);
  Request("publish", publish);
  Reply("publish", wire::Farm_publish_result());
  wire::Farm_withdraw_args withdraw;
  withdraw.name = "add";
  Request("withdraw", withdraw);
  Reply("withdraw", wire::Farm_withdraw_result());
  wire::Farm_lookup_args lookup;
  lookup.name = "add";
  Request("lookup", lookup);
  wire::PublishedFunction found;
  found.name = "add";
  found.owner = "uid:1000";
  found.info = Function();
  found.handle = std::string(32, 'h');
  found.target = "host";
  found.module_id = 77;
  wire::Farm_lookup_result lookup_result;
  Succeed(&lookup_result, found);
  Reply("lookup", lookup_result);
  Request("status", wire::Farm_status_args());
  wire::FarmStatus state;
  state.farm_id = "id";
  state.farm_version = "0.1.0";
  state.llvm_version = "22.1.8";
  state.pid = 99;
  state.uptime_ms = 1234;
  state.json = "{}";
  wire::Farm_status_result status;
  Succeed(&status, state);
  Reply("status", status);
}

TEST(Golden, RingMethods) {
  wire::Farm_ring_args ask;
  ask.function_id = 5;
  Request("ring", ask);
  wire::RingReply shared;
  shared.layout = 1;
  shared.size = 1130496;
  shared.lanes = 16;
  shared.lane = 9;
  wire::Farm_ring_result ring;
  Succeed(&ring, shared);
  Reply("ring", ring);
  Request("ring_reply", wire::Farm_ring_reply_args());
  wire::Farm_ring_reply_result reply;
  Succeed(&reply, std::string("framed"));
  Reply("ring_reply", reply);
}

TEST(Golden, BufferMethods) {
  wire::Farm_buffer_create_args create;
  create.spec.dtype = "float64";
  create.spec.shape = {3, 4};
  create.spec.fortran = true;
  create.spec.__set_name("prices");
  Request("buffer_create", create);
  wire::BufferInfo info;
  info.id = 77;
  info.name = "prices";
  info.dtype = "float64";
  info.shape = {3, 4};
  info.strides = {8, 24};
  info.offset = 4096;
  info.bytes = 96;
  wire::Farm_buffer_create_result created;
  Succeed(&created, info);
  Reply("buffer_create", created);
  wire::Farm_buffer_info_args ask;
  ask.id = 77;
  Request("buffer_info", ask);
  wire::Farm_buffer_info_result told;
  Succeed(&told, info);
  Reply("buffer_info", told);
  Request("buffers", wire::Farm_buffers_args());
  wire::Farm_buffers_result list;
  Succeed(&list, std::vector<wire::BufferInfo>{info, info});
  Reply("buffers", list);
  wire::Farm_buffer_free_args free;
  free.id = 77;
  Request("buffer_free", free);
  Reply("buffer_free", wire::Farm_buffer_free_result());
  wire::Farm_buffer_copy_args copy;
  copy.source.dtype = copy.destination.dtype = "float64";
  copy.source.shape = copy.destination.shape = {2, 3};
  copy.source.strides = {24, 8};
  copy.destination.strides = {8, 16};
  copy.source.__set_buffer(77);
  copy.destination.__set_buffer(78);
  copy.destination.offset = 32;
  Request("buffer_copy", copy);
  Reply("buffer_copy", wire::Farm_buffer_copy_result());
}

TEST(Golden, BuffersOnDevices) {
  wire::Farm_buffer_create_args on_device;
  on_device.spec.dtype = "float32";
  on_device.spec.shape = {4};
  on_device.spec.__set_target("cuda:1");
  Check("buffer_create_1_3.request", "buffer_create", apache::thrift::protocol::T_CALL, on_device);
  wire::BufferInfo lies_there;
  lies_there.id = 78;
  lies_there.dtype = "float32";
  lies_there.shape = {4};
  lies_there.strides = {4};
  lies_there.bytes = 16;
  lies_there.__set_target("cuda:1");
  wire::Farm_buffer_create_result created_there;
  Succeed(&created_there, lies_there);
  Check("buffer_create_1_3.reply", "buffer_create", apache::thrift::protocol::T_REPLY, created_there);
}

TEST(Golden, ArraysTheFarmHasAlready) {
  wire::Farm_buffer_recall_args recall;
  recall.id = 77;
  recall.digest = std::string(32, '\x5a');
  Request("buffer_recall", recall);
  wire::Farm_buffer_recall_result recalled;
  Succeed(&recalled, true);
  Reply("buffer_recall", recalled);
}

TEST(Golden, Arena) {
  Request("arena", wire::Farm_arena_args());
  wire::ArenaReply shared;
  shared.size = int64_t{4} << 30;
  wire::Farm_arena_result arena;
  Succeed(&arena, shared);
  Reply("arena", arena);
}

// The handle is part of the protocol too: clients compute it.
TEST(Golden, Handle) {
  const auto request = MakeRequest("define double @f(double %x) { ret double %x }");
  EXPECT_EQ(ToHex(request.handle), Golden("handle", request.handle));
}

class GoldenFarmTest : public FarmTest {};

// Recorded requests, byte for byte, against a farm of today.
TEST_F(GoldenFarmTest, RecordedRequestsAreUnderstood) {
  StartFarm();
  const int fd = RawConnect(unix_address_);
  for (const char* name : {"hello", "compile", "targets", "call", "call_batch", "emit", "cancel", "status", "bye"}) {
    const auto bytes = FromHex(Golden(std::string(name) + ".request", ""));
    ASSERT_FALSE(bytes.empty()) << name;
    ASSERT_EQ(send(fd, bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
    const auto reply = ReadFrame(fd);
    ASSERT_FALSE(reply.empty()) << name;
    EXPECT_EQ(SequenceOf(reply), 7);
    // Field 0 is the success, 1 the error; the calls are of a function that is not there. bye has neither.
    const size_t at = 4 + 4 + 4 + std::string(name).size() + 4;
    if (std::string(name) == "bye") {
      EXPECT_EQ(reply[at], 0);
    } else {
      EXPECT_EQ(reply[at + 2], std::string(name) == "call" ? 1 : 0) << name;
    }
  }
  close(fd);
}

}  // namespace
}  // namespace rbc::server::testing
