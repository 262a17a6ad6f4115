// Functions on a farm: Caller picks a signature by the arguments, Function<R(A...)> has the one of its C++ type.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "rbc/array.h"
#include "rbc/array_view.h"
#include "rbc/buffer.h"
#include "rbc/map.h"
#include "rbc/pending.h"
#include "rbc/signature.h"
#include "rbc/source.h"
#include "rbc/value.h"

namespace rbc {

namespace detail {

// Caller's insides; in the library.
struct CallerState;
class QueueState;
// For bindings to other languages that are built with the library.
struct Inside;

// A parameter that does not lie in the frame itself: text, or memory behind a pointer.
enum class ReferenceKind : uint8_t { kText, kIn, kInOut, kOut };
struct Reference {
  const void* data = nullptr;  // null: a null pointer
  size_t bytes = 0;
  uint32_t slot = 0;  // offset of its cell in the frame
  ReferenceKind kind = ReferenceKind::kIn;
  bool is_array = false;           // its slot begins with 8 bytes for its place; shape and strides are there already
  const Buffer* buffer = nullptr;  // an array that stays on the farm
};
struct TypedCall {
  const char* frame = nullptr;
  uint32_t frame_size = 0;
  std::span<const Reference> references;
  void* result = nullptr;  // result_size bytes
  uint32_t result_size = 0;
  std::string* text = nullptr;  // for a result that is text
  // For a result that is an array: makes room for its bytes in the vector.
  void* (*resize)(void* vector, size_t bytes) = nullptr;
  void* vector = nullptr;
  std::atomic<int64_t>* request_id = nullptr;
};
// Null: it went well. `index` is of the caller's signatures.
RBC_API std::unique_ptr<Error> Invoke(CallerState& caller, size_t index, int64_t timeout_ms, const TypedCall& call);

// Calls of plain values alone: frames and results side by side.
struct TypedRows {
  size_t count = 0;
  const char* frames = nullptr;
  uint32_t frame_size = 0;
  char* results = nullptr;
  uint32_t result_size = 0;
};
using FailedRows = std::vector<std::pair<size_t, Error>>;  // by their numbers, rising; their results are not touched
RBC_API Result<FailedRows> InvokeRows(CallerState& caller, size_t index, int64_t timeout_ms, const TypedRows& rows);

template <typename T>
inline constexpr bool kIsText =
    std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view> || std::is_same_v<T, const char*>;

// How an argument of type T lies in a frame: its bytes, or a cell of 8 and a Reference.
template <typename T>
struct Slot {
  static_assert(std::is_trivially_copyable_v<T>, "only plain values, text and memory can be arguments");
  static constexpr size_t kSize = sizeof(T), kAlignment = alignof(T), kReferences = 0;
  static void Store(const T& value, char* frame, uint32_t offset, Reference*&) {
    std::memcpy(frame + offset, &value, std::is_same_v<T, long double> ? 10 : sizeof(T));
  }
};
struct CellSlot {
  static constexpr size_t kSize = 8, kAlignment = 8, kReferences = 1;
};
template <typename T>
requires kIsText<T>
struct Slot<T> : CellSlot {
  static void Store(const T& value, char*, uint32_t offset, Reference*& next) {
    if constexpr (std::is_same_v<T, const char*>) {
      *next++ = {value, value == nullptr ? 0 : std::strlen(value), offset, ReferenceKind::kText};
    } else {
      *next++ = {value.data() == nullptr ? "" : value.data(), value.size(), offset, ReferenceKind::kText};
    }
  }
};
// A plain pointer is to one object; null stays null.
template <typename T>
requires(!kIsText<T*>) struct Slot<T*> : CellSlot {
  static void Store(T* value, char*, uint32_t offset, Reference*& next) {
    *next++ = {value, sizeof(T), offset, std::is_const_v<T> ? ReferenceKind::kIn : ReferenceKind::kInOut};
  }
};
template <typename T>
struct Slot<std::span<T>> : CellSlot {
  static void Store(std::span<T> value, char*, uint32_t offset, Reference*& next) {
    *next++ = {value.data(), value.size_bytes(), offset,
               std::is_const_v<T> ? ReferenceKind::kIn : ReferenceKind::kInOut};
  }
};
template <typename T>
struct Slot<Out<T>> : CellSlot {
  static void Store(const Out<T>& value, char*, uint32_t offset, Reference*& next) {
    *next++ = {value.data(), value.size_bytes(), offset, ReferenceKind::kOut};
  }
};

template <typename T, size_t kRank>
struct Slot<ArrayView<T, kRank>> {
  static constexpr size_t kSize = 8 + 16 * kRank, kAlignment = 8, kReferences = 1;
  static void Store(const ArrayView<T, kRank>& value, char* frame, uint32_t offset, Reference*& next) {
    const auto strides = value.strides();
    std::memcpy(frame + offset + 8, value.shape().data(), sizeof strides);
    std::memcpy(frame + offset + 8 + sizeof strides, strides.data(), sizeof strides);
    *next++ = {value.data(), value.size_bytes(),
               offset,       std::is_const_v<T> ? ReferenceKind::kIn : ReferenceKind::kInOut,
               true,         value.buffer()};
  }
};

// Natural alignment, in order; checked against the library's own layout before the first call.
template <typename... A>
struct FrameOf {
  static constexpr size_t kCount = sizeof...(A);
  static constexpr size_t kReferences = (size_t{0} + ... + Slot<A>::kReferences);
  static constexpr auto kLayout = [] {
    std::pair<std::array<uint32_t, kCount + 1>, uint32_t> out{};
    size_t at = 0, i = 0;
    ((at = (at + Slot<A>::kAlignment - 1) / Slot<A>::kAlignment * Slot<A>::kAlignment,
      out.first[i++] = static_cast<uint32_t>(at), at += Slot<A>::kSize),
     ...);
    out.second = static_cast<uint32_t>(at);
    return out;
  }();
  static constexpr uint32_t kSize = kLayout.second;

