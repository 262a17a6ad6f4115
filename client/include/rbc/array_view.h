// Arrays of the caller's as arguments of functions over arrays.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "rbc/buffer.h"
#include "rbc/signature.h"

namespace rbc {

// Memory of yours in C order as an array of `kRank` dimensions, which must outlive the call: const is only read, else
// it is read and written. In a function type it stands for `T[::1]`, `T[:,::1]` and so on, which C gets as a pointer
// and the lengths. One dimension is made of a span or a vector. An array of the session (rbc/buffer.h) stays there.
template <typename T, size_t kRank = 1>
class ArrayView {
 public:
  ArrayView(T* data, std::array<int64_t, kRank> shape) : data_(data), shape_(shape) {}
  template <typename Range>
  requires(kRank == 1 && std::is_convertible_v<Range&&, std::span<T>>)
      ArrayView(Range&& memory)  // NOLINT(google-explicit-constructor)
      : ArrayView(std::span<T>(memory).data(), {static_cast<int64_t>(std::span<T>(memory).size())}) {}

  // Throws Exception: elements of another type or with gaps, another number of dimensions. The handle must outlive the
  // call.
  ArrayView(const Buffer& buffer)  // NOLINT(google-explicit-constructor)
      : data_(static_cast<T*>(buffer.data())), buffer_(&buffer) {
    ValueOrThrow(buffer.CheckArray(TypeText<std::remove_cv_t<T>>::kText.view(), kRank));
    for (size_t d = 0; d < kRank; ++d) shape_[d] = buffer.shape()[d];
  }

  // Of a buffer whose memory is the farm's only: null.
  T* data() const { return data_; }
  const Buffer* buffer() const { return buffer_; }
  const std::array<int64_t, kRank>& shape() const { return shape_; }
  size_t size() const {
    size_t elements = 1;
    for (const int64_t n : shape_) elements *= static_cast<size_t>(n);
    return elements;
  }
  size_t size_bytes() const { return size() * sizeof(T); }
  std::array<int64_t, kRank> strides() const {
    std::array<int64_t, kRank> bytes{};
    int64_t step = sizeof(T);
    for (size_t d = kRank; d-- > 0; step *= shape_[d]) bytes[d] = step;
    return bytes;
  }

 private:
  T* data_;
  std::array<int64_t, kRank> shape_{};
  const Buffer* buffer_ = nullptr;
};

namespace detail {

template <typename T>
inline constexpr bool kIsVector = false;
template <typename T>
inline constexpr bool kIsVector<std::vector<T>> = true;

template <size_t kRank>
constexpr auto Dimensions() {
  if constexpr (kRank == 1) {
    return FixedText("::1]");
  } else {
    return FixedText(":,") + Dimensions<kRank - 1>();
  }
}

}  // namespace detail

template <typename T, size_t kRank>
struct TypeText<ArrayView<T, kRank>> {
  static constexpr auto kText = TypeText<std::remove_cv_t<T>>::kText + FixedText("[") + detail::Dimensions<kRank>();
};
// A result: the elements of an array of one dimension.
template <typename T>
struct TypeText<std::vector<T>> {
  static constexpr auto kText = TypeText<T>::kText + FixedText("[::1]");
};

}  // namespace rbc
