// CUDA's device printf: a format and a packed buffer of arguments.
// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "cuda/simulator/block.h"

namespace rbc::simulator {
namespace {

constexpr int kMaxArguments = 32;       // CUDA takes no more
constexpr size_t kMaxText = 64 * 1024;  // of one conversion

// Arguments at their natural alignment, one after the other.
class Arguments {
 public:
  explicit Arguments(const void* at) : at_(static_cast<const char*>(at)) {}
  template <typename T>
  T Next() {
    offset_ = (offset_ + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    T value;
    std::memcpy(&value, at_ + offset_, sizeof value);
    offset_ += sizeof value;
    ++count_;
    return value;
  }
  int count() const { return count_; }

 private:
  const char* at_;
  size_t offset_ = 0;
  int count_ = 0;
};

template <typename T>
void Print(std::string& out, const std::string& conversion, T value) {
  char text[512];
  const int size = std::snprintf(text, sizeof text, conversion.c_str(), value);
  if (size < 0) return;
  if (static_cast<size_t>(size) < sizeof text) {
    out.append(text, static_cast<size_t>(size));
    return;
  }
  std::string large(std::min<size_t>(static_cast<size_t>(size), kMaxText) + 1, '\0');
  std::snprintf(large.data(), large.size(), conversion.c_str(), value);
  large.pop_back();
  out += large;
}

// One conversion that begins at `format` behind '%'. Returns what follows it.
const char* Convert(const char* format, Arguments& arguments, std::string& out) {
  std::string conversion = "%";
  bool wide = false;
  for (;; ++format) {
    const char c = *format;
    if (c == '\0') return format;
    if (c == '*') {
      conversion += std::to_string(arguments.Next<int32_t>());
    } else if (std::strchr("lhjztL", c) != nullptr) {
      wide |= std::strchr("ljzt", c) != nullptr;
    } else if (std::strchr("0123456789.-+ #", c) != nullptr) {
      conversion += c;
    } else {
      break;
    }
  }
  const char kind = *format++;
  if (kind == '%') {
    out += '%';
  } else if (arguments.count() >= kMaxArguments) {
    out += '?';
  } else if (std::strchr("di", kind) != nullptr) {
    Print(out, conversion + "ll" + kind, wide ? arguments.Next<long long>() : (long long)arguments.Next<int32_t>());
  } else if (std::strchr("ouxX", kind) != nullptr) {
    Print(out, conversion + "ll" + kind,
          wide ? arguments.Next<unsigned long long>() : (unsigned long long)arguments.Next<uint32_t>());
  } else if (kind == 'c') {
    Print(out, conversion + kind, arguments.Next<int32_t>());
  } else if (std::strchr("eEfFgGaA", kind) != nullptr) {
    Print(out, conversion + kind, arguments.Next<double>());
  } else if (kind == 'p') {
    Print(out, conversion + kind, arguments.Next<void*>());
  } else if (kind == 's') {
    const char* text = arguments.Next<const char*>();
    Print(out, conversion + kind, text == nullptr ? "(null)" : text);
  } else {
    out.append(conversion).push_back(kind);  // CUDA prints what it does not know as it stands
  }
  return format;
}

}  // namespace

std::string Format(const char* format, const void* packed, int* count) {
  std::string out;
  Arguments arguments(packed);
  while (*format != '\0') {
    const char* next = std::strchr(format, '%');
    if (next == nullptr) next = format + std::strlen(format);
    out.append(format, next);
    format = *next == '\0' ? next : Convert(next + 1, arguments, out);
  }
  *count = arguments.count();
  return out;
}

}  // namespace rbc::simulator