  alignas(16) char bytes[kSize + 1] = {};
  std::array<Reference, kReferences + 1> references{};

  explicit FrameOf(const A&... arguments) {
    Reference* next = references.data();
    size_t i = 0;
    (Slot<A>::Store(arguments, bytes, kLayout.first[i++], next), ...);
    (void)next;
    (void)i;
  }
};

template <typename R>
using NonVoid = std::conditional_t<std::is_void_v<R>, char, R>;
// The error of a row of a batch, with its number.
RBC_API Error OfRow(const std::pair<size_t, Error>& failed);

}  // namespace detail

template <typename F>
class Function;

// What a call gave besides its value.
struct CallResult {
  Value value;
  std::string output;     // what the function printed
  std::string signature;  // the one that took the arguments
  std::string symbol;
  int status = 0;              // of a status_retptr function
  std::vector<Buffer> kept{};  // of try_keep: the arrays of the result, in its order
};

// A function with one or more signatures. Copies are the same function. Thread-safe. Compiled at its first call;
// unloaded from the farm with the last copy.
class RBC_API Caller {
 public:
  // The call whose signature takes the arguments with the lowest penalty. Throws Exception.
  template <typename... A>
  Value operator()(A&&... arguments) const {
    const std::array<Value, sizeof...(A)> values{Value(std::forward<A>(arguments))...};
    return call(values);
  }
  Value call(std::span<const Value> arguments) const;
  Value call(std::initializer_list<Value> arguments) const {
    return call(std::span(arguments.begin(), arguments.size()));
  }
  // A status other than 0 is no error here.
  Result<CallResult> try_call(std::span<const Value> arguments) const { return CallNumbered(arguments, nullptr); }
  Result<CallResult> try_call(std::initializer_list<Value> arguments) const {
    return try_call(std::span(arguments.begin(), arguments.size()));
  }
  // The same on a thread of the library. Memory behind pointers must outlive the call.
  template <typename... A>
  Pending<Value> call_async(A&&... arguments) const {
    return Pending<Value>::Start(
        core(), [self = *this, values = std::vector<Value>{Value(std::forward<A>(arguments))...}](
                    std::atomic<int64_t>* request_id) { return self.ValueOf(self.CallNumbered(values, request_id)); });
  }

  // A call for each row of arguments, in one message for each signature that they take, one behind the other. A row
  // that fails has its error and stops no other; the error of the whole is one of the message, such as a lost
  // connection.
  Result<std::vector<Result<CallResult>>> try_batch(std::span<const std::vector<Value>> rows) const;

  // The call of a function on host that returns an array, which stays on the farm: nothing of it travels.
  template <typename... A>
  Buffer keep(A&&... arguments) const {
    const std::array<Value, sizeof...(A)> values{Value(std::forward<A>(arguments))...};
    return ValueOrThrow(KeptArray(try_keep(values)));
  }
  // The same of one that returns a struct with arrays too. They are in `kept`, and `value` has nothing in their places.
  // `name` of the arrays is for people. A status other than 0 is no error here. kInvalidArgument: it returns none.
  Result<CallResult> try_keep(std::span<const Value> arguments, const std::string& name = {}) const;

