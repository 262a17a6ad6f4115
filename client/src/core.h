// What the public classes share behind their handles.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "client/src/farm.h"
#include "client/src/held_buffers.h"
#include "client/src/ready_launches.h"
#include "client/src/ready_maps.h"
#include "client/src/task.h"
#include "rbc/function.h"
#include "rbc/queue.h"
#include "rbc/remote_jit.h"
#include "types/frame.h"
#include "types/pack.h"
#include "types/type.h"

namespace rbc::detail {

// A RemoteJIT.
struct Core {
  std::shared_ptr<client::Farm> farm;
  RemoteJIT::Options options;
  client::TaskPool tasks;
  HeldBuffers buffers;

  // What functions print goes where the user wants it.
  void Print(std::string_view text) const;
  // A request's limit; `is_explicit` tells whether the user has set one.
  client::Deadline DeadlineOf(int64_t timeout_ms, bool* is_explicit = nullptr) const;
  // The same before it begins to run, in milliseconds.
  int64_t TimeoutOf(int64_t timeout_ms, bool* is_explicit) const;
};

// Bytes of the arrays that a function gave last. Thread-safe; a hint.
class SeenBytes {
 public:
  static constexpr uint64_t kNever = ~uint64_t{0};
  SeenBytes() = default;
  SeenBytes(const SeenBytes& other) : last_(other.Last()) {}
  uint64_t Last() const { return last_.load(std::memory_order_relaxed); }
  void Note(uint64_t bytes) const { last_.store(bytes, std::memory_order_relaxed); }

 private:
  mutable std::atomic<uint64_t> last_{kNever};
};

// One signature of a function.
struct Overload {
  types::Type type;
  types::FrameLayout layout;
  SeenBytes result_bytes{};
};

// A function's module for one target and set of signatures. Immutable.
struct Prepared {
  std::string target;
  std::vector<std::shared_ptr<const Overload>> overloads;
  std::vector<types::Type> types;
  // Where in the module each overload is, or why it is not there.
  std::vector<Expected<size_t>> declared;
  std::shared_ptr<client::Module> module;
};

// A Caller.
struct CallerState {
  CallerState(std::shared_ptr<Core> shared, Source code, std::string function, FunctionOptions how)
      : core(std::move(shared)), source(std::move(code)), name(std::move(function)), options(std::move(how)) {}

  const std::shared_ptr<Core> core;
  const Source source;
  const std::string name;
  const FunctionOptions options;
  std::optional<std::vector<std::string>> defined;  // functions of the source; constant after the start
  bool connected = false;                           // published by somebody: no source
  client::ReadyMaps ready_maps;                     // guarded by the farm's mutex, as the next
  client::ReadyLaunches ready_launches;

  // The module of now; made anew after a change of target or signatures.
  Expected<std::shared_ptr<const Prepared>> Current();
  // The same where it is made already and a call of plain values of these sizes finds all at hand: then `line` is not
  // empty. Null otherwise. In one step for both, because it is on the way of the shortest calls.
  std::shared_ptr<const Prepared> TakeLine(size_t index, uint32_t frame_size, uint32_t result_size,
                                           client::Farm::Line* line);
  // True: it is new.
  Expected<bool> Add(std::string_view signature);
  Expected<size_t> IndexOf(std::string_view signature);
  Expected<std::string> SetTarget(std::string_view next);
  std::string Target() const;
  // REQUIRES: nobody else has this state yet.
  void SetUp(std::string target) { target_ = std::move(target); }
  std::vector<std::shared_ptr<const Overload>> Overloads() const;

  // For a connected function.
  void Adopt(std::shared_ptr<const Prepared> prepared, std::vector<std::shared_ptr<const Overload>> list);

 private:
  Expected<std::shared_ptr<const Prepared>> Prepare(std::string target,
                                                    std::vector<std::shared_ptr<const Overload>> list) const;

