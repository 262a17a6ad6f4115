// The bytes of `call`. tests/client/call_codec_test.cc holds them against the generated code, both ways.
// SPDX-License-Identifier: Apache-2.0
#include "client/src/call_codec.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "base/thrift_binary.h"

namespace rbc::client {
namespace {

using namespace thrift_binary;

constexpr std::string_view kMethod = "call";
constexpr std::string_view kBatchMethod = "call_batch";
// Of the longest message its length, head, field and stop.
constexpr size_t kMostAround = 4 + 12 + kBatchMethod.size() + 3 + 5 + 1;
// Everything of the longest request but its frame and buffers: six scalar fields, the heads of both, the stop.
constexpr size_t kMostOverhead = 2 * 11 + 3 * 7 + 7 + 4 + 8 + 1;
constexpr size_t kBufferBytes = 7 + 2 * 11 + 1;
constexpr int kDepth = 16;

char* Put32(char* p, uint32_t value) {
  value = __builtin_bswap32(value);
  std::memcpy(p, &value, 4);
  return p + 4;
}
char* Put64(char* p, uint64_t value) {
  value = __builtin_bswap64(value);
  std::memcpy(p, &value, 8);
  return p + 8;
}
char* PutField(char* p, Type type, uint8_t id) {
  p[0] = static_cast<char>(type);
  p[1] = 0;
  p[2] = static_cast<char>(id);
  return p + 3;
}
char* PutI64(char* p, uint8_t id, int64_t value) { return Put64(PutField(p, kI64, id), static_cast<uint64_t>(value)); }
char* PutI32(char* p, uint8_t id, int32_t value) { return Put32(PutField(p, kI32, id), static_cast<uint32_t>(value)); }

char* PutBuffers(char* p, std::span<const CallBuffer> buffers) {
  p = PutField(p, kList, 8);
  *p++ = static_cast<char>(kStruct);
  p = Put32(p, static_cast<uint32_t>(buffers.size()));
  for (const CallBuffer& buffer : buffers) {
    p = PutI64(PutI64(PutI32(p, 1, buffer.position), 2, buffer.buffer), 3, buffer.offset);
    *p++ = kStop;
  }
  return p;
}

size_t MostBytes(const CallMessage& call) {
  return call.frame.size() + call.buffers.size() * kBufferBytes + kMostOverhead;
}

char* PutHead(char* p, std::string_view method, int32_t sequence) {
  p = Put32(p, kVersion | kCall);
  p = Put32(p, static_cast<uint32_t>(method.size()));
  std::memcpy(p, method.data(), method.size());
  return Put32(p + method.size(), static_cast<uint32_t>(sequence));
}

// The fields of a CallRequest and their stop.
char* PutCall(char* p, const CallMessage& call) {
  p = PutI64(p, 1, call.request_id);
  p = PutI64(p, 2, call.function_id);
  p = Put32(PutField(p, kString, 3), static_cast<uint32_t>(call.frame.size()));
  if (!call.frame.empty()) std::memcpy(p, call.frame.data(), call.frame.size());
  p += call.frame.size();
  if (call.deadline_ms > 0) p = PutI32(p, 4, call.deadline_ms);
  if (call.out_bytes > 0) p = PutI32(p, 5, call.out_bytes);
  if (call.return_from >= 0) p = PutI32(p, 6, call.return_from);
  if (call.profile) {
    p = PutField(p, kBool, 7);
    *p++ = 1;
  }
  if (!call.buffers.empty()) p = PutBuffers(p, call.buffers);
  *p++ = kStop;
  return p;
}

// The end of a message that begins with `out`.
void Finish(char* p, std::string& out) {
  *p++ = kStop;
  Put32(out.data(), static_cast<uint32_t>(p - out.data() - 4));
  out.resize(static_cast<size_t>(p - out.data()));
}

// Walks over a message. After the first read past the end ok() is false and every read gives 0 or an empty view.
class Cursor {
 public:
  explicit Cursor(std::string_view in) : in_(in) {}
  uint8_t Get8() { return static_cast<uint8_t>(*Take(1)); }
  uint16_t Get16() {
    uint16_t value;
    std::memcpy(&value, Take(2), 2);
    return __builtin_bswap16(value);
  }
  uint32_t Get32() {
    uint32_t value;
    std::memcpy(&value, Take(4), 4);
    return __builtin_bswap32(value);
  }
  uint64_t Get64() {
    uint64_t value;
    std::memcpy(&value, Take(8), 8);
    return __builtin_bswap64(value);
  }
  std::string_view GetString() {
    const uint32_t size = Get32();
    if (size > in_.size()) Fail();
    const auto bytes = in_.substr(0, ok_ ? size : 0);
    in_.remove_prefix(bytes.size());
    return bytes;
  }
  // The header of the next field; kStop at the end of a struct or of the bytes.
  Type GetField(uint16_t& id) {
    const auto type = static_cast<Type>(Get8());
    id = type == kStop ? 0 : Get16();
    return ok_ ? type : kStop;
  }
  void Skip(Type type, int depth = kDepth) {
    if (depth == 0) return Fail();
    switch (type) {
      case kBool:
      case kByte:
        return SkipBytes(1);
      case kI16:
        return SkipBytes(2);
      case kI32:
        return SkipBytes(4);
      case kDouble:
      case kI64:
        return SkipBytes(8);
      case kString:
        GetString();
        return;
      case kStruct:
        return SkipStruct(depth);
      case kList:
      case kSet:
        return SkipElements(static_cast<Type>(Get8()), kStop, depth);
      case kMap: {
        const auto key = static_cast<Type>(Get8());
        return SkipElements(key, static_cast<Type>(Get8()), depth);
      }
      default:
        return Fail();
    }
  }
  void Fail() {
    ok_ = false;
    in_ = {};
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && in_.empty(); }
  // Elements of at least one byte that can still follow.
  size_t left() const { return in_.size(); }