  // The function for each of `rows` rows, on the target in one go. Columns are of the parameters' very types; the first
  // signature that has them is taken. A status other than 0 is no error here.
  Result<MapResult> try_map(int64_t rows, std::span<const Column> columns) const;
  MapResult map(int64_t rows, std::initializer_list<Column> columns) const {
    return ValueOrThrow(try_map(rows, std::span(columns.begin(), columns.size())));
  }
  // The function for each element of arrays that stretch to one shape by NumPy's rules. The signature is chosen as for
  // a call, by the arrays' element types; elements of other types than its parameters are converted. A status other
  // than 0 is no error here.
  Result<ArrayResult> try_map_arrays(std::span<const ArrayArgument> arrays, const ArrayMapOptions& options = {}) const;
  ArrayResult map_arrays(std::initializer_list<ArrayArgument> arrays, const ArrayMapOptions& options = {}) const {
    return ValueOrThrow(try_map_arrays(std::span(arrays.begin(), arrays.size()), options));
  }
  // An associative function T(T, T) over the elements of an array. A status other than 0 is no error here.
  Result<ArrayResult> try_reduce(const ArrayArgument& array, const ArrayReduceOptions& options = {}) const;
  ArrayResult reduce(const ArrayArgument& array, const ArrayReduceOptions& options = {}) const {
    return ValueOrThrow(try_reduce(array, options));
  }
  // Element i of the result is the reduction of elements 0 to i; on host strictly first to last.
  Result<ArrayResult> try_scan(const ArrayArgument& array, const ArrayScanOptions& options = {}) const;
  ArrayResult scan(const ArrayArgument& array, const ArrayScanOptions& options = {}) const {
    return ValueOrThrow(try_scan(array, options));
  }
  // A kernel (CallAbi::kKernel) over a grid of threads. Memory that the kernel writes is there when it returns.
  Result<CallResult> try_launch(const Grid& grid, std::span<const Value> arguments) const;
  template <typename... A>
  void launch(const Grid& grid, A&&... arguments) const {
    const std::array<Value, sizeof...(A)> values{Value(std::forward<A>(arguments))...};
    ValueOrThrow(try_launch(grid, values));
  }

  // Where it runs: "host". The new target is asked of the farm; returns the previous one. kUnknownTarget lists the
  // farm's.
  std::string target() const;
  std::string target(std::string_view next);
  // Throws for a type that is no function or has another number of parameters. False: it was there already.
  bool add_signature(std::string_view signature);
  template <typename F>
  bool add_signature() {
    return add_signature(kSignature<F>);
  }
  std::vector<std::string> signatures() const;
  // The module as LLVM IR text. Bitcode is printed by the farm.
  std::string get_IR() const;
  const std::string& name() const;
  // Compiles now. What is wrong with the code is told here instead of at the first call.
  void compile() const;

  // The typed callable of one of the signatures; added if there is none of this type.
  template <typename F>
  Function<F> as();
  // The same function with another limit for each call, waiting included.
  Caller with_timeout(std::chrono::milliseconds timeout) const;

  // Lets others find the function by `name` in the session's namespace. REQUIRES: exactly one signature.
  void publish(const std::string& name, std::chrono::milliseconds expires = std::chrono::milliseconds(0)) const;

  // Hex of the handle that names the compiled module, and how the last compile went: JSON for tools.
  struct Compiled {
    std::string handle;
    bool cached = false;
    std::vector<std::pair<std::string, int64_t>> timings_us;
    std::vector<Diagnostic> warnings;
  };
  Result<Compiled> try_compile() const;

  const std::shared_ptr<detail::Core>& core() const;

 private:
  friend class RemoteJIT;
  friend struct detail::Inside;
  friend class detail::QueueState;
  template <typename F>
  friend class Function;
  Caller(std::shared_ptr<detail::CallerState> state, int64_t timeout_ms)
      : state_(std::move(state)), timeout_ms_(timeout_ms) {}
  Result<CallResult> CallNumbered(std::span<const Value> arguments, std::atomic<int64_t>* request_id) const;
  // A status other than 0 as an error.
  Result<Value> ValueOf(Result<CallResult> result) const;
  Result<Buffer> KeptArray(Result<CallResult> result) const;
  size_t IndexOf(std::string_view signature);

