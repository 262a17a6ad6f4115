// Arrays that stay on the farm between calls.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "rbc/api.h"
#include "rbc/exception.h"
#include "rbc/signature.h"

namespace rbc {

namespace detail {
struct BufferState;
struct Core;
struct Inside;
}  // namespace detail

// What the farm lists.
struct BufferDescription {
  int64_t id = 0;
  std::string name;
  std::string dtype;  // "float64"
  std::vector<int64_t> shape;
  std::vector<int64_t> strides;  // bytes
  int64_t bytes = 0;
  std::string target{};  // the device that it lies on; "": the farm's own memory
};

struct BufferOptions {
  std::string name{};    // for people
  bool fortran = false;  // the first dimension is innermost, else the last
  std::string target{};  // "cuda", "cuda:1": in the memory of that device; "", "host": in the farm's own
};

// An n-dimensional array in the memory of a session, or a view of one. Copies and views are the same array; it is freed
// with the last of them. Its content is whoever's who writes last: guard it as you guard other memory. Thread-safe but
// for that. Where the farm is on this machine its memory is this process's too (data()); else copies travel.
class RBC_API Buffer {
 public:
  int64_t id() const;
  const std::string& name() const;
  const std::string& target() const;  // the device that it lies on; "": the farm's own memory
  const std::string& dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  const std::vector<int64_t>& strides() const { return strides_; }  // bytes; may be negative in views
  int64_t size() const { return size_; }                            // elements
  size_t element_size() const { return element_size_; }
  size_t bytes() const { return static_cast<size_t>(size_) * element_size_; }  // of the elements
  int64_t offset() const { return offset_; }  // of the element with index 0, 0, ...; bytes from the buffer's begin
  // Whether the elements lie side by side in C order.
  bool is_contiguous() const;

  // Of the element with index 0, 0, ...: null where the memory is not shared with this process. Valid as long as this
  // handle, or a copy or view of it.
  void* data() const;
  // The elements in place. kInvalidArgument: another type, not contiguous, or not shared. kBufferLost.
  template <typename T>
  Result<std::span<T>> try_span() const {
    if (const auto wrong = CheckSpan(TypeText<std::remove_cv_t<T>>::kText.view()); !wrong) return wrong.error();
    return std::span<T>(static_cast<T*>(data()), static_cast<size_t>(size_));
  }
  template <typename T>
  std::span<T> span() const {
    return ValueOrThrow(try_span<T>());
  }

  // All elements in C order, from and to memory of this process. kInvalidArgument: not exactly bytes() of it.
  // kBufferLost: freed, or gone with its session.
  Result<void> try_copy_from(const void* from, size_t bytes) const;
  Result<void> try_copy_to(void* to, size_t bytes) const;
  template <typename T>
  void copy_from(std::span<const T> from) const {
    CheckType(TypeText<T>::kText.view());
    ValueOrThrow(try_copy_from(from.data(), from.size_bytes()));
  }
  template <typename T>
  void copy_from(const std::vector<T>& from) const {
    copy_from(std::span<const T>(from));
  }
  template <typename T>
  void copy_to(std::span<T> to) const {
    CheckType(TypeText<T>::kText.view());
    ValueOrThrow(try_copy_to(to.data(), to.size_bytes()));
  }
  template <typename T>
  std::vector<T> to_host() const {
    std::vector<T> out(static_cast<size_t>(size_));
    copy_to(std::span<T>(out));
    return out;
  }

  // A new array with these elements, on another device or, with "host", in the farm's memory. They do not travel to
  // this machine. kBusy: the device is in use; errors of try_empty.
  Result<Buffer> try_to_target(std::string target) const;
  Buffer to_target(std::string target) const { return ValueOrThrow(try_to_target(std::move(target))); }
  // All elements of an array of the same type and shape in the same session, wherever both lie. kInvalidArgument.
  Result<void> try_copy_from(const Buffer& from) const;
  void copy_from(const Buffer& from) const { ValueOrThrow(try_copy_from(from)); }

  // Views: the same memory, nothing is copied. Of `dimension` the indices start, start + step, ... before `stop`
  // (behind it where step is negative; -1 as stop is then the array's begin). kInvalidArgument.
  Result<Buffer> try_slice(size_t dimension, int64_t start, int64_t stop, int64_t step = 1) const;
  Buffer slice(size_t dimension, int64_t start, int64_t stop, int64_t step = 1) const {
    return ValueOrThrow(try_slice(dimension, start, stop, step));
  }
  // The same elements in another shape. kInvalidArgument: another number of them, or they are not contiguous.
  Result<Buffer> try_reshape(std::vector<int64_t> shape) const;
  Buffer reshape(std::vector<int64_t> shape) const { return ValueOrThrow(try_reshape(std::move(shape))); }
  // The dimensions in reverse order.
  Buffer transpose() const;
  // Of an array of structs one member of each element: the results of a function that has several. kInvalidArgument: no
  // structs, or they have no such member.
  Result<Buffer> try_member(size_t number) const;
  Buffer member(size_t number) const { return ValueOrThrow(try_member(number)); }
  // kInvalidArgument: it is no array of `rank` dimensions with elements of that type, side by side in C order.
  Status CheckArray(std::string_view type, size_t rank) const;

  // Ends it now, for all handles. What works on it finishes.
  void free() const;

 private:
  friend struct detail::Inside;
  friend class RemoteJIT;
  Buffer(std::shared_ptr<detail::BufferState> state);  // all of it
  Status CheckSpan(std::string_view type) const;
  void CheckType(std::string_view type) const;  // throws

  std::shared_ptr<detail::BufferState> state_;
  std::string dtype_;
  std::vector<int64_t> shape_, strides_;
  int64_t offset_ = 0;
  int64_t size_ = 0;
  size_t element_size_ = 1;
};

}  // namespace rbc