 private:
  const char* Take(size_t size) {
    static constexpr char kZeros[8] = {};
    if (in_.size() < size) {
      Fail();
      return kZeros;
    }
    const char* p = in_.data();
    in_.remove_prefix(size);
    return p;
  }
  void SkipBytes(size_t size) {
    if (in_.size() < size) return Fail();
    in_.remove_prefix(size);
  }
  void SkipStruct(int depth) {
    uint16_t id;
    for (Type type = GetField(id); type != kStop; type = GetField(id)) Skip(type, depth - 1);
  }
  void SkipElements(Type first, Type second, int depth) {
    const uint32_t count = Get32();
    if (count > in_.size()) return Fail();  // every element takes a byte or more
    for (uint32_t i = 0; i < count && ok_; ++i) {
      Skip(first, depth - 1);
      if (second != kStop) Skip(second, depth - 1);
    }
  }

  std::string_view in_;
  bool ok_ = true;
};

// Calls read(id, type) for each field of a struct; a field that it does not take (false) is skipped.
template <typename Read>
void ReadStruct(Cursor& in, Read read) {
  uint16_t id;
  for (Type type = in.GetField(id); type != kStop; type = in.GetField(id))
    if (!read(id, type)) in.Skip(type);
}

void ReadReply(Cursor& in, CallAnswer& answer) {
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id == 1 && type == kString) return answer.result = in.GetString(), true;
    if (id == 2 && type == kI32) return answer.status = static_cast<int32_t>(in.Get32()), true;
    if (id == 3 && type == kString) return answer.data = in.GetString(), true;
    if (id == 4 && type == kString) return answer.output = in.GetString(), true;
    if (type != kI64) return false;
    if (id == 5) return answer.times.queue = static_cast<int64_t>(in.Get64()), true;
    if (id == 6) return answer.times.upload = static_cast<int64_t>(in.Get64()), true;
    if (id == 7) return answer.times.kernel = static_cast<int64_t>(in.Get64()), true;
    if (id == 8) return answer.times.download = static_cast<int64_t>(in.Get64()), true;
    return false;
  });
}

Diagnostic ReadDiagnostic(Cursor& in) {
  Diagnostic out;
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id == 1 && type == kI32) return out.severity = static_cast<Severity>(std::min(in.Get32(), 3u)), true;
    if (id == 2 && type == kString) return out.message = in.GetString(), true;
    if (id == 3 && type == kI32) return out.line = in.Get32(), true;
    if (id == 4 && type == kI32) return out.column = in.Get32(), true;
    if (id == 5 && type == kString) return out.source_line = in.GetString(), true;
    return false;
  });
  return out;
}

void ReadDiagnostics(Cursor& in, std::vector<Diagnostic>& out) {
  const auto element = static_cast<Type>(in.Get8());
  const uint32_t count = in.Get32();
  if (element != kStruct || count > in.left()) return in.Fail();
  for (uint32_t i = 0; i < count && in.ok(); ++i) out.push_back(ReadDiagnostic(in));
}

