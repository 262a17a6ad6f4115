// Columns of a map, the grid of a kernel, and what both give back.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "rbc/api.h"
#include "rbc/array.h"
#include "rbc/exception.h"
#include "rbc/signature.h"

namespace rbc {

// One argument of a map: a value of each row, or one value for all rows. The memory must outlive the map.
struct Column {
  std::string dtype;           // "float64"; the parameter's type
  const void* data = nullptr;  // of row 0
  size_t bytes = 0;            // from `data` on
  int64_t stride = 0;          // bytes from row to row; 0: one value for all

  template <typename T>
  static Column Of(std::span<T> rows) {
    return {std::string(TypeText<std::remove_cv_t<T>>::kText.view()), rows.data(), rows.size_bytes(), sizeof(T)};
  }
  template <typename T>
  static Column Broadcast(const T& value) {
    return {std::string(TypeText<T>::kText.view()), &value, sizeof value, 0};
  }
  template <typename T>
  static Column Broadcast(const T&& value) = delete;  // gone before the map
};

struct MapResult {
  std::string dtype;
  int64_t rows = 0;
  std::string data;    // rows side by side
  int status = 0;      // of the first row that failed
  int64_t row = -1;    // which one that is
  std::string output;  // what the function printed
  std::string signature;

  // The rows as T. kInvalidArgument: the result is of another type.
  template <typename T>
  Result<std::vector<T>> try_as() const {
    if (dtype != TypeText<T>::kText.view() || data.size() != static_cast<size_t>(rows) * sizeof(T))
      return Error(ErrorKind::kInvalidArgument, "the map's result holds `" + dtype + "`, asked for is `" +
                                                    std::string(TypeText<T>::kText.view()) + "`");
    std::vector<T> out(static_cast<size_t>(rows));
    if (!out.empty()) std::memcpy(static_cast<void*>(out.data()), data.data(), data.size());
    return out;
  }
  template <typename T>
  std::vector<T> as() const {
    return ValueOrThrow(try_as<T>());
  }
};

// A grid of blocks of threads; each block gets `shared_bytes` of shared memory beside what the kernel declares.
struct Grid {
  std::vector<int32_t> blocks = {1};   // 1 to 3 dimensions
  std::vector<int32_t> threads = {1};  // of a block
  int32_t shared_bytes = 0;
};

namespace detail {
template <typename T>
inline constexpr bool kIsColumn = false;
template <typename T>
inline constexpr bool kIsColumn<std::vector<T>> = true;
template <typename T>
inline constexpr bool kIsColumn<std::span<T>> = true;
template <typename T>
inline constexpr bool kIsBuffer = std::is_same_v<std::remove_cvref_t<T>, Buffer>;
template <typename T>
inline constexpr bool kIsElements = kIsColumn<T> || kIsBuffer<T>;

// A parameter of type A from an array of them or from one value.
template <typename A, typename C>
ArrayArgument ElementsOf(const C& given) {
  if constexpr (kIsBuffer<C>) {
    return ArrayArgument::Of(given);
  } else if constexpr (kIsColumn<C>) {
    static_assert(std::is_same_v<std::remove_cv_t<typename C::value_type>, A>,
                  "an array holds values of the parameter's type");
    return ArrayArgument::Of(std::span<const A>(given.data(), given.size()));
  } else {
    return ArrayArgument::One<A>(given);
  }
}
}  // namespace detail

}  // namespace rbc