  std::shared_ptr<detail::CallerState> state_;
  int64_t timeout_ms_ = 0;  // 0: the farm's limits
};

// A function of one C++ type. Copies are the same function. Thread-safe.
//   auto add = rjit.function<double(double, double)>(source, "add");
//   add(1.5, 2.0);
// Parameters: numbers, std::complex, structs (TypeText), text; T* is one object, std::span<const T> memory that is
// read, std::span<T> read and written, Out<T> written; ArrayView is an array. A result is void, plain, std::string or
// std::vector, an array of one dimension.
template <typename R, typename... A>
class Function<R(A...)> {
 public:
  R operator()(std::type_identity_t<A>... arguments) const {
    if constexpr (std::is_void_v<R>) {
      if (auto error = Run(nullptr, nullptr, nullptr, arguments...)) throw Exception(std::move(*error));
    } else {
      R result{};
      if (auto error = RunInto(result, nullptr, arguments...)) throw Exception(std::move(*error));
      return result;
    }
  }
  Result<R> try_call(std::type_identity_t<A>... arguments) const { return Try(nullptr, arguments...); }
  // Of one that returns an array: it stays on the farm.
  Buffer keep(std::type_identity_t<A>... arguments) const {
    static_assert(detail::kIsVector<R>, "only an array can stay on the farm");
    return caller_.keep(arguments...);
  }
  // Memory behind pointers, spans and views must outlive the call.
  Pending<R> call_async(std::type_identity_t<A>... arguments) const {
    return Pending<R>::Start(caller_.core(), [self = *this, kept = std::tuple<std::remove_cvref_t<A>...>(arguments...)](
                                                 std::atomic<int64_t>* request_id) {
      return std::apply([&](const auto&... a) { return self.Try(request_id, a...); }, kept);
    });
  }
  // A call for each row, in one message, one behind the other: for many small calls with arguments that are no arrays.
  // A row that fails stops no other. `batch` throws the error of the first that does, with its number.
  using Arguments = std::tuple<std::remove_cvref_t<A>...>;
  using Results = std::conditional_t<std::is_void_v<R>, void, std::vector<detail::NonVoid<R>>>;
  Results batch(std::span<const Arguments> rows) const {
    Rows out(rows);
    const detail::FailedRows failed = ValueOrThrow(out.Run(*this));
    if (!failed.empty()) throw Exception(detail::OfRow(failed.front()));
    if constexpr (!std::is_void_v<R>) return Results(out.results.get(), out.results.get() + rows.size());
  }
  Result<std::vector<Result<R>>> try_batch(std::span<const Arguments> rows) const {
    Rows out(rows);
    Result<detail::FailedRows> failed = out.Run(*this);
    if (!failed) return std::move(failed).error();
    std::vector<Result<R>> results;
    results.reserve(rows.size());
    auto next = failed->begin();
    for (size_t i = 0; i < rows.size(); ++i) {
      if (next != failed->end() && next->first == i) {
        results.emplace_back(std::move(next++->second));
      } else if constexpr (std::is_void_v<R>) {
        results.emplace_back();
      } else {
        results.emplace_back(out.results[i]);
      }
    }
    return results;
  }
  // One call for each element of arrays that stretch to one shape: vectors, spans and buffers of the session, or one
  // value for all. The results in C order. kInvalidArgument: shapes that do not stretch, an element whose status is not
  // 0. Of arrays with gaps or more dimensions: Caller::map_arrays.
  template <typename... C>
  std::vector<R> map(const C&... arrays) const {
    static_assert(std::is_trivially_copyable_v<R>);
    return MapArrays({}, arrays...).template as<R>();
  }
  // The same into `out`, a vector, span or buffer of the results' shape.
  template <typename Into, typename... C>
  void map_into(Into&& out, const C&... arrays) const {
    ArrayMapOptions options;
    if constexpr (detail::kIsBuffer<Into>) {
      options.out = ArrayArgument::Of(out);
    } else {
      options.out = ArrayArgument::Of(std::span<R>(out));
    }
    MapArrays(options, arrays...);
  }
  Function with_timeout(std::chrono::milliseconds timeout) const {
    return Function(caller_.with_timeout(timeout), index_);
  }
  const Caller& caller() const { return caller_; }
  Caller& caller() { return caller_; }

 private:
  friend class Caller;
  friend class RemoteJIT;
  Function(Caller caller, size_t index) : caller_(std::move(caller)), index_(index) {}

