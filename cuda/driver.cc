// The CUDA Driver API, opened at run time.
// SPDX-License-Identifier: Apache-2.0
#include "cuda/driver.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>

namespace rbc::cuda {
namespace {

// The name that drivers have; libcuda.so without a number is often the toolkit's stub, whose cuInit fails.
constexpr const char* kLibrary = "libcuda.so.1";

struct Row {
  CUresult result;
  Meaning meaning;
};
// By number, from cuda.h of 13.0.
constexpr Row kMeanings[] = {
    {1, {Remedy::kUser, ""}},    // invalid value
    {2, {Remedy::kMemory, ""}},  // out of memory
    {3, {Remedy::kDefect, ""}},  // not initialised
    {4, {Remedy::kSticky, "the driver was shut down"}},
    {5, {Remedy::kDefect, ""}},         // profiler disabled
    {34, {Remedy::kUnavailable, ""}},   // stub library
    {36, {Remedy::kRetry, ""}},         // call requires newer driver
    {46, {Remedy::kRetry, ""}},         // device unavailable: exclusive, or on its way out
    {100, {Remedy::kUnavailable, ""}},  // no device
    {101, {Remedy::kUnavailable, ""}},  // invalid device
    {102, {Remedy::kUnavailable, ""}},  // device not licensed
    {200, {Remedy::kModule, ""}},       // invalid image
    {201, {Remedy::kDefect, ""}},       // invalid context
    {205, {Remedy::kMemory, ""}},       // map failed
    {206, {Remedy::kMemory, ""}},       // unmap failed
    {209, {Remedy::kModule, ""}},       // no binary for this GPU
    {214, {Remedy::kSticky, "uncorrectable memory error of the GPU"}},
    {215, {Remedy::kUnavailable, ""}},  // unsupported limit
    {216, {Remedy::kRetry, ""}},        // context already in use
    {217, {Remedy::kUnavailable, ""}},  // peer access unsupported
    {218, {Remedy::kModule, ""}},       // invalid PTX
    {220, {Remedy::kSticky, "uncorrectable error of the GPU's links"}},
    {221, {Remedy::kUnavailable, ""}},  // JIT compiler not found
    {222, {Remedy::kModule, ""}},       // unsupported PTX version
    {223, {Remedy::kUnavailable, ""}},  // JIT compilation disabled
    {224, {Remedy::kUser, ""}},         // unsupported execution affinity
    {225, {Remedy::kModule, ""}},       // unsupported device-side synchronisation
    {226, {Remedy::kSticky, "contained memory error of the GPU"}},
    {300, {Remedy::kModule, ""}},       // invalid source
    {301, {Remedy::kUnavailable, ""}},  // file not found
    {302, {Remedy::kModule, ""}},       // shared object symbol not found
    {303, {Remedy::kUnavailable, ""}},  // shared object initialisation failed
    {304, {Remedy::kMemory, ""}},       // operating system
    {400, {Remedy::kDefect, ""}},       // invalid handle
    {401, {Remedy::kDefect, ""}},       // illegal state
    {500, {Remedy::kModule, ""}},       // named symbol not found
    {600, {Remedy::kRetry, ""}},        // not ready
    {700, {Remedy::kSticky, "invalid memory access"}},
    {701, {Remedy::kUser, ""}},  // too many resources for the launch
    {702, {Remedy::kSticky, "the kernel ran into the driver's time limit"}},
    {703, {Remedy::kUser, ""}},    // incompatible texturing
    {704, {Remedy::kDefect, ""}},  // peer access already enabled
    {705, {Remedy::kDefect, ""}},  // peer access not enabled
    {708, {Remedy::kDefect, ""}},  // primary context active
    {709, {Remedy::kSticky, "the context was destroyed"}},
    {710, {Remedy::kSticky, "assertion failed"}},
    {711, {Remedy::kMemory, ""}},  // too many peers
    {712, {Remedy::kDefect, ""}},  // host memory already registered
    {713, {Remedy::kDefect, ""}},  // host memory not registered
    {714, {Remedy::kSticky, "stack overflow"}},
    {715, {Remedy::kSticky, "illegal instruction"}},
    {716, {Remedy::kSticky, "misaligned memory access"}},
    {717, {Remedy::kSticky, "access in the wrong address space"}},
    {718, {Remedy::kSticky, "jump to an invalid address"}},
    {719, {Remedy::kSticky, "trap"}},  // launch failed: traps arrive as this one
    {720, {Remedy::kUser, ""}},        // cooperative launch too large
    {721, {Remedy::kSticky, "tensor memory leaked"}},
    {800, {Remedy::kUnavailable, ""}},  // not permitted
    {801, {Remedy::kUser, ""}},         // not supported
    {802, {Remedy::kRetry, ""}},        // system not ready
    {803, {Remedy::kUnavailable, ""}},  // driver mismatch
    {804, {Remedy::kUnavailable, ""}},  // compatibility not supported on this device
    {999, {Remedy::kSticky, "unknown failure of the GPU"}},
};

Error ErrorOf(Meaning meaning, std::string message) {
  const auto kind = [&] {
    switch (meaning.remedy) {
      case Remedy::kUser:
        return ErrorKind::kInvalidArgument;
      case Remedy::kModule:
        return ErrorKind::kInvalidModule;
      case Remedy::kMemory:
        return ErrorKind::kResourceExhausted;
      case Remedy::kRetry:
        return ErrorKind::kBusy;
      case Remedy::kUnavailable:
        return ErrorKind::kUnavailable;
      case Remedy::kSticky:
        return ErrorKind::kRemoteCrash;
      case Remedy::kDefect:
        break;
    }
    return ErrorKind::kInternal;
  }();
  Error error(kind, std::move(message));
  error.role = "execution worker";
  error.cause = meaning.cause;
  error.may_have_run = kind == ErrorKind::kRemoteCrash;
  if (kind == ErrorKind::kBusy) error.retry_after_ms = 100;
  return error;
}

}  // namespace

Meaning MeaningOf(CUresult result) {
  const auto* row =
      std::find_if(std::begin(kMeanings), std::end(kMeanings), [&](const Row& r) { return r.result == result; });
  return row == std::end(kMeanings) ? Meaning{Remedy::kSticky, "unknown failure of the GPU"} : row->meaning;
}

Status Driver::Check(CUresult result, const char* what) const {
  if (result == kSuccess) return {};
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName == nullptr || cuGetErrorName(result, &name) != kSuccess || name == nullptr) name = "unknown";
  if (cuGetErrorString == nullptr || cuGetErrorString(result, &text) != kSuccess || text == nullptr)
    text = "no description";
  return ErrorOf(MeaningOf(result), fmt::format("{}: {} ({}, error {})", what, text, name, result));
}

Expected<std::shared_ptr<const Driver>> Driver::Open(const std::string& path) {
  const std::string library = path.empty() ? kLibrary : path;
  void* handle = dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* reason = dlerror();
    return Error(ErrorKind::kUnavailable,
                 fmt::format("NVIDIA's driver cannot be opened: {}", reason == nullptr ? library : reason));
  }
  auto driver = std::make_shared<Driver>();
#define RBC_X(name, symbol, parameters)                                           \
  driver->name = reinterpret_cast<decltype(driver->name)>(dlsym(handle, symbol)); \
  if (driver->name == nullptr)                                                    \
    return Error(ErrorKind::kUnavailable, "NVIDIA's driver is too old: it lacks " symbol "; install a newer one");
  RBC_CUDA_FUNCTIONS(RBC_X)
#undef RBC_X
  auto started = driver->Check(driver->cuInit(0), "cuInit");
  if (!started) {
    // Whatever it is, there is no GPU to be had.
    started.error().kind = ErrorKind::kUnavailable;
    return std::move(started).error();
  }
  return std::shared_ptr<const Driver>(std::move(driver));
}

}  // namespace rbc::cuda
