// Values to and from the bytes of plain types.
// SPDX-License-Identifier: Apache-2.0
#include "types/value.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "types/half.h"
#include "types/number_text.h"
#include "types/text.h"

namespace rbc::types {
namespace {

// The types by which Python would name each alternative.
struct TypeNamer {
  Type operator()(const None&) const { return Type::Void(); }
  Type operator()(bool) const { return Type::Bool(); }
  Type operator()(int64_t) const { return Type::Int(64); }
  Type operator()(uint64_t value) const {
    return value <= uint64_t{std::numeric_limits<int64_t>::max()} ? Type::Int(64) : Type::Uint(64);
  }
  Type operator()(Int128 value) const { return TypeOf(Value(value)); }
  Type operator()(Uint128 value) const { return TypeOf(Value(value)); }
  Type operator()(double) const { return Type::Float(64); }
  Type operator()(long double) const { return Type::Float(128); }
  Type operator()(const std::complex<double>&) const { return Type::Complex(128); }
  Type operator()(const std::complex<long double>&) const { return Type::Complex(256); }
  Type operator()(const Character& value) const { return Type::Char(value.bits); }
  Type operator()(const std::string&) const { return Type::String(); }
  Type operator()(const ByteString&) const { return Type::Pointer(Type::Char(8)); }
  Type operator()(const NullPointer&) const { return Type::Pointer(Type::Void()); }
  Type operator()(const Buffer& buffer) const {
    if (buffer.shape.empty()) return Type::Pointer(buffer.element);
    return Type::Array(buffer.element, static_cast<uint32_t>(buffer.shape.size()));
  }
  Type operator()(const StructValue& value) const {
    std::vector<Type> members;
    for (const Value& member : value.members) members.push_back(TypeOf(member));
    return Type::Struct(std::move(members));
  }
};

std::optional<Integer> IntegerOf(const Value& value) {
  if (const auto* v = value.As<int64_t>()) return Integer::Of(Int128{*v});
  if (const auto* v = value.As<uint64_t>()) return Integer::Of(Uint128{*v});
  if (const auto* v = value.As<Int128>()) return Integer::Of(*v);
  if (const auto* v = value.As<Uint128>()) return Integer::Of(*v);
  return std::nullopt;
}

template <typename T>
std::optional<T> RealOf(const Value& value) {
  if (const auto* v = value.As<double>()) return static_cast<T>(*v);
  if (const auto* v = value.As<long double>()) return static_cast<T>(*v);
  if (const std::optional<Integer> integer = IntegerOf(value)) return integer->As<T>();
  return std::nullopt;
}

bool IsInfinite(const Value& value) {
  if (const auto* v = value.As<double>()) return std::isinf(*v);
  const auto* v = value.As<long double>();
  return v != nullptr && std::isinf(*v);
}

std::string RangeOfInteger(uint32_t bits, bool is_signed) {
  const Uint128 half = static_cast<Uint128>(1) << (bits - 1);
  if (is_signed) return IntegerText({true, half}) + " to " + IntegerText({false, half - 1});
  return "0 to " + IntegerText({false, half - 1 + half});
}

std::string LargestFloat(uint32_t bits) {
  switch (bits) {
    case 16:
      return "65504";
    case 32:
      return FloatText(std::numeric_limits<float>::max(), 32, false);
    case 64:
      return FloatText(std::numeric_limits<double>::max(), 64, false);
    default:
      return FloatText(std::numeric_limits<long double>::max(), 128, false);
  }
}

std::string RangeOf(const Type& type) {
  switch (type.kind()) {
    case Kind::kInt:
      return RangeOfInteger(type.bits(), true);
    case Kind::kUint:
      return RangeOfInteger(type.bits(), false);
    case Kind::kFloat:
      return "-" + LargestFloat(type.bits()) + " to " + LargestFloat(type.bits());
    case Kind::kComplex:
      return RangeOf(Type::Float(type.bits() / 2)) + " in each part";
    default:
      return "0 to " + std::to_string(type.bits() >= 32 ? 0x10ffff : (1u << type.bits()) - 1);
  }
}

std::string Shown(const Value& value) {
  constexpr size_t kShown = 60;
  std::string text = ToPythonRepr(value, TypeOf(value));
  if (text.size() > kShown) text.replace(kShown, std::string::npos, "...");
  return text;
}

Error OutOfRange(const Value& value, const Type& type) {
  return Error(ErrorKind::kInvalidArgument, "value " + Shown(value) + " does not fit type `" + type.ToString() +
                                                "`, whose range is " + RangeOf(type) +
                                                "; pass a value in that range or use a wider type");
}

Error WrongKind(const Value& value, const Type& type) {
  return Error(ErrorKind::kInvalidArgument, "value " + Shown(value) + " of type `" + TypeOf(value).ToString() +
                                                "` cannot be converted to `" + type.ToString() +
                                                "`; pass a value of that type");
}

Status StoreInteger(const Value& value, const Type& type, char* out) {
  const std::optional<Integer> integer = IntegerOf(value);
  if (!integer) return WrongKind(value, type);
  if (!integer->Fits(type.bits(), type.is(Kind::kInt))) return OutOfRange(value, type);
  const Uint128 bits = integer->Bits();
  std::memcpy(out, &bits, type.bits() / 8);  // little-endian: the low bytes
  return {};
}

// x87 keeps its number in 10 of 16 bytes; the padding is zeroed so that equal values have equal bytes.
void StoreLongDouble(long double value, char* out) {
  std::memset(out, 0, 16);
  std::memcpy(out, &value, 10);
}

// Encodings that no x87 instruction makes (a missing leading bit) are NaN, as its instructions treat them.
long double LoadLongDouble(const char* bytes) {
  uint64_t mantissa;
  uint16_t sign_and_exponent;
  std::memcpy(&mantissa, bytes, sizeof mantissa);
  std::memcpy(&sign_and_exponent, bytes + 8, sizeof sign_and_exponent);
  if ((sign_and_exponent & 0x7fff) != 0 && mantissa >> 63 == 0) return std::numeric_limits<long double>::quiet_NaN();
  long double value = 0;
  std::memcpy(&value, bytes, 10);
  return value;
}

// One part of a float or complex. false: it overflows to infinity (the caller checks whether it was one before).
template <typename T>
bool StorePart(T part, char* out) {
  std::memcpy(out, &part, sizeof part);
  return !std::isinf(part);
}

bool StoreReal(const Value& value, uint32_t bits, char* out) {
  switch (bits) {
    case 16: {
      const uint16_t half = DoubleToHalf(*RealOf<double>(value));
      std::memcpy(out, &half, sizeof half);
      return (half & 0x7fff) != 0x7c00;
    }
    case 32:
      return StorePart(*RealOf<float>(value), out);
    case 64:
      return StorePart(*RealOf<double>(value), out);
    default:
      StoreLongDouble(*RealOf<long double>(value), out);
      return true;
  }
}

Status StoreFloat(const Value& value, const Type& type, char* out) {
  if (!RealOf<double>(value)) return WrongKind(value, type);
  if (!StoreReal(value, type.bits(), out) && !IsInfinite(value)) return OutOfRange(value, type);
  return {};
}

Status StoreComplex(const Value& value, const Type& type, char* out) {
  Value real, imaginary(0.0);
  if (const auto* pair = value.As<std::complex<double>>()) {
    real = pair->real();
    imaginary = pair->imag();
  } else if (const auto* wide = value.As<std::complex<long double>>()) {
    real = wide->real();
    imaginary = wide->imag();
  } else {
    real = value;
  }
  if (!RealOf<double>(real)) return WrongKind(value, type);
  const uint32_t bits = type.bits() / 2;
  const bool fits = (StoreReal(real, bits, out) || IsInfinite(real)) &&
                    (StoreReal(imaginary, bits, out + bits / 8) || IsInfinite(imaginary));
  return fits ? Status() : OutOfRange(value, type);
}

// A character, or text of exactly one.
Status StoreCharacter(const Value& value, const Type& type, char* out) {
  std::optional<char32_t> code;
  if (const Character* character = value.As<Character>()) code = character->code;
  if (const std::string* text = value.As<std::string>()) code = SingleCodePoint(*text);
  if (const ByteString* bytes = value.As<ByteString>(); bytes != nullptr && bytes->bytes.size() == 1) {
    code = static_cast<unsigned char>(bytes->bytes[0]);
  }
  if (!code) return WrongKind(value, type);
  if (type.bits() < 32 && *code >> type.bits() != 0) return OutOfRange(value, type);
  std::memcpy(out, &*code, type.bits() / 8);
  return {};
}

Status StoreStruct(const Value& value, const Type& type, char* out) {
  const StructValue* given = value.As<StructValue>();
  if (given == nullptr || given->members.size() != type.members().size()) return WrongKind(value, type);
  RBC_ASSIGN_OR_RETURN(const StructLayout layout, LayoutOfStruct(type));
  for (size_t i = 0; i < given->members.size(); ++i) {
    Status stored = StoreValue(given->members[i], type.members()[i], out + layout.offsets[i]);
    if (!stored) return std::move(stored.error()).While("storing member " + std::to_string(i + 1));
  }
  return {};
}

Int128 LoadInteger(const Type& type, const char* bytes) {
  Uint128 bits = 0;
  std::memcpy(&bits, bytes, type.bits() / 8);
  const uint32_t shift = 128 - type.bits();
  return static_cast<Int128>(bits << shift) >> shift;
}

Uint128 LoadUnsigned(const Type& type, const char* bytes) {
  Uint128 bits = 0;
  std::memcpy(&bits, bytes, type.bits() / 8);
  return bits;
}

double LoadReal(uint32_t bits, const char* bytes) {
  if (bits == 16) {
    uint16_t half;
    std::memcpy(&half, bytes, sizeof half);
    return HalfToDouble(half);
  }
  if (bits == 32) {
    float narrow;
    std::memcpy(&narrow, bytes, sizeof narrow);
    return narrow;
  }
  double value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

Value LoadComplex(uint32_t bits, const char* bytes) {
  if (bits == 256) return std::complex<long double>(LoadLongDouble(bytes), LoadLongDouble(bytes + 16));
  return std::complex<double>(LoadReal(bits / 2, bytes), LoadReal(bits / 2, bytes + bits / 16));
}

Value LoadStruct(const Type& type, const char* bytes) {
  StructValue out;
  const Expected<StructLayout> layout = LayoutOfStruct(type);
  for (size_t i = 0; layout && i < type.members().size(); ++i) {
    out.members.push_back(LoadValue(type.members()[i], bytes + layout->offsets[i]));
  }
  return Value(std::move(out));
}

}  // namespace

Value::Value(Int128 value) {
  if (value == static_cast<int64_t>(value)) {
    state_ = static_cast<int64_t>(value);
  } else if (value > 0 && value == static_cast<Int128>(static_cast<uint64_t>(value))) {
    state_ = static_cast<uint64_t>(value);
  } else {
    state_ = value;
  }
}

Value::Value(Uint128 value) {
  if (static_cast<Int128>(value) >= 0) {
    *this = Value(static_cast<Int128>(value));
  } else {
    state_ = value;
  }
}

Type TypeOf(const Value& value) {
  // Made by Value's constructors these need no second look; by hand they may hold small numbers.
  if (const auto* wide = value.As<Int128>(); wide != nullptr && Value(*wide) == value) return Type::Int(128);
  if (const auto* wide = value.As<Uint128>(); wide != nullptr && Value(*wide) == value) return Type::Uint(128);
  return std::visit(TypeNamer(), value.state());
}

bool IsPlain(const Type& type) {
  if (type.is(Kind::kStruct)) {
    for (const Type& member : type.members()) {
      if (!IsPlain(member)) return false;
    }
    return LayoutOf(type).has_value();
  }
  return !type.is(Kind::kPointer) && !type.is(Kind::kString) && LayoutOf(type).has_value();
}

Status StoreValue(const Value& value, const Type& type, char* out) {
  switch (type.kind()) {
    case Kind::kBool: {
      const bool* flag = value.As<bool>();
      if (flag == nullptr) return WrongKind(value, type);
      *out = *flag ? 1 : 0;
      return {};
    }
    case Kind::kChar:
      return StoreCharacter(value, type, out);
    case Kind::kInt:
    case Kind::kUint:
      return StoreInteger(value, type, out);
    case Kind::kFloat:
      return StoreFloat(value, type, out);
    case Kind::kComplex:
      return StoreComplex(value, type, out);
    case Kind::kStruct:
      return StoreStruct(value, type, out);
    default:
      return WrongKind(value, type);
  }
}

Value LoadValue(const Type& type, const char* bytes) {
  switch (type.kind()) {
    case Kind::kBool:
      return *bytes != 0;
    case Kind::kChar:
      return Character{static_cast<char32_t>(LoadUnsigned(type, bytes)), type.bits()};
    case Kind::kInt:
      return LoadInteger(type, bytes);
    case Kind::kUint:
      return LoadUnsigned(type, bytes);
    case Kind::kFloat:
      return type.bits() == 128 ? Value(LoadLongDouble(bytes)) : Value(LoadReal(type.bits(), bytes));
    case Kind::kComplex:
      return LoadComplex(type.bits(), bytes);
    case Kind::kStruct:
      return LoadStruct(type, bytes);
    default:
      return Value();
  }
}

}  // namespace rbc::types
