// A value as a user has it: what goes into a call and comes out of it, whatever the parameter's type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rbc/array_view.h"
#include "rbc/exception.h"
#include "rbc/signature.h"

namespace rbc {

namespace types {
class Value;
class Type;
}  // namespace types

class QueuedArray;

// Immutable; copies share. Like Python's values it has a kind but no width: the signature that takes it decides.
class RBC_API Value {
 public:
  Value();  // none: the result of a void function
  // A null pointer or text.
  Value(std::nullptr_t);  // NOLINT(google-explicit-constructor)
  // bool, integers up to 128 bits, floating-point numbers; a character type is a character.
  template <typename T, std::enable_if_t<std::is_arithmetic_v<T> || detail::kIsInteger<T>, int> = 0>
  Value(T number) : Value(FromNumber(number)) {}  // NOLINT(google-explicit-constructor)
  Value(std::complex<float> number);              // NOLINT(google-explicit-constructor)
  Value(std::complex<double> number);             // NOLINT(google-explicit-constructor)
  Value(std::complex<long double> number);        // NOLINT(google-explicit-constructor)
  Value(const char* text);                        // NOLINT(google-explicit-constructor)
  Value(std::string_view text);                   // NOLINT(google-explicit-constructor)
  Value(const std::string& text);                 // NOLINT(google-explicit-constructor)
  // Memory of yours behind a pointer parameter, which must outlive the call: const is only read, Out only written, the
  // plain span is read and written.
  template <typename T>
  Value(std::span<T> memory)  // NOLINT(google-explicit-constructor)
      : Value(FromMemory(const_cast<std::remove_cv_t<T>*>(memory.data()), memory.size_bytes(),
                         std::is_const_v<T> ? 0 : 1, TypeText<std::remove_cv_t<T>>::kText.view())) {}
  template <typename T>
  Value(Out<T> memory)  // NOLINT(google-explicit-constructor)
      : Value(FromMemory(memory.data(), memory.size_bytes(), 2, TypeText<T>::kText.view())) {}
  template <typename T>
  Value(std::vector<T>& memory) : Value(std::span<T>(memory)) {}  // NOLINT(google-explicit-constructor)
  template <typename T>
  Value(const std::vector<T>& memory) : Value(std::span<const T>(memory)) {}  // NOLINT(google-explicit-constructor)
  // Memory of yours as an array of more dimensions, or with gaps: `first` is the element with all indices zero, strides
  // are bytes from one element to the next and may be negative. It must outlive the call; const is only read.
  template <typename T>
  static Value Array(T* first, std::vector<int64_t> shape, std::vector<int64_t> strides) {
    return FromArray(const_cast<std::remove_cv_t<T>*>(first), sizeof(T), std::move(shape), std::move(strides),
                     !std::is_const_v<T>, TypeText<std::remove_cv_t<T>>::kText.view());
  }
  template <typename T, size_t kRank>
  Value(const ArrayView<T, kRank>& view)  // NOLINT(google-explicit-constructor)
      : Value(FromView(view)) {}
  // An array of the session, or a view of one, which this keeps. Nothing is sent; the function reads and writes it
  // where it is.
  Value(const Buffer& buffer);  // NOLINT(google-explicit-constructor)
  // The array that an earlier step of a queue makes, for calls and launches of that queue (rbc/queue.h).
  Value(const QueuedArray& made);  // NOLINT(google-explicit-constructor)
  // A struct by value.
  static Value Struct(std::span<const Value> members);
  // As on a command line: "1.5", "2+1j", "True", "{1, 2.5}". kInvalidArgument: it is no value of that type.
  static Result<Value> Parse(std::string_view type, std::string_view text);
  explicit Value(types::Value inner);

  bool is_none() const;
  bool is_null() const;
  // The value as T: bool, an integer, a floating-point or complex number, std::string, or std::vector of an array's
  // elements in C order. Never wraps: kInvalidArgument where it is of another kind or does not fit.
  template <typename T>
  Result<T> try_as() const {
    if constexpr (std::is_same_v<T, std::string>) {
      return Text();
    } else if constexpr (detail::kIsVector<T>) {
      T out;
      const auto resize = [](void* to, size_t elements) -> void* {
        static_cast<T*>(to)->resize(elements);
        return static_cast<T*>(to)->data();
      };
      if (Result<void> stored = Elements(TypeText<typename T::value_type>::kText.view(), &out, resize); !stored)
        return std::move(stored).error();
      return out;
    } else {
      static_assert(std::is_trivially_copyable_v<T>);
      T out{};
      if (Result<void> stored = Store(TypeText<T>::kText.view(), reinterpret_cast<char*>(&out)); !stored)
        return std::move(stored).error();
      return out;
    }
  }
  template <typename T>
  T as() const {
    return ValueOrThrow(try_as<T>());
  }
  // Of an array: its elements along each dimension; else empty.
  std::vector<int64_t> shape() const;
  // As Python prints it: "3", "3.5", "(2+1j)", "True", "[1.0, 2.0]".
  std::string repr() const;
  // The type that it has by itself: "int64", "complex128".
  std::string type() const;

  const types::Value& inner() const { return *inner_; }

 private:
  friend class Caller;
  friend struct ValueMaker;
  template <typename T>
  static Value FromNumber(T number) {
    if constexpr (std::is_same_v<T, bool>)
      return FromBool(number);
    else if constexpr (detail::kIsChar<T>)
      return FromChar(static_cast<char32_t>(std::make_unsigned_t<T>(number)), sizeof(T) * 8);
    else if constexpr (std::is_floating_point_v<T>)
      return FromFloat(number, std::is_same_v<T, long double>);
    else if constexpr (detail::kIsUnsigned<T>)
      return FromUnsigned(number);
    else
      return FromSigned(number);
  }
  static Value FromBool(bool value);
  static Value FromChar(char32_t code, uint32_t bits);
  static Value FromSigned(detail::Int128 number);
  static Value FromUnsigned(detail::Uint128 number);
  static Value FromFloat(long double number, bool extended);
  // direction: 0 in, 1 inout, 2 out.
  static Value FromMemory(void* data, size_t bytes, int direction, std::string_view element);
  template <typename View>
  static Value FromView(const View& view) {
    if (view.buffer() != nullptr) return Value(*view.buffer());
    const auto shape = view.shape(), strides = view.strides();
    return Array(view.data(), {shape.begin(), shape.end()}, {strides.begin(), strides.end()});
  }
  static Value FromArray(void* first, size_t element_size, std::vector<int64_t> shape, std::vector<int64_t> strides,
                         bool writable, std::string_view element);
  Result<std::string> Text() const;
  Result<void> Elements(std::string_view element, void* to, void* (*resize)(void* to, size_t elements)) const;
  Result<void> Store(std::string_view type, char* out) const;

  std::shared_ptr<const types::Value> inner_;
  std::shared_ptr<const types::Type> printed_as_;  // of a result: decides the digits of floats
};

}  // namespace rbc