  // The rows of a batch, packed.
  struct Rows {
    using Frame = detail::FrameOf<std::remove_cvref_t<A>...>;
    using Plain = detail::NonVoid<R>;
    static_assert(Frame::kReferences == 0 && std::is_trivially_copyable_v<Plain> && !std::is_pointer_v<Plain>,
                  "the rows of a batch are plain values; Caller::try_batch takes text and memory too");
    explicit Rows(std::span<const Arguments> rows)
        : count(rows.size()), frames(count * Frame::kSize + 1, '\0'), results(new Plain[count]()) {
      char* next = frames.data();
      for (const Arguments& row : rows) {
        std::memcpy(next, std::make_from_tuple<Frame>(row).bytes, Frame::kSize);
        next += Frame::kSize;
      }
    }
    Result<detail::FailedRows> Run(const Function& function) {
      return detail::InvokeRows(*function.caller_.state_, function.index_, function.caller_.timeout_ms_,
                                {count, frames.data(), Frame::kSize, reinterpret_cast<char*>(results.get()),
                                 std::is_void_v<R> ? 0 : static_cast<uint32_t>(sizeof(Plain))});
    }
    size_t count;
    std::string frames;
    std::unique_ptr<Plain[]> results;
  };

  template <typename... C>
  ArrayResult MapArrays(const ArrayMapOptions& options, const C&... arrays) const {
    static_assert(sizeof...(C) == sizeof...(A), "a map takes an array or a value for each parameter");
    static_assert((detail::kIsElements<C> || ...), "a map needs at least one array; call the function instead");
    const std::array<ArrayArgument, sizeof...(C)> all{detail::ElementsOf<std::remove_cvref_t<A>>(arrays)...};
    ArrayResult result = ValueOrThrow(caller_.try_map_arrays(all, options));
    if (result.status != 0)
      throw Exception(Error(ErrorKind::kInvalidArgument, "'" + caller_.name() + "' returns status " +
                                                             std::to_string(result.status) + " for element " +
                                                             std::to_string(result.row)));
    return result;
  }

  Result<R> Try(std::atomic<int64_t>* request_id, const std::remove_cvref_t<A>&... arguments) const {
    if constexpr (std::is_void_v<R>) {
      if (auto error = Run(nullptr, nullptr, request_id, arguments...)) return std::move(*error);
      return {};
    } else {
      R result{};
      if (auto error = RunInto(result, request_id, arguments...)) return std::move(*error);
      return result;
    }
  }
  template <typename Into>
  std::unique_ptr<Error> RunInto(Into& result, std::atomic<int64_t>* request_id,
                                 const std::remove_cvref_t<A>&... arguments) const {
    if constexpr (std::is_same_v<R, std::string>) {
      return Run(nullptr, &result, request_id, arguments...);
    } else if constexpr (detail::kIsVector<R>) {
      return Run(&result, nullptr, request_id, arguments...);
    } else {
      static_assert(std::is_trivially_copyable_v<R> && !std::is_pointer_v<R>,
                    "a result is void, a plain value, std::string or std::vector");
      return Run(&result, nullptr, request_id, arguments...);
    }
  }
  std::unique_ptr<Error> Run(void* result, std::string* text, std::atomic<int64_t>* request_id,
                             const std::remove_cvref_t<A>&... arguments) const {
    using Frame = detail::FrameOf<std::remove_cvref_t<A>...>;
    const Frame frame(arguments...);
    detail::TypedCall call;
    call.frame = frame.bytes;
    call.frame_size = Frame::kSize;
    call.references = std::span(frame.references.data(), Frame::kReferences);
    if constexpr (detail::kIsVector<R>) {
      call.vector = result;
      call.resize = [](void* vector, size_t bytes) -> void* {
        static_cast<R*>(vector)->resize(bytes / sizeof(typename R::value_type));
        return static_cast<R*>(vector)->data();
      };
    } else {
      call.result = result;
      if constexpr (!std::is_void_v<R> && !std::is_same_v<R, std::string>) call.result_size = sizeof(R);
    }
    call.text = text;
    call.request_id = request_id;
    return detail::Invoke(*caller_.state_, index_, caller_.timeout_ms_, call);
  }

  Caller caller_;
  size_t index_ = 0;
};

template <typename F>
Function<F> Caller::as() {
  const size_t index = IndexOf(kSignature<F>);
  return Function<F>(*this, index);
}

}  // namespace rbc