std::unique_ptr<Error> ReadError(Cursor& in) {
  auto out = std::make_unique<Error>();
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id == 1 && type == kI32) return out->kind = ErrorKindFromNumber(static_cast<int32_t>(in.Get32())), true;
    if (id == 2 && type == kString) return out->message = in.GetString(), true;
    if (id == 3 && type == kString) return out->role = in.GetString(), true;
    if (id == 4 && type == kString) return out->function = in.GetString(), true;
    if (id == 5 && type == kString) return out->cause = in.GetString(), true;
    if (id == 6 && type == kString) return out->address = in.GetString(), true;
    if (id == 7 && type == kString) return out->output = in.GetString(), true;
    if (id == 8 && type == kI32) return out->signal = static_cast<int32_t>(in.Get32()), true;
    if (id == 9 && type == kBool) return out->may_have_run = in.Get8() != 0, true;
    if (id == 10 && type == kBool) return out->retry_safe = in.Get8() != 0, true;
    if (id == 11 && type == kI64) return out->retry_after_ms = static_cast<int64_t>(in.Get64()), true;
    if (id == 12 && type == kList) return ReadDiagnostics(in, out->diagnostics), true;
    return false;
  });
  return out;
}

Error Mismatch(std::string_view what) {
  return Error(ErrorKind::kProtocolMismatch,
               fmt::format("the farm's answer to a call {}; update the older of the two sides", what));
}

// What a Thrift server says of a message that it cannot serve.
Error ReadApplicationException(Cursor& in) {
  std::string text;
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id == 1 && type == kString) return text = in.GetString(), true;
    return false;
  });
  return Mismatch(fmt::format("is '{}'", text));
}

// The head of a reply to `method`, and what a server says that does not know it.
Status ReadHead(Cursor& in, std::string_view wanted, int32_t sequence) {
  const uint32_t head = in.Get32();
  const std::string_view method = in.GetString();
  const auto number = static_cast<int32_t>(in.Get32());
  if (!in.ok() || (head & kVersionMask) != kVersion) return Mismatch("is no message of the protocol");
  if (method != wanted || number != sequence) return Mismatch("belongs to another request");
  const uint32_t kind = head & 0xff;
  if (kind == kException) return ReadApplicationException(in);
  if (kind != kReply) return Mismatch("is no reply");
  return {};
}

CallAnswer ReadOutcome(Cursor& in) {
  CallAnswer answer;
  bool answered = false;
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id < 1 || id > 2 || type != kStruct) return false;
    answered = true;
    if (id == 1) return ReadReply(in, answer), true;
    return answer.error = ReadError(in), true;
  });
  if (!answered) in.Fail();
  return answer;
}

bool ReadOutcomes(Cursor& in, std::vector<CallAnswer>& out) {
  const auto element = static_cast<Type>(in.Get8());
  const uint32_t count = in.Get32();
  if (element != kStruct || count > in.left()) return in.Fail(), true;
  for (uint32_t i = 0; i < count && in.ok(); ++i) out.push_back(ReadOutcome(in));
  return true;
}

}  // namespace

void EncodeCall(const CallMessage& call, int32_t sequence, std::string& out) {
  const size_t most = MostBytes(call) + kMostAround;
  if (out.size() < most) out.resize(most);
  char* const p = PutCall(PutField(PutHead(out.data() + 4, kMethod, sequence), kStruct, 1), call);
  Finish(p, out);
}

void EncodeBatch(std::span<const CallMessage> calls, int32_t sequence, std::string& out) {
  size_t most = kMostAround;
  for (const CallMessage& call : calls) most += MostBytes(call);
  if (out.size() < most) out.resize(most);
  char* p = PutField(PutHead(out.data() + 4, kBatchMethod, sequence), kList, 1);
  *p++ = static_cast<char>(kStruct);
  p = Put32(p, static_cast<uint32_t>(calls.size()));
  for (const CallMessage& call : calls) p = PutCall(p, call);
  Finish(p, out);
}

Expected<CallAnswer> DecodeCallReply(std::string_view message, int32_t sequence) {
  Cursor in(message);
  RBC_RETURN_IF_ERROR(ReadHead(in, kMethod, sequence));
  CallAnswer answer;
  bool answered = false;
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id > 1 || type != kStruct) return false;
    answered = true;
    if (id == 0) return ReadReply(in, answer), true;
    return answer.error = ReadError(in), true;
  });
  if (!in.AtEnd() || !answered) return Mismatch("is cut short or holds no result");
  return answer;
}

Expected<BatchAnswer> DecodeBatchReply(std::string_view message, int32_t sequence) {
  Cursor in(message);
  RBC_RETURN_IF_ERROR(ReadHead(in, kBatchMethod, sequence));
  BatchAnswer answer;
  bool answered = false;
  ReadStruct(in, [&](uint16_t id, Type type) {
    if (id == 0 && type == kList) return answered = true, ReadOutcomes(in, answer.calls);
    if (id == 1 && type == kStruct) return answered = true, answer.error = ReadError(in), true;
    return false;
  });
  if (!in.AtEnd() || !answered) return Mismatch("is cut short or holds no result");
  return answer;
}

}  // namespace rbc::client
