// Packing and unpacking of calls.
// SPDX-License-Identifier: Apache-2.0
#include "types/pack.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "types/array.h"

namespace rbc::types {
namespace {

// Where a pointer's, text's or array's bytes go.
struct Piece {
  const FrameSlot* slot;
  const void* data;
  uint64_t bytes;  // that the cell tells
  bool text;       // a NUL follows
  Direction direction;
  const Buffer* buffer;  // of inout, out and arrays
};

uint64_t RoundUp(uint64_t value) { return (value + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment; }

template <typename T>
bool StoreAs(const Value& value, char* out) {
  const T* exact = value.As<T>();
  if (exact == nullptr) return false;
  std::memcpy(out, exact, sizeof *exact);
  return true;
}

bool StoreInt32(const Value& value, char* out) {
  const int64_t* wide = value.As<int64_t>();
  if (wide == nullptr || *wide < std::numeric_limits<int32_t>::min() || *wide > std::numeric_limits<int32_t>::max()) {
    return false;
  }
  const auto narrow = static_cast<int32_t>(*wide);
  std::memcpy(out, &narrow, sizeof narrow);
  return true;
}

bool StoreFloat32(const Value& value, char* out) {
  const double* wide = value.As<double>();
  if (wide == nullptr) return false;
  const auto narrow = static_cast<float>(*wide);
  std::memcpy(out, &narrow, sizeof narrow);
  return std::isfinite(narrow);
}

// The common scalars without a look at the type. false: take the long way, which also makes the messages.
bool StoreFast(const FrameSlot& slot, const Value& value, char* out) {
  switch (slot.op) {
    case SlotOp::kFloat64:
      return StoreAs<double>(value, out);
    case SlotOp::kFloat32:
      return StoreFloat32(value, out);
    case SlotOp::kInt64:
      return StoreAs<int64_t>(value, out);
    case SlotOp::kInt32:
      return StoreInt32(value, out);
    case SlotOp::kBool:
      return StoreAs<bool>(value, out);
    default:
      return false;
  }
}

Error ForParameter(Error error, size_t index) {
  return std::move(error).While("converting the argument for parameter " + std::to_string(index + 1));
}

Error NoPointer(const FrameSlot& slot) {
  return Error(ErrorKind::kInvalidArgument, "parameter type `" + slot.type.ToString() +
                                                "` takes no such value; pass a buffer" +
                                                (slot.op == SlotOp::kPointer ? "" : ", text") + " or null");
}

Expected<Piece> TextPiece(const FrameSlot& slot, const std::string& text) {
  if (slot.op == SlotOp::kText && text.find('\0') != std::string::npos) {
    return Error(ErrorKind::kInvalidArgument, "text of " + std::to_string(text.size()) +
                                                  " bytes has a NUL inside, which would end it early; pass bytes");
  }
  return Piece{&slot, text.data(), text.size(), true, Direction::kIn, nullptr};
}

Expected<Piece> BufferPiece(const FrameSlot& slot, const Buffer& buffer) {
  if (slot.op == SlotOp::kText) return NoPointer(slot);
  if (buffer.in_arena && !buffer.in_buffer) {
    return Error(ErrorKind::kInvalidArgument, "an array that stays on the farm is no `" + slot.type.ToString() +
                                                  "`; declare the parameter as an array");
  }
  const Type& wanted = slot.type.element();
  const bool typed = !buffer.element.is(Kind::kVoid) && !wanted.is(Kind::kVoid) && !buffer.fits_any_pointer;
  if (typed && !(buffer.element == wanted)) {
    return Error(ErrorKind::kInvalidArgument, "a buffer of `" + buffer.element.ToString() + "` is no `" +
                                                  slot.type.ToString() + "`; pass a buffer of that type");
  }
  if (buffer.bytes % slot.element_size != 0 || (buffer.data == nullptr && buffer.bytes != 0 && !buffer.stays())) {
    return Error(ErrorKind::kInvalidArgument, "a buffer of " + std::to_string(buffer.bytes) + " bytes" +
                                                  (buffer.data == nullptr ? " at null" : "") +
                                                  " is no whole number of `" + wanted.ToString() + "`, which has " +
                                                  std::to_string(slot.element_size) + "; pass whole elements");
  }
  const Expected<uint64_t> size = SizeOf(buffer.element);
  if (size && !IsContiguous(buffer, static_cast<uint32_t>(*size))) {
    return Error(ErrorKind::kInvalidArgument, "an array with gaps between its elements is no `" + slot.type.ToString() +
                                                  "`; pass a contiguous copy, or declare the parameter as an array");
  }
  if (buffer.stays()) return Piece{&slot, nullptr, 0, false, Direction::kIn, &buffer};
  return Piece{&slot, buffer.data, buffer.bytes, false, buffer.direction, &buffer};
}

Error NoArray(const FrameSlot& slot, const std::string& what) {
  return Error(ErrorKind::kInvalidArgument,
               what + " is no `" + slot.type.ToString() + "`; pass an array of that element type and dimensions");
}

Expected<Piece> ArrayPiece(const FrameSlot& slot, const Value& value) {
  const Buffer* buffer = value.As<Buffer>();
  if (buffer == nullptr) return NoArray(slot, "a value of type `" + TypeOf(value).ToString() + "`");
  const size_t rank = buffer->shape.empty() ? 1 : buffer->shape.size();
  if (!(buffer->element == slot.type.element()) || rank != slot.type.rank() ||
      buffer->strides.size() != buffer->shape.size()) {
    return NoArray(slot, "an array of type `" + TypeOf(value).ToString() + "`");
  }
  const std::optional<uint64_t> bytes = BytesOf(ShapeOf(*buffer, slot.element_size).shape, slot.element_size);
  if (!bytes || *bytes != buffer->bytes || (buffer->data == nullptr && *bytes != 0 && !buffer->stays())) {
    return NoArray(slot, "memory of " + std::to_string(buffer->bytes) + " bytes with another number of elements");
  }
  if (slot.type.contiguous() && !IsContiguous(*buffer, slot.element_size)) {
    return NoArray(slot, "an array with gaps between its elements");
  }
  if (buffer->stays()) return Piece{&slot, nullptr, 0, false, Direction::kIn, buffer};
  return Piece{&slot, buffer->data, *bytes, false, buffer->direction, buffer};
}

bool IsNull(const Value& value) {
  const Buffer* buffer = value.As<Buffer>();
  return value.As<NullPointer>() != nullptr || value.As<None>() != nullptr ||
         (buffer != nullptr && buffer->data == nullptr && buffer->bytes == 0 && !buffer->awaited);
}

Expected<Piece> PieceOf(const FrameSlot& slot, const Value& value) {
  const Buffer* made = value.As<Buffer>();
  if (made != nullptr && made->awaited && !made->in_buffer)
    return Error(ErrorKind::kInvalidArgument,
                 "an array that a step of a queue makes is an argument of later steps of that queue; get() it first");
  if (slot.op == SlotOp::kArray) return ArrayPiece(slot, value);
  if (const Buffer* buffer = value.As<Buffer>()) return BufferPiece(slot, *buffer);
  if (slot.op == SlotOp::kPointer) return NoPointer(slot);
  if (const std::string* text = value.As<std::string>()) return TextPiece(slot, *text);
  if (const ByteString* bytes = value.As<ByteString>()) return TextPiece(slot, bytes->bytes);
  return NoPointer(slot);
}

void StoreCell(std::string& frame, uint32_t at, FrameCell cell) { std::memcpy(frame.data() + at, &cell, sizeof cell); }

// In the call's memory arrays lie in C order, however they lie at the caller's.
void StorePlace(const Piece& piece, uint64_t offset, PackedCall* call) {
  std::string& frame = call->frame;
  const bool in_buffer = piece.buffer != nullptr && piece.buffer->in_buffer;
  if (in_buffer) {
    const auto& [id, at] = *piece.buffer->in_buffer;
    call->buffers.push_back({piece.slot->offset, id, at});
  }
  if (piece.slot->op != SlotOp::kArray && in_buffer) return StoreCell(frame, piece.slot->offset, {kNullOffset, 0});
  if (piece.slot->op != SlotOp::kArray) {
    StoreCell(frame, piece.slot->offset, {static_cast<uint32_t>(offset), static_cast<uint32_t>(piece.bytes)});
    return;
  }
  FrameArray array{offset, ShapeOf(*piece.buffer, piece.slot->element_size).shape, {}};
  if (piece.buffer->stays()) {
    array.where = in_buffer ? 0 : *piece.buffer->in_arena | kInDataArena;
    array.strides = piece.buffer->strides;
  } else {
    array.strides = DenseStrides(array.shape, piece.slot->element_size);
  }
  StoreFrameArray(array, frame.data() + piece.slot->offset);
}

PackedCall::Returned ReturnedOf(const Piece& piece, uint64_t offset) {
  const Buffer& buffer = *piece.buffer;
  PackedCall::Returned out{buffer.data, static_cast<uint32_t>(offset), static_cast<uint32_t>(piece.bytes),
                           buffer.owner};
  if (piece.slot->op != SlotOp::kArray || IsContiguous(buffer, piece.slot->element_size)) return out;
  out.element_size = piece.slot->element_size;
  out.shape = buffer.shape;
  out.strides = buffer.strides;
  return out;
}

// Lays out the pieces of one direction from `end` on and gives the new end. `first` is where the first one starts.
uint64_t PlacePieces(const std::vector<Piece>& pieces, Direction direction, uint64_t end, PackedCall* call,
                     std::optional<uint64_t>* first) {
  for (const Piece& piece : pieces) {
    if (piece.direction != direction) continue;
    const uint64_t offset = RoundUp(end);
    end = offset + piece.bytes + (piece.text ? 1 : 0);
    if (end > kMaxCallBytes) return end;
    if (!first->has_value()) *first = offset;
    StorePlace(piece, offset, call);
    if (piece.buffer == nullptr || direction == Direction::kIn) continue;
    call->returned.push_back(ReturnedOf(piece, offset));
  }
  return end;
}

void AppendBytes(const Piece& piece, std::string& frame) {
  if (piece.bytes == 0) return;
  const bool array = piece.slot->op == SlotOp::kArray;
  if (!array || IsContiguous(*piece.buffer, piece.slot->element_size)) {
    frame.append(static_cast<const char*>(piece.data), piece.bytes);
    return;
  }
  const size_t at = frame.size();
  frame.resize(at + piece.bytes);
  Gather(piece.data, piece.buffer->shape, piece.buffer->strides, piece.slot->element_size, frame.data() + at);
}

void AppendPieces(const std::vector<Piece>& pieces, Direction direction, std::string& frame) {
  for (const Piece& piece : pieces) {
    if (piece.direction != direction) continue;
    frame.append(RoundUp(frame.size()) - frame.size(), '\0');
    AppendBytes(piece, frame);
    if (piece.text) frame += '\0';
  }
}

Status PackPieces(const std::vector<Piece>& pieces, PackedCall* call) {
  std::optional<uint64_t> first_in, first_back;
  const uint64_t in_end = PlacePieces(pieces, Direction::kIn, call->frame.size(), call, &first_in);
  const uint64_t sent = PlacePieces(pieces, Direction::kInOut, in_end, call, &first_back);
  const uint64_t end = PlacePieces(pieces, Direction::kOut, sent, call, &first_back);
  if (end > kMaxCallBytes) {
    return Error(ErrorKind::kResourceExhausted, "the call's buffers have more than the limit of " +
                                                    std::to_string(kMaxCallBytes) + " bytes; split the call");
  }
  call->frame.reserve(sent);
  AppendPieces(pieces, Direction::kIn, call->frame);
  AppendPieces(pieces, Direction::kInOut, call->frame);
  call->out_bytes = static_cast<uint32_t>(end - sent);
  call->return_from = static_cast<uint32_t>(first_back.value_or(end));
  return {};
}

Error Lie(std::string message) { return Error(ErrorKind::kInternal, std::move(message)); }

Expected<Value> UnpackText(const Type& type, std::string_view result, std::string_view data) {
  FrameCell cell;
  if (result.size() != sizeof cell) return Lie("a text result has " + std::to_string(result.size()) + " bytes, not 8");
  std::memcpy(&cell, result.data(), sizeof cell);
  if (cell.offset == kNullOffset) return Value(NullPointer());
  if (cell.offset > data.size() || cell.length > data.size() - cell.offset) {
    return Lie("a text result of " + std::to_string(cell.length) + " bytes at " + std::to_string(cell.offset) +
               " lies outside of the reply's " + std::to_string(data.size()) + " bytes of data");
  }
  std::string text(data.substr(cell.offset, cell.length));
  if (type.is(Kind::kString)) return Value(std::move(text));
  return Value(ByteString{std::move(text)});
}

Expected<Value> UnpackArray(const Type& type, std::string_view result, std::string_view data) {
  RBC_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(type.element()));
  if (result.size() != FrameArrayBytes(type.rank())) {
    return Lie("an array result has " + std::to_string(result.size()) + " bytes, not " +
               std::to_string(FrameArrayBytes(type.rank())));
  }
  FrameArray array = LoadFrameArray(result.data(), type.rank());
  const std::optional<uint64_t> bytes = BytesOf(array.shape, static_cast<uint32_t>(size));
  if (!bytes || array.where > data.size() || *bytes > data.size() - array.where) {
    return Lie("an array result of type `" + type.ToString() + "` at " + std::to_string(array.where) +
               " lies outside of the reply's " + std::to_string(data.size()) + " bytes of data");
  }
  return MakeArray(type.element(), std::move(array.shape), data.substr(array.where, *bytes));
}

// A struct with arrays.
Expected<Value> UnpackMembers(const Type& type, std::string_view result, std::string_view data) {
  RBC_ASSIGN_OR_RETURN(const ResultLayout layout, LayoutOfArrays(type));
  if (result.size() != layout.size)
    return Lie("a result of type `" + type.ToString() + "` has " + std::to_string(result.size()) + " bytes, not " +
               std::to_string(layout.size));
  std::vector<Value> members;
  for (const FrameSlot& slot : layout.slots) {
    const std::string_view bytes = result.substr(slot.offset, slot.size);
    if (slot.op == SlotOp::kArray) {
      RBC_ASSIGN_OR_RETURN(members.emplace_back(), UnpackArray(slot.type, bytes, data));
    } else {
      members.push_back(LoadValue(slot.type, bytes.data()));
    }
  }
  return Value::Struct(std::move(members));
}

}  // namespace

Status PackArguments(const FrameLayout& layout, std::span<const Value> values, PackedCall* call) {
  const std::span<const FrameSlot> slots = layout.slots();
  if (values.size() != slots.size()) {
    return Error(ErrorKind::kInvalidArgument, "function `" + layout.function().ToString() + "` takes " +
                                                  std::to_string(slots.size()) + " arguments, got " +
                                                  std::to_string(values.size()) + "; pass one for each parameter");
  }
  call->frame.assign(layout.fixed_size(), '\0');
  call->returned.clear();
  call->buffers.clear();
  call->out_bytes = 0;
  call->return_from = layout.fixed_size();
  std::vector<Piece> pieces;
  for (size_t i = 0; i < slots.size(); ++i) {
    const FrameSlot& slot = slots[i];
    char* out = call->frame.data() + slot.offset;
    if (StoreFast(slot, values[i], out)) continue;
    if (slot.op < SlotOp::kText) {
      if (Status stored = StoreValue(values[i], slot.type, out); !stored) return ForParameter(stored.error(), i);
    } else if (slot.op != SlotOp::kArray && IsNull(values[i])) {
      StoreCell(call->frame, slot.offset, {kNullOffset, 0});
    } else {
      Expected<Piece> piece = PieceOf(slot, values[i]);
      if (!piece) return ForParameter(piece.error(), i);
      pieces.push_back(*piece);
    }
  }
  return pieces.empty() ? Status() : PackPieces(pieces, call);
}

Expected<PackedCall> PackArguments(const FrameLayout& layout, std::span<const Value> values) {
  PackedCall call;
  RBC_RETURN_IF_ERROR(PackArguments(layout, values, &call));
  return call;
}

Expected<PackedCall> PackArguments(const Type& function, std::span<const Value> values) {
  RBC_ASSIGN_OR_RETURN(const FrameLayout layout, FrameLayout::Make(function));
  return PackArguments(layout, values);
}

bool TakesArray(const FrameSlot& slot, const Value& value) {
  return slot.op == SlotOp::kArray && ArrayPiece(slot, value).has_value();
}

Expected<Value> UnpackResult(const Type& result_type, std::string_view result, std::string_view data) {
  if (result_type.is(Kind::kVoid)) return Value();
  if (result_type.is(Kind::kString) || IsCharPointer(result_type)) return UnpackText(result_type, result, data);
  if (result_type.is(Kind::kArray)) return UnpackArray(result_type, result, data);
  if (HoldsArrays(result_type)) return UnpackMembers(result_type, result, data);
  if (!IsPlain(result_type)) {
    return Error(ErrorKind::kUnsupported,
                 "a result of type `" + result_type.ToString() + "` cannot be read from a reply; return plain data");
  }
  RBC_ASSIGN_OR_RETURN(const uint64_t size, SizeOf(result_type));
  if (result.size() != size) {
    return Lie("a result of type `" + result_type.ToString() + "` has " + std::to_string(result.size()) +
               " bytes, not " + std::to_string(size));
  }
  return LoadValue(result_type, result.data());
}

Status CopyReturned(const PackedCall& call, std::string_view tail) {
  const size_t lent = call.total_bytes() - call.return_from;
  if (tail.size() != lent) {
    return Lie("a reply returns " + std::to_string(tail.size()) + " bytes of buffers, not the " + std::to_string(lent) +
               " that were lent");
  }
  for (const PackedCall::Returned& part : call.returned) {
    if (part.bytes == 0) continue;
    const char* from = tail.data() + (part.offset - call.return_from);
    if (part.shape.empty()) {
      std::memcpy(part.data, from, part.bytes);
    } else {
      Scatter(from, part.shape, part.strides, part.element_size, part.data);
    }
  }
  return {};
}

}  // namespace rbc::types
