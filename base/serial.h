// Little-endian, length-prefixed fields for what crosses between daemon and worker and for files on disk.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace rbc {

static_assert(std::endian::native == std::endian::little, "the formats are little-endian");

// Appends to a string. Not thread-safe.
class Writer {
 public:
  template <typename T>
  void Put(T value) {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  // A uint32 length, then the bytes.
  void PutBytes(std::string_view bytes) {
    Put(static_cast<uint32_t>(bytes.size()));
    out_.append(bytes);
  }
  const std::string& bytes() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  std::string out_;
};

// Reads what Writer wrote, from a peer that may lie. After the first read past the end ok() stays false and
// every further read gives a zero or an empty view. The views point into the input.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}

  template <typename T>
  T Get() {
    static_assert(std::is_arithmetic_v<T> || std::is_enum_v<T>);
    T value{};
    if (in_.size() < sizeof value) {
      Fail();
      return value;
    }
    std::memcpy(&value, in_.data(), sizeof value);
    in_.remove_prefix(sizeof value);
    return value;
  }
  bool GetBool() { return Get<uint8_t>() != 0; }
  std::string_view GetBytes() {
    const auto size = Get<uint32_t>();
    if (in_.size() < size) {
      Fail();
      return {};
    }
    const auto bytes = in_.substr(0, size);
    in_.remove_prefix(size);
    return bytes;
  }
  std::string GetString() { return std::string(GetBytes()); }
  // A count of elements that each take at least `least` bytes of what is left; fails on more.
  uint32_t GetCount(size_t least) {
    const auto count = Get<uint32_t>();
    if (least != 0 && count > in_.size() / least) {
      Fail();
      return 0;
    }
    return count;
  }
  bool ok() const { return ok_; }
  bool AtEnd() const { return ok_ && in_.empty(); }

 private:
  void Fail() {
    ok_ = false;
    in_ = {};
  }
  std::string_view in_;
  bool ok_ = true;
};

}  // namespace rbc
