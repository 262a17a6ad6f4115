// The door to a farm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rbc/buffer.h"
#include "rbc/function.h"
#include "rbc/queue.h"
#include "rbc/source.h"

namespace rbc {

// A GPU of the farm's; "cuda:NUMBER" is a target that pins to it.
struct DeviceDescription {
  int number = 0;
  std::string name;
  std::string uuid;
  int sm = 0;               // 90
  int64_t memory = 0;       // bytes; 0: not known
  int64_t free_memory = 0;  // when the farm last looked
  std::string driver;       // the CUDA version that it speaks
  int contexts = 0;         // sessions on it now
  int max_contexts = 0;
  bool simulated = false;
};

struct TargetDescription {
  std::string name;  // "host"
  std::string triple;
  std::string data_layout;
  std::string cpu;
  std::string llvm_version;
  int pointer_bits = 64;
  std::vector<std::string> devices;
  bool simulated = false;
  std::vector<DeviceDescription> device_infos{};
};

enum class EmitKind : uint8_t { kObject = 0, kAssembly = 1, kIr = 2, kPtx = 3, kCubin = 4 };

struct Emitted {
  std::string code;
  std::vector<Diagnostic> warnings;
  std::vector<std::pair<std::string, int64_t>> timings_us;
};

// How a function is compiled. The target and the ABI can be left to the RemoteJIT and the source.
struct FunctionOptions {
  std::string target{};
  std::optional<CallAbi> abi{};
  int opt_level = 2;            // 0..3
  bool debug = false;           // keeps DWARF
  bool allow_contract = false;  // a*b+c may be fused
  bool serial = false;          // calls of this module never overlap
  int sm = 0;                   // of what is emitted for GPUs: 90 for sm_90; 0: the farm's own
};

// A farm as this program uses it. Copies share session and connections. Thread-safe; a forked child starts anew.
class RBC_API RemoteJIT {
 public:
  // Work of the processors that saves bytes on the way to a farm. kAuto: where the way is long enough for it.
  enum class Saving : uint8_t { kAuto, kOn, kOff };

  struct Options {
    std::chrono::milliseconds timeout{0};  // of each request, waiting included; 0: the farm's limits
    std::chrono::milliseconds connect_timeout{10'000};
    std::string token;  // empty: RBC_TOKEN, else the one of the user's client.toml
    // TLS, to tls:// addresses. Files in PEM; empty: those of the user's client.toml, else the system's CAs and no
    // certificate of our own.
    std::string ca, certificate, key;
    // Empty: the one of the user's client.toml, else the farm's choice: "default", by a token one of the user's own.
    std::string name_space;
    std::string target = "host";
    bool direct = true;  // calls through shared memory where the farm is behind a Unix socket and offers it
    // Large arrays that the session has had already are not sent again: their digest is. kAuto takes RBC_RECALL (on,
    // off, auto), and spares farms on this machine.
    Saving recall = Saving::kAuto;
    // Arrays travel packed (zstd) where the farm takes that, never through a Unix socket. kAuto takes RBC_COMPRESS (on,
    // off, auto), spares farms on this machine, and packs while the line is measured to be slow enough for it to gain.
    Saving compress = Saving::kAuto;
    // How far a long copy to or from the farm is, in bytes; some times a second, on the thread that copies.
    std::function<void(uint64_t done, uint64_t total)> on_progress;
    // What functions print. Default: this program's standard output. On any thread that calls.
    std::function<void(std::string_view text)> on_output;
  };

  // HOST:PORT, tls://HOST:PORT, unix:PATH, ssh://[user@]host[/path] or the name of a farm in the user's
  // rbc/client.toml; empty: RBC_FARM, else that file's default, else loopback. Opens no connection. Throws Exception:
  // the address is malformed.
  explicit RemoteJIT(std::string_view address = {});
  RemoteJIT(std::string_view address, Options options);

  // Opens nothing: compiled at the first call. `name` is the exact symbol, else the name that stands before the mangled
  // type (add_daddA), else one C++ function of that name. Throws: a signature is malformed.
  Caller function(Source source, std::string name, const std::vector<std::string>& signatures,
                  FunctionOptions options = {}) const;
  template <typename F>
  Function<F> function(Source source, std::string name, FunctionOptions options = {}) const {
    return Function<F>(function(std::move(source), std::move(name), {std::string(kSignature<F>)}, std::move(options)),
                       0);
  }
  // A function that somebody has published under `name` in this namespace.
  Caller connect(const std::string& name) const;
  // kNoMatch: it has another type.
  template <typename F>
  Function<F> connect(const std::string& name) const {
    return connect(name).as<F>();
  }
  void withdraw(const std::string& name) const;

  std::vector<TargetDescription> targets() const { return ValueOrThrow(try_targets()); }
  Result<std::vector<TargetDescription>> try_targets() const;
  // Everything that the farm says about itself, as JSON.
  std::string status() const { return ValueOrThrow(try_status()); }
  Result<std::string> try_status() const;
  // The whole module as object, assembly, optimised IR or PTX.
  Result<Emitted> try_emit(const Source& source, EmitKind emit, FunctionOptions options = {}) const;

  // Arrays that stay on the farm until their last handle is gone. kResourceExhausted: a quota; the message has what is
  // in use, asked for and allowed.
  Result<Buffer> try_empty(std::string dtype, std::vector<int64_t> shape, BufferOptions options = {}) const;
  // `data`: the elements in C order.
  Result<Buffer> try_to_device(std::string dtype, std::vector<int64_t> shape, const void* data, size_t bytes,
                               BufferOptions options = {}) const;
  // Its elements are what they happen to be.
  template <typename T>
  Buffer empty(std::vector<int64_t> shape, BufferOptions options = {}) const {
    return ValueOrThrow(try_empty(std::string(TypeText<T>::kText.view()), std::move(shape), std::move(options)));
  }
  template <typename T>
  Buffer to_device(std::span<const T> data, std::vector<int64_t> shape, BufferOptions options = {}) const {
    return ValueOrThrow(try_to_device(std::string(TypeText<T>::kText.view()), std::move(shape), data.data(),
                                      data.size_bytes(), std::move(options)));
  }
  // One dimension.
  template <typename T>
  Buffer to_device(const std::vector<T>& data, BufferOptions options = {}) const {
    return to_device(std::span<const T>(data), {static_cast<int64_t>(data.size())}, std::move(options));
  }
  // Calls and maps that wait for nothing; rbc/queue.h.
  Queue queue(QueueOptions options = {}) const;
  // What this session has, whoever made it.
  std::vector<BufferDescription> buffers() const { return ValueOrThrow(try_buffers()); }
  Result<std::vector<BufferDescription>> try_buffers() const;
  // Frees the arrays with this name that this RemoteJIT has made, whoever holds them; how many these were. kBufferLost:
  // none.
  size_t free(const std::string& name) const { return ValueOrThrow(try_free(name)); }
  Result<size_t> try_free(const std::string& name) const;

  // Ends the session: names, modules and workers of it are released. The next request starts a new one.
  void close() const;
  const std::string& address() const;

 private:
  friend struct detail::Inside;
  std::shared_ptr<detail::Core> core_;
};

}  // namespace rbc