  // Guarded by the farm's mutex.
  std::string target_;
  std::vector<std::shared_ptr<const Overload>> overloads_;
  std::shared_ptr<const Prepared> prepared_;
};

// The function's name where the error has none.
Error NameIt(Error error, const std::string& name);
Error BadStatus(const std::string& name, int status);
// How large the arrays of a reply were.
void NoteResult(const Overload& overload, const types::PackedCall* packed, std::string_view data);
// The caller's memory from the reply to a call.
Status TakeMemory(const types::PackedCall& packed, std::string_view data);

Expected<std::shared_ptr<const Overload>> MakeOverload(std::string_view signature);

// What one call gave. A status other than 0 is no error; there is then no value.
struct Answer {
  types::Value value;
  int status = 0;
  std::string output;
};
// Where the time and the bytes of one call went.
struct CallProfile {
  client::CallTimes times;
  int64_t bytes_out = 0;
  int64_t bytes_in = 0;
};
// Calls overload number `index` of `prepared` with values that fit its parameters. `request_id` may be nullptr;
// with a `profile` the farm is asked for its times.
Expected<Answer> CallValues(const CallerState& caller, const Prepared& prepared, size_t index,
                            std::span<const types::Value> values, int64_t timeout_ms,
                            std::atomic<int64_t>* request_id = nullptr, CallProfile* profile = nullptr);
// The same for many rows of values, in one message. An error of a row does not stop the others; an error of the whole
// is that of the message. At most once, as every call.
Expected<std::vector<Expected<Answer>>> CallRows(const CallerState& caller, const Prepared& prepared, size_t index,
                                                 const std::vector<std::vector<types::Value>>& rows,
                                                 int64_t timeout_ms);

// As the library's users see it: the answer of overload number `index`.
CallResult ResultOf(const Prepared& prepared, size_t index, Answer answer);
// kUnsupported: a C++ type whose arguments or result lie otherwise than the overload's.
Status CheckSizes(const Overload& overload, uint32_t frame_size, uint32_t result_size);
// A plain result of a reply. kProtocolMismatch: it has another size.
Status CopyResult(std::string_view result, void* out, uint32_t size);

// What bindings to other languages may see of the public classes.
class QueueState;
struct QueuedState;
struct Inside {
  static const std::shared_ptr<CallerState>& State(const Caller& caller) { return caller.state_; }
  static const std::shared_ptr<Core>& CoreOf(const RemoteJIT& rjit) { return rjit.core_; }
  static const BufferState& StateOf(const Buffer& buffer) { return *buffer.state_; }
  static Status FreeNow(const Buffer& buffer);  // as free()
  // An array in the buffer as an argument of a call: its owner is a BufferState. `offset` is from the buffer's begin.
  static types::Buffer ArrayOf(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                               int64_t offset);
  // The array that a step of a queue makes: its owner is a QueuedState.
  static types::Buffer ArrayOf(const QueuedArray& made);
  static Result<Buffer> MakeBuffer(const std::shared_ptr<Core>& core, const wire::BufferSpec& spec);
  // Elements of the same memory laid out otherwise; `offset` is from the buffer's begin. kInvalidArgument: some lie
  // outside of it.
  static Expected<Buffer> ViewOf(const Buffer& buffer, std::vector<int64_t> shape, std::vector<int64_t> strides,
                                 int64_t offset);
  // The members of an array of structs as arrays that are freed one by one; its memory goes with the last of them.
  static Result<std::vector<Buffer>> PartsOf(const Buffer& whole);
  // How a request names it.
  static wire::ArrayRef RefTo(const Buffer& buffer);
  // A buffer that the farm says it has made. kProtocolMismatch: lengths that do not fit.
  // `ends` of workers that cannot have taken it along.
  static Expected<Buffer> Adopt(const std::shared_ptr<Core>& core, client::OwnedBuffer made, uint64_t ends);
  static QueueState& StateOf(const Queue& queue);
  static const std::shared_ptr<QueuedState>& StateOf(const Queued& step);
};

}  // namespace rbc::detail
