// The `call` message of rbc.thrift by hand.
// SPDX-License-Identifier: Apache-2.0
#include "worker/call_message.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "base/thrift_binary.h"

namespace rbc::worker {
namespace {

using namespace thrift_binary;

constexpr std::string_view kMethod = "call";
constexpr std::string_view kBatchMethod = "call_batch";
constexpr size_t kHead = 4 + 4 + 4 + kMethod.size() + 4;  // of a framed message: length, version, method, seqid

// Big-endian reads with bounds. After a failure every read gives zero.
class In {
 public:
  explicit In(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  bool ok() const { return ok_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  uint8_t Byte() { return Need(1) ? static_cast<uint8_t>(*at_++) : 0; }
  uint16_t U16() {
    return Load<uint16_t>([](uint16_t v) { return __builtin_bswap16(v); });
  }
  uint32_t U32() {
    return Load<uint32_t>([](uint32_t v) { return __builtin_bswap32(v); });
  }
  uint64_t U64() {
    return Load<uint64_t>([](uint64_t v) { return __builtin_bswap64(v); });
  }
  std::string_view String() {
    const uint32_t size = U32();
    if (!Need(size)) return {};
    const std::string_view view(at_, size);
    at_ += size;
    return view;
  }
  // A field of a type that has a fixed size or is a string; false for others.
  bool Skip(uint8_t type) {
    switch (type) {
      case kBool:
      case kByte:
        Byte();
        return true;
      case kI16:
        U16();
        return true;
      case kI32:
        U32();
        return true;
      case kI64:
      case kDouble:
        U64();
        return true;
      case kString:
        String();
        return true;
      default:
        return false;
    }
  }

 private:
  template <typename T, typename Swap>
  T Load(Swap swap) {
    if (!Need(sizeof(T))) return 0;
    T value;
    std::memcpy(&value, at_, sizeof value);
    at_ += sizeof value;
    return swap(value);
  }
  bool Need(size_t size) {
    if (left() >= size) return true;
    ok_ = false;
    at_ = end_;
    return false;
  }
  const char* at_;
  const char* end_;
  bool ok_ = true;
};

// The fields of a CallRequest up to its stop. False: a field that this reader does not know how to skip.
bool ParseFields(In& in, CallView* call) {
  for (uint8_t type = in.Byte(); type != kStop; type = in.Byte()) {
    const uint16_t id = in.U16();
    if (id == 1 && type == kI64)
      call->request_id = static_cast<int64_t>(in.U64());
    else if (id == 2 && type == kI64)
      call->function_id = in.U64();
    else if (id == 3 && type == kString)
      call->frame = in.String();
    else if (id == 4 && type == kI32)
      call->deadline_ms = in.U32();
    else if (id == 5 && type == kI32)
      call->out_bytes = in.U32();
    else if (id == 6 && type == kI32)
      call->return_from = in.U32();
    else if (id == 7 && type == kBool)
      call->profile = in.Byte() != 0;
    else if (id == 9 && type == kString)
      call->keep = in.Skip(type);
    else if (!in.Skip(type))
      return false;
    if (!in.ok()) return true;
  }
  return true;
}

bool IsNegative(uint32_t value) { return static_cast<int32_t>(value) < 0; }

// Those get a typed answer, which is the generated code's affair.
bool HasNegativeSizes(const CallView& call) {
  return IsNegative(call.deadline_ms) || IsNegative(call.out_bytes) ||
         (call.return_from != 0xffffffff && IsNegative(call.return_from));
}

// The head of a request for `method`.
CallParse ParseHead(In& in, std::string_view method, int32_t* seqid) {
  if (in.U32() != (kVersion | kCall) || in.String() != method)
    return in.ok() ? CallParse::kOther : CallParse::kMalformed;
  *seqid = static_cast<int32_t>(in.U32());
  return CallParse::kCall;
}

// Big-endian writes; the room was counted before.
class Out {
 public:
  explicit Out(uint8_t* at) : at_(at) {}
  uint8_t* at() const { return at_; }
  void Byte(uint8_t value) { *at_++ = value; }
  void U32(uint32_t value) { Store(__builtin_bswap32(value)); }
  void U64(uint64_t value) { Store(__builtin_bswap64(value)); }
  void Raw(std::string_view bytes) { at_ = std::copy(bytes.begin(), bytes.end(), at_); }
  void String(std::string_view bytes) {
    U32(static_cast<uint32_t>(bytes.size()));
    Raw(bytes);
  }
  void Field(uint8_t type, uint16_t id) {
    Byte(type);
    Store(__builtin_bswap16(id));
  }

 private:
  template <typename T>
  void Store(T value) {
    std::memcpy(at_, &value, sizeof value);
    at_ += sizeof value;
  }
  uint8_t* at_;
};

// The frame length goes in front once the end is known.
void PutHeader(Out& out, int32_t seqid) {
  out.U32(kVersion | kReply);
  out.String(kMethod);
  out.U32(static_cast<uint32_t>(seqid));
}

size_t Finish(uint8_t* begin, const uint8_t* end) {
  const auto size = static_cast<uint32_t>(end - begin - 4);
  const uint32_t swapped = __builtin_bswap32(size);
  std::memcpy(begin, &swapped, sizeof swapped);
  return size + 4;
}

size_t ErrorSize(const Error& error) {
  size_t size = 256;
  for (const auto* text : {&error.message, &error.role, &error.function, &error.cause, &error.address, &error.output})
    size += text->size() + 8;
  for (const auto& d : error.diagnostics) size += 64 + d.message.size() + d.source_line.size();
  return size;
}

void PutText(Out& out, uint16_t id, const std::string& text) {
  if (text.empty()) return;
  out.Field(kString, id);
  out.String(text);
}

void PutDiagnostic(Out& out, const Diagnostic& diagnostic) {
  out.Field(kI32, 1);
  out.U32(static_cast<uint32_t>(diagnostic.severity));
  out.Field(kString, 2);
  out.String(diagnostic.message);
  out.Field(kI32, 3);
  out.U32(diagnostic.line);
  out.Field(kI32, 4);
  out.U32(diagnostic.column);
  out.Field(kString, 5);
  out.String(diagnostic.source_line);
  out.Byte(kStop);
}

void PutTimes(Out& out, const EntryTimes& times) {
  uint16_t id = 6;
  for (const uint64_t ns : {times.upload, times.kernel, times.download}) {
    out.Field(kI64, id++);
    out.U64(ns);
  }
}

void PutErrorFields(Out& out, const Error& error) {
  out.Field(kI32, 1);
  out.U32(static_cast<uint32_t>(error.kind));
  out.Field(kString, 2);
  out.String(error.message);
  PutText(out, 3, error.role);
  PutText(out, 4, error.function);
  PutText(out, 5, error.cause);
  PutText(out, 6, error.address);
  PutText(out, 7, error.output);
  if (error.signal != 0) {
    out.Field(kI32, 8);
    out.U32(static_cast<uint32_t>(error.signal));
  }
  if (error.may_have_run) {
    out.Field(kBool, 9);
    out.Byte(1);
  }
  if (error.retry_safe) {
    out.Field(kBool, 10);
    out.Byte(1);
  }
  if (error.retry_after_ms != 0) {
    out.Field(kI64, 11);
    out.U64(static_cast<uint64_t>(error.retry_after_ms));
  }
  if (!error.diagnostics.empty()) {
    out.Field(kList, 12);
    out.Byte(kStruct);
    out.U32(static_cast<uint32_t>(error.diagnostics.size()));
    for (const auto& d : error.diagnostics) PutDiagnostic(out, d);
  }
  out.Byte(kStop);
}

}  // namespace

CallParse ParseCall(std::string_view message, CallView* call) {
  In in(message);
  if (const auto head = ParseHead(in, kMethod, &call->seqid); head != CallParse::kCall) return head;
  // call_args: one field, the request; then its stop.
  const uint8_t type = in.Byte();
  if (!in.ok()) return CallParse::kMalformed;
  if (type != kStruct || in.U16() != 1) return CallParse::kOther;
  if (!ParseFields(in, call)) return CallParse::kOther;
  const uint8_t stop = in.Byte();
  if (!in.ok()) return CallParse::kMalformed;
  if (stop != kStop) return CallParse::kOther;
  if (in.left() != 0) return CallParse::kMalformed;
  return HasNegativeSizes(*call) ? CallParse::kOther : CallParse::kCall;
}

CallParse ParseBatch(std::string_view message, BatchView* batch) {
  In in(message);
  if (const auto head = ParseHead(in, kBatchMethod, &batch->seqid); head != CallParse::kCall) return head;
  // call_batch_args: one field, the list; then its stop.
  if (in.Byte() != kList || in.U16() != 1 || in.Byte() != kStruct) return CallParse::kOther;
  batch->count = in.U32();
  if (!in.ok() || in.left() == 0) return CallParse::kMalformed;
  if (message.back() != kStop || IsNegative(batch->count)) return CallParse::kOther;
  batch->calls = message.substr(message.size() - in.left(), in.left() - 1);
  return CallParse::kCall;
}

CallParse TakeCall(std::string_view* calls, CallView* call) {
  In in(*calls);
  if (!ParseFields(in, call)) return CallParse::kOther;
  if (!in.ok()) return CallParse::kMalformed;
  calls->remove_prefix(calls->size() - in.left());
  return HasNegativeSizes(*call) ? CallParse::kOther : CallParse::kCall;
}

std::string FramedCall(std::string_view request) {
  std::string message(kHead + 3 + request.size() + 1, '\0');
  auto* begin = reinterpret_cast<uint8_t*>(message.data());
  Out out(begin + 4);
  out.U32(kVersion | kCall);
  out.String(kMethod);
  out.U32(0);
  out.Field(kStruct, 1);
  out.Raw(request);
  out.Byte(kStop);
  Finish(begin, out.at());
  return message;
}

size_t WriteReply(uint8_t* begin, int32_t seqid, std::string_view result, int32_t status, std::string_view data,
                  std::string_view output, const EntryTimes* times) {
  Out out(begin + 4);
  PutHeader(out, seqid);
  out.Field(kStruct, 0);
  out.Field(kString, 1);
  out.String(result);
  if (status != 0) {
    out.Field(kI32, 2);
    out.U32(static_cast<uint32_t>(status));
  }
  if (!data.empty()) {
    out.Field(kString, 3);
    out.String(data);
  }
  if (!output.empty()) {
    out.Field(kString, 4);
    out.String(output);
  }
  if (times != nullptr) PutTimes(out, *times);
  out.Byte(kStop);
  out.Byte(kStop);
  return Finish(begin, out.at());
}

std::string ErrorReply(int32_t seqid, const Error& error) {
  std::string reply(ErrorSize(error), '\0');
  auto* begin = reinterpret_cast<uint8_t*>(reply.data());
  Out out(begin + 4);
  PutHeader(out, seqid);
  out.Field(kStruct, 1);
  PutErrorFields(out, error);
  out.Byte(kStop);
  reply.resize(Finish(begin, out.at()));
  return reply;
}

// The result of `call` has the reply as field 0 or the error as field 1, a CallOutcome as 1 or 2.
bool AppendOutcome(std::string_view framed, std::string* out) {
  constexpr size_t kField = 3;
  if (framed.size() < kHead + kField + 2) return false;
  In in(framed);
  const uint32_t length = in.U32();
  if (length != framed.size() - 4 || in.U32() != (kVersion | kReply) || in.String() != kMethod) return false;
  in.U32();
  const uint8_t type = in.Byte();
  const uint16_t id = in.U16();
  if (!in.ok() || type != kStruct || id > 1 || framed.back() != kStop) return false;
  const size_t at = out->size();
  out->append(framed.substr(kHead));
  (*out)[at + 2] = static_cast<char>(id + 1);
  return true;
}

std::string BatchReply(int32_t seqid, uint32_t count, std::string_view outcomes) {
  std::string reply(4 + 4 + 4 + kBatchMethod.size() + 4 + 3 + 5 + outcomes.size() + 1, '\0');
  auto* begin = reinterpret_cast<uint8_t*>(reply.data());
  Out out(begin + 4);
  out.U32(kVersion | kReply);
  out.String(kBatchMethod);
  out.U32(static_cast<uint32_t>(seqid));
  out.Field(kList, 0);
  out.Byte(kStruct);
  out.U32(count);
  out.Raw(outcomes);
  out.Byte(kStop);
  Finish(begin, out.at());
  return reply;
}

}  // namespace rbc::worker
