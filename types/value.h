// A value as a user has it: what goes into a call and comes out of it, independent of the parameter's type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/expected.h"
#include "types/type.h"

namespace rbc::types {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 Uint128;

class Value;

struct None {
  friend bool operator==(None, None) { return true; }
};
struct NullPointer {
  friend bool operator==(NullPointer, NullPointer) { return true; }
};
// One code unit or code point; bits is 8, 16 or 32.
struct Character {
  char32_t code = 0;
  uint32_t bits = 8;
  friend bool operator==(const Character&, const Character&) = default;
};
// Bytes as Python's `bytes`; a std::string is text.
struct ByteString {
  std::string bytes;
  friend bool operator==(const ByteString&, const ByteString&) = default;
};
struct StructValue {
  std::vector<Value> members;
};
bool operator==(const StructValue& a, const StructValue& b);

enum class Direction : uint8_t { kIn, kInOut, kOut };

// The caller's memory behind a pointer or array parameter. in: read by the call; inout: and written back; out: only
// written. The memory is the caller's and lives until the results are copied back, unless `owner` holds it.
struct Buffer {
  void* data = nullptr;
  size_t bytes = 0;
  Direction direction = Direction::kInOut;
  Type element{};  // void: not known, fits every pointer parameter
  std::shared_ptr<void> owner{};
  // Of an array: elements along each dimension and bytes from one to the next (types/array.h). `data` is the element
  // with all indices zero, `bytes` what the elements take together. Empty: flat memory, also an array of one dimension.
  std::vector<int64_t> shape{};
  std::vector<int64_t> strides{};
  // An array in the session's data arena: the place of the element with all indices zero. Nothing is sent; `data` is
  // not looked at.
  std::optional<uint64_t> in_arena{};
  // An array in a buffer of the session that the farm finds by its id: likewise. `offset` is of the element with all
  // indices zero.
  struct InBuffer {
    int64_t id = 0;
    int64_t offset = 0;
    friend bool operator==(const InBuffer&, const InBuffer&) = default;
  };
  std::optional<InBuffer> in_buffer{};
  // An array that a step of a queue makes (`owner` is that step): its form is known once that has run. A queue gives it
  // `in_buffer`, of no buffer yet; nothing else takes it.
  bool awaited = false;
  bool stays() const { return in_arena.has_value() || in_buffer.has_value(); }
  bool fits_any_pointer = false;  // bytes that a pointer to anything takes, although the element is known
  // Only the same memory is equal.
  friend bool operator==(const Buffer& a, const Buffer& b) {
    return a.data == b.data && a.bytes == b.bytes && a.direction == b.direction && a.element == b.element &&
           a.shape == b.shape && a.strides == b.strides && a.in_arena == b.in_arena && a.in_buffer == b.in_buffer &&
           a.awaited == b.awaited && (!a.awaited || a.owner == b.owner);
  }
};

// Integers have the first of int64, uint64, Int128, Uint128 that holds them, when made by ours.
class Value {
 public:
  using Variant =
      std::variant<None, bool, int64_t, uint64_t, Int128, Uint128, double, long double, std::complex<double>,
                   std::complex<long double>, Character, std::string, ByteString, NullPointer, Buffer, StructValue>;

  Value() = default;
  Value(bool value) : state_(value) {}                                       // NOLINT(google-explicit-constructor)
  Value(int value) : state_(int64_t{value}) {}                               // NOLINT(google-explicit-constructor)
  Value(long value) : state_(int64_t{value}) {}                              // NOLINT(google-explicit-constructor)
  Value(long long value) : state_(int64_t{value}) {}                         // NOLINT(google-explicit-constructor)
  Value(unsigned value) : state_(int64_t{value}) {}                          // NOLINT(google-explicit-constructor)
  Value(unsigned long value) : Value(Uint128{value}) {}                      // NOLINT(google-explicit-constructor)
  Value(unsigned long long value) : Value(Uint128{value}) {}                 // NOLINT(google-explicit-constructor)
  Value(Int128 value);                                                       // NOLINT(google-explicit-constructor)
  Value(Uint128 value);                                                      // NOLINT(google-explicit-constructor)
  Value(float value) : state_(double{value}) {}                              // NOLINT(google-explicit-constructor)
  Value(double value) : state_(value) {}                                     // NOLINT(google-explicit-constructor)
  Value(long double value) : state_(value) {}                                // NOLINT(google-explicit-constructor)
  Value(std::complex<float> value) : state_(std::complex<double>(value)) {}  // NOLINT(google-explicit-constructor)
  Value(std::complex<double> value) : state_(value) {}                       // NOLINT(google-explicit-constructor)
  Value(std::complex<long double> value) : state_(value) {}                  // NOLINT(google-explicit-constructor)
  Value(Character value) : state_(value) {}                                  // NOLINT(google-explicit-constructor)
  Value(std::string value) : state_(std::move(value)) {}                     // NOLINT(google-explicit-constructor)
  Value(std::string_view value) : state_(std::string(value)) {}              // NOLINT(google-explicit-constructor)
  Value(const char* value) : state_(std::string(value)) {}                   // NOLINT(google-explicit-constructor)
  Value(ByteString value) : state_(std::move(value)) {}                      // NOLINT(google-explicit-constructor)
  Value(NullPointer value) : state_(value) {}                                // NOLINT(google-explicit-constructor)
  Value(Buffer value) : state_(std::move(value)) {}                          // NOLINT(google-explicit-constructor)
  Value(StructValue value) : state_(std::move(value)) {}                     // NOLINT(google-explicit-constructor)
  template <typename T>
  Value(T*) = delete;  // a pointer would read as true; use Buffer
  static Value Struct(std::vector<Value> members) { return Value(StructValue{std::move(members)}); }

  const Variant& state() const { return state_; }
  template <typename T>
  const T* As() const {
    return std::get_if<T>(&state_);
  }
  friend bool operator==(const Value& a, const Value& b) { return a.state_ == b.state_; }

 private:
  Variant state_;
};

inline bool operator==(const StructValue& a, const StructValue& b) { return a.members == b.members; }

// The type as Python would name it: an int is int64 if it fits, else uint64, int128, uint128; a float is float64; text
// is string, bytes char8*, a struct the struct of its members' types, a null pointer void*, an array `T[:]` however it
// lies.
Type TypeOf(const Value& value);

// From a command line. Numbers (`1.5`, `0x10`, `1_000`, `inf`, `2+1j`, `(2+1j)`), `True`, text with or without double
// quotes, `{1, 2.5}` for a struct, `null` and, for a pointer, `[1, 2, 3]`: an inout buffer that the value owns.
// kInvalidArgument: the text is no such value, or out of the type's range.
Expected<Value> ParseValue(const Type& type, std::string_view text);

// As Python prints it: `3`, `1e+16`, `(2+1j)`, `True`, `(1, 2.5)` for a struct, `[1, 2]` for a buffer. Text at top
// level stands without quotes, inside a struct with Python's. `type` decides the digits of floats (float32 has fewer).
std::string ToPythonRepr(const Value& value, const Type& type);

// `value` converted into the bytes of a scalar or struct type; never a silent wrap. REQUIRES: `out` has SizeOf(type)
// bytes and the type is plain (IsPlain). kInvalidArgument: the value does not fit; names value and range.
Status StoreValue(const Value& value, const Type& type, char* out);
// REQUIRES: as StoreValue. The bytes may be anything.
Value LoadValue(const Type& type, const char* bytes);
// A scalar, or a struct of plain types, that the host data model can hold: no pointers, no text.
bool IsPlain(const Type& type);

}  // namespace rbc::types
