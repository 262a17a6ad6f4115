// Replies that are made without the generated processor.
// SPDX-License-Identifier: Apache-2.0
#include "server/wire_reply.h"

#include <thrift/protocol/TBinaryProtocol.h>

#include <algorithm>
#include <cstring>

#include "base/thrift_binary.h"
#include "gen/Farm.h"
#include "server/frame_writer.h"
#include "server/strict_reader.h"
#include "thrift/error_wire.h"

namespace rbc::server {
namespace {

using apache::thrift::protocol::TBinaryProtocol;
using apache::thrift::protocol::TMessageType;
using apache::thrift::protocol::TType;

constexpr size_t kLongestMethod = 64;

uint32_t BigEndianAt(std::string_view bytes, size_t at) {
  uint32_t word;
  std::memcpy(&word, bytes.data() + at, sizeof word);
  return __builtin_bswap32(word);
}

// A worker may send any number.
void CheckEnums(wire::FarmError* error) {
  const int32_t kind = NumberOf(error->kind);
  if (kind < wire::ErrorKind::InvalidArgument || kind > wire::ErrorKind::Internal)
    error->kind = wire::ErrorKind::Internal;
  for (auto& diagnostic : error->diagnostics) {
    const int32_t severity = NumberOf(diagnostic.severity);
    if (severity < wire::Severity::Error || severity > wire::Severity::Note)
      diagnostic.severity = wire::Severity::Error;
  }
}

}  // namespace

std::string RefusalTo(std::string_view framed, const Error& error) {
  // Length, version and type, then the method's name with its length, then the sequence id.
  constexpr size_t kNameAt = 12;
  if (framed.size() < kNameAt || (BigEndianAt(framed, 4) & thrift_binary::kVersionMask) != thrift_binary::kVersion)
    return "";
  const size_t name = BigEndianAt(framed, 8);
  if (name > kLongestMethod || framed.size() < kNameAt + name + 4) return "";
  const auto out = std::make_shared<FrameWriter>();
  TBinaryProtocol protocol(out);
  protocol.writeMessageBegin(std::string(framed.substr(kNameAt, name)), TMessageType::T_REPLY,
                             static_cast<int32_t>(BigEndianAt(framed, kNameAt + name)));
  protocol.writeStructBegin("result");
  protocol.writeFieldBegin("error", TType::T_STRUCT, 1);
  ToWire(error).write(&protocol);
  protocol.writeFieldEnd();
  protocol.writeFieldStop();
  protocol.writeStructEnd();
  protocol.writeMessageEnd();
  return out->Take();
}

std::string FrameCall(const wire::CallRequest& request) {
  const auto out = std::make_shared<FrameWriter>();
  TBinaryProtocol protocol(out);
  protocol.writeMessageBegin("call", TMessageType::T_CALL, 0);
  wire::Farm_call_pargs arguments;
  arguments.request = &request;
  arguments.write(&protocol);
  protocol.writeMessageEnd();
  return out->Take();
}

Expected<wire::CallOutcome> ParseCallReply(const std::string& framed, const FarmConfig& config) try {
  constexpr std::string_view kReplyHead("\x80\x01\x00\x02", 4);
  const auto message = std::string_view(framed).substr(std::min<size_t>(4, framed.size()));
  if (message.substr(0, kReplyHead.size()) != kReplyHead)
    return {ErrorKind::kInternal, "the execution worker's reply is malformed"};
  StrictReader protocol(message, config);
  std::string name;
  TMessageType type;
  int32_t sequence;
  protocol.readMessageBegin(name, type, sequence);
  wire::CallOutcome outcome;
  wire::Farm_call_result result;
  result.read(&protocol);
  CheckEnums(&result.error);
  outcome.reply = std::move(result.success);
  outcome.__isset.reply = result.__isset.success;
  outcome.error = std::move(result.error);
  outcome.__isset.error = result.__isset.error;
  if (outcome.__isset.reply == outcome.__isset.error)
    return {ErrorKind::kInternal, "the execution worker's reply is malformed"};
  return outcome;
} catch (const std::exception&) {
  return {ErrorKind::kInternal, "the execution worker's reply is malformed"};
}

std::string WithQueueTime(std::string framed, std::chrono::nanoseconds in_farm, const FarmConfig& config) {
  auto outcome = ParseCallReply(framed, config);
  if (!outcome || !outcome->__isset.reply) return framed;
  wire::CallReply& reply = outcome->reply;
  int64_t left = in_farm.count();
  for (const int64_t told : {reply.upload_ns, reply.kernel_ns, reply.download_ns})
    left -= std::clamp<int64_t>(told, 0, left);
  reply.__set_queue_ns(left);
  const auto out = std::make_shared<FrameWriter>();
  TBinaryProtocol protocol(out);
  constexpr size_t kSequenceAt = 4 + 4 + 4 + 4;  // length, version, the name's length, "call"
  protocol.writeMessageBegin("call", TMessageType::T_REPLY, static_cast<int32_t>(BigEndianAt(framed, kSequenceAt)));
  wire::Farm_call_result result;
  result.success = std::move(reply);
  result.__isset.success = true;
  result.write(&protocol);
  protocol.writeMessageEnd();
  return out->Take();
}

}  // namespace rbc::server
