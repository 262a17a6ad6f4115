// N-dimensional arrays as arguments and results of maps, reductions and scans.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "rbc/api.h"
#include "rbc/buffer.h"
#include "rbc/exception.h"
#include "rbc/signature.h"

namespace rbc {

// An array of this process, or in a buffer of the session. A view: what it names must outlive the request.
struct ArrayArgument {
  std::string dtype;                   // "float64"
  const void* data = nullptr;          // of element 0, 0, ...; of an array to write into it is written
  std::vector<int64_t> shape;          // empty: one value
  std::vector<int64_t> strides;        // bytes, 0 or negative too; empty: side by side in C order
  int64_t buffer = 0;                  // id; 0: `data`
  int64_t offset = 0;                  // of element 0, 0, ... in the buffer
  std::shared_ptr<const void> kept{};  // holds what `data` or `buffer` names, if nobody else does

  template <typename T>
  static ArrayArgument Of(std::span<T> values) {
    return Of(values, {static_cast<int64_t>(values.size())});
  }
  template <typename T>
  static ArrayArgument Of(const std::vector<T>& values) {
    return Of(std::span<const T>(values));
  }
  // REQUIRES: as many values as the shape has.
  template <typename T>
  static ArrayArgument Of(std::span<T> values, std::vector<int64_t> shape) {
    return {std::string(TypeText<std::remove_cv_t<T>>::kText.view()), values.data(), std::move(shape), {}};
  }
  // An array of the session, or a view of one, which this keeps. Nothing is sent.
  static ArrayArgument Of(const Buffer& buffer) {
    auto kept = std::make_shared<const Buffer>(buffer);
    return {buffer.dtype(), nullptr, buffer.shape(), buffer.strides(), buffer.id(), buffer.offset(), std::move(kept)};
  }
  // One value for all elements; it is copied.
  template <typename T>
  static ArrayArgument One(const T& value) {
    auto kept = std::make_shared<T>(value);
    const void* data = kept.get();
    return {std::string(TypeText<T>::kText.view()), data, {}, {}, 0, 0, std::move(kept)};
  }
};

// Of exp, log, sin, ... in maps and reductions on host; calls always have libm's. docs/vector-maths.md.
enum class Accuracy : uint8_t { kFast = 0, kAccurate = 1, kPrecise = 2 };

// Where the time of a request went, in nanoseconds, and the bytes of its arrays that lay in this process.
struct ArrayTimes {
  int64_t compile = 0;   // of code for such arrays, where this request waited for it
  int64_t queue = 0;     // in the farm before and after the rest
  int64_t upload = 0;    // to a device
  int64_t kernel = 0;    // the function over the elements
  int64_t download = 0;  // from a device
  int64_t bytes_out = 0, bytes_in = 0;
};

struct ArrayMapOptions {
  std::optional<ArrayArgument> out{};    // written instead of a new array; of the result's type and shape
  std::optional<ArrayArgument> where{};  // bool; where it is false nothing is computed, and `out` keeps what it holds
  Accuracy accuracy = Accuracy::kFast;
  bool profile = false;  // the result tells its times
};

struct ArrayReduceOptions {
  std::optional<int> axis{};                // negative: from the last one; none: over all elements
  std::optional<ArrayArgument> identity{};  // one value: the result where there is nothing to reduce
  bool ordered = false;                     // strictly first to last; else in a fixed tree, the same at each run
  std::optional<ArrayArgument> out{};
  Accuracy accuracy = Accuracy::kFast;
  bool profile = false;  // the result tells its times
};

struct ArrayScanOptions {
  std::optional<int> axis{};  // none: over the elements in C order, the result is flat
  std::optional<ArrayArgument> out{};
  Accuracy accuracy = Accuracy::kFast;
  bool profile = false;  // the result tells its times
};

struct ArrayResult {
  std::string dtype;
  std::vector<int64_t> shape;
  std::string data;            // side by side in C order; empty where the result was written into `out`
  int status = 0;              // of the first element that failed
  int64_t row = -1;            // of a map: its number in C order
  std::vector<int64_t> index;  // and its index in each dimension
  std::string output;          // what the function printed
  std::string signature;       // the one that took the arguments
  ArrayTimes times{};          // of a request with `profile`

  // The elements as T. kInvalidArgument: the result is of another type, or lies elsewhere.
  template <typename T>
  Result<std::vector<T>> try_as() const {
    int64_t count = 1;
    for (const int64_t length : shape) count *= length;
    if (dtype != TypeText<T>::kText.view() || data.size() != static_cast<size_t>(count) * sizeof(T))
      return Error(ErrorKind::kInvalidArgument, "the result holds " + std::to_string(data.size()) + " bytes of `" +
                                                    dtype + "`, asked for is `" +
                                                    std::string(TypeText<T>::kText.view()) + "`");
    std::vector<T> out(static_cast<size_t>(count));
    if (!out.empty()) std::memcpy(static_cast<void*>(out.data()), data.data(), data.size());
    return out;
  }
  template <typename T>
  std::vector<T> as() const {
    return ValueOrThrow(try_as<T>());
  }
};

}  // namespace rbc
