// Values: the public face of types/value.h.
// SPDX-License-Identifier: Apache-2.0
#include "rbc/value.h"

#include "client/src/core.h"
#include "client/src/value_maker.h"
#include "types/array.h"
#include "types/match.h"
#include "types/value.h"

namespace rbc {
namespace {

const std::shared_ptr<const types::Value>& NoneValue() {
  static const auto kNone = std::make_shared<const types::Value>();
  return kNone;
}

}  // namespace

Value::Value() : inner_(NoneValue()) {}
Value::Value(types::Value inner) : inner_(std::make_shared<const types::Value>(std::move(inner))) {}
Value::Value(std::nullptr_t) : Value(types::Value(types::NullPointer{})) {}
Value::Value(std::complex<float> number) : Value(std::complex<double>(number)) {}
Value::Value(std::complex<double> number) : Value(types::Value(number)) {}
Value::Value(std::complex<long double> number) : Value(types::Value(number)) {}
Value::Value(const char* text) : Value(text == nullptr ? types::Value(types::NullPointer{}) : types::Value(text)) {}
Value::Value(std::string_view text) : Value(types::Value(text)) {}
Value::Value(const std::string& text) : Value(types::Value(text)) {}
Value Value::FromBool(bool value) { return Value(types::Value(value)); }
Value Value::FromChar(char32_t code, uint32_t bits) { return Value(types::Value(types::Character{code, bits})); }
Value Value::FromSigned(detail::Int128 number) { return Value(types::Value(number)); }
Value Value::FromUnsigned(detail::Uint128 number) { return Value(types::Value(number)); }
Value Value::FromFloat(long double number, bool extended) {
  return Value(extended ? types::Value(number) : types::Value(static_cast<double>(number)));
}

Value Value::FromMemory(void* data, size_t bytes, int direction, std::string_view element) {
  constexpr types::Direction kDirections[] = {types::Direction::kIn, types::Direction::kInOut, types::Direction::kOut};
  types::Buffer buffer{
      .data = data, .bytes = bytes, .direction = kDirections[direction], .element = {}, .owner = nullptr};
  if (auto type = types::Type::Parse(element)) buffer.element = *std::move(type);
  return Value(types::Value(std::move(buffer)));
}

Value Value::FromArray(void* first, size_t element_size, std::vector<int64_t> shape, std::vector<int64_t> strides,
                       bool writable, std::string_view element) {
  const std::optional<uint64_t> bytes = types::BytesOf(shape, static_cast<uint32_t>(element_size));
  types::Buffer array{.data = first,
                      .bytes = bytes.value_or(~uint64_t{0}),  // no such array, which packing refuses
                      .direction = writable ? types::Direction::kInOut : types::Direction::kIn,
                      .shape = std::move(shape),
                      .strides = std::move(strides)};
  if (auto type = types::Type::Parse(element)) array.element = *std::move(type);
  return Value(types::Value(std::move(array)));
}

Value::Value(const Buffer& buffer)
    : Value(types::Value(detail::Inside::ArrayOf(buffer, buffer.shape(), buffer.strides(), buffer.offset()))) {}

std::vector<int64_t> Value::shape() const {
  const types::Buffer* array = inner_->As<types::Buffer>();
  return array == nullptr ? std::vector<int64_t>() : array->shape;
}

Result<void> Value::Elements(std::string_view element, void* to, void* (*resize)(void* to, size_t elements)) const {
  const types::Buffer* array = inner_->As<types::Buffer>();
  RBC_ASSIGN_OR_RETURN(const types::Type type, types::Type::Parse(element));
  if (array == nullptr || array->shape.empty() || !(array->element == type))
    return Error(ErrorKind::kInvalidArgument, "the value is " + this->type() + ", no array of " + type.ToString() +
                                                  "; ask for elements of its own type");
  RBC_ASSIGN_OR_RETURN(const uint64_t size, types::SizeOf(type));
  void* memory = resize(to, array->bytes / size);
  if (array->bytes != 0)
    types::Gather(array->data, array->shape, array->strides, static_cast<uint32_t>(size), static_cast<char*>(memory));
  return {};
}

Value Value::Struct(std::span<const Value> members) {
  std::vector<types::Value> inner;
  for (const Value& member : members) inner.push_back(*member.inner_);
  return Value(types::Value::Struct(std::move(inner)));
}

Result<Value> Value::Parse(std::string_view type, std::string_view text) {
  RBC_ASSIGN_OR_RETURN(const types::Type parsed, types::Type::Parse(type));
  RBC_ASSIGN_OR_RETURN(types::Value value, types::ParseValue(parsed, text));
  return ValueMaker::Make(std::move(value), parsed);
}

bool Value::is_none() const { return inner_->As<types::None>() != nullptr; }
bool Value::is_null() const { return inner_->As<types::NullPointer>() != nullptr; }

Result<std::string> Value::Text() const {
  if (const std::string* text = inner_->As<std::string>()) return *text;
  if (const types::ByteString* bytes = inner_->As<types::ByteString>()) return bytes->bytes;
  return Error(ErrorKind::kInvalidArgument, "the value is " + type() + ", no text; ask for its own type");
}

Result<void> Value::Store(std::string_view type, char* out) const {
  RBC_ASSIGN_OR_RETURN(const types::Type parsed, types::Type::Parse(type));
  if (!types::IsPlain(parsed))
    return Error(ErrorKind::kInvalidArgument,
                 "a value cannot be taken as " + parsed.ToString() + "; ask for a number or a struct");
  return types::StoreValue(*inner_, parsed, out);
}

std::string Value::repr() const {
  return types::ToPythonRepr(*inner_, printed_as_ ? *printed_as_ : types::TypeOf(*inner_));
}
std::string Value::type() const { return (printed_as_ ? *printed_as_ : types::TypeOf(*inner_)).ToString(); }

Value ValueMaker::Make(types::Value value, const types::Type& type) {
  Value out(std::move(value));
  out.printed_as_ = std::make_shared<const types::Type>(type);
  return out;
}

}  // namespace rbc
