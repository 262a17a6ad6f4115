// The CUDA Driver API, opened at run time: one table of symbols, with prototypes of our own. No CUDA header is needed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/expected.h"

namespace rbc::cuda {

// As cuda.h has them: an enumeration passed as int, integers, and pointers to what only the driver knows.
using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = struct CUctx_st*;
using CUmodule = struct CUmod_st*;
using CUfunction = struct CUfunc_st*;
using CUstream = struct CUstream_st*;
using CUevent = struct CUevent_st*;
struct CUuuid {
  char bytes[16];
};

inline constexpr CUresult kSuccess = 0;
inline constexpr CUresult kNotReady = 600;  // cuStreamQuery: at work

// Every function of the driver that is used: its name, the name of its ABI's symbol, its parameters.
#define RBC_CUDA_FUNCTIONS(X)                                                                                     \
  X(cuInit, "cuInit", (unsigned))                                                                                 \
  X(cuDriverGetVersion, "cuDriverGetVersion", (int*))                                                             \
  X(cuDeviceGetCount, "cuDeviceGetCount", (int*))                                                                 \
  X(cuDeviceGet, "cuDeviceGet", (CUdevice*, int))                                                                 \
  X(cuDeviceGetName, "cuDeviceGetName", (char*, int, CUdevice))                                                   \
  X(cuDeviceGetUuid, "cuDeviceGetUuid", (CUuuid*, CUdevice))                                                      \
  X(cuDeviceTotalMem, "cuDeviceTotalMem_v2", (size_t*, CUdevice))                                                 \
  X(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int*, int, CUdevice))                                          \
  X(cuCtxCreate, "cuCtxCreate_v2", (CUcontext*, unsigned, CUdevice))                                              \
  X(cuCtxDestroy, "cuCtxDestroy_v2", (CUcontext))                                                                 \
  X(cuCtxSetCurrent, "cuCtxSetCurrent", (CUcontext))                                                              \
  X(cuCtxSetLimit, "cuCtxSetLimit", (int, size_t))                                                                \
  X(cuMemGetInfo, "cuMemGetInfo_v2", (size_t*, size_t*))                                                          \
  X(cuModuleLoadDataEx, "cuModuleLoadDataEx", (CUmodule*, const void*, unsigned, int*, void**))                   \
  X(cuModuleUnload, "cuModuleUnload", (CUmodule))                                                                 \
  X(cuModuleGetFunction, "cuModuleGetFunction", (CUfunction*, CUmodule, const char*))                             \
  X(cuFuncSetAttribute, "cuFuncSetAttribute", (CUfunction, int, int))                                             \
  X(cuLaunchKernel, "cuLaunchKernel",                                                                             \
    (CUfunction, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, CUstream, void**, void**)) \
  X(cuMemAlloc, "cuMemAlloc_v2", (CUdeviceptr*, size_t))                                                          \
  X(cuMemFree, "cuMemFree_v2", (CUdeviceptr))                                                                     \
  X(cuMemHostAlloc, "cuMemHostAlloc", (void**, size_t, unsigned))                                                 \
  X(cuMemFreeHost, "cuMemFreeHost", (void*))                                                                      \
  X(cuMemHostGetDevicePointer, "cuMemHostGetDevicePointer_v2", (CUdeviceptr*, void*, unsigned))                   \
  X(cuMemcpyHtoDAsync, "cuMemcpyHtoDAsync_v2", (CUdeviceptr, const void*, size_t, CUstream))                      \
  X(cuMemcpyDtoHAsync, "cuMemcpyDtoHAsync_v2", (void*, CUdeviceptr, size_t, CUstream))                            \
  X(cuMemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", (CUdeviceptr, CUdeviceptr, size_t, CUstream))                      \
  X(cuStreamCreate, "cuStreamCreate", (CUstream*, unsigned))                                                      \
  X(cuStreamDestroy, "cuStreamDestroy_v2", (CUstream))                                                            \
  X(cuStreamSynchronize, "cuStreamSynchronize", (CUstream))                                                       \
  X(cuStreamQuery, "cuStreamQuery", (CUstream))                                                                   \
  X(cuEventCreate, "cuEventCreate", (CUevent*, unsigned))                                                         \
  X(cuEventDestroy, "cuEventDestroy_v2", (CUevent))                                                               \
  X(cuEventRecord, "cuEventRecord", (CUevent, CUstream))                                                          \
  X(cuEventSynchronize, "cuEventSynchronize", (CUevent))                                                          \
  X(cuEventElapsedTime, "cuEventElapsedTime", (float*, CUevent, CUevent))                                         \
  X(cuGetErrorName, "cuGetErrorName", (CUresult, const char**))                                                   \
  X(cuGetErrorString, "cuGetErrorString", (CUresult, const char**))

// The driver of this process. Immutable after Open; its functions are as thread-safe as the driver's.
class Driver {
 public:
#define RBC_X(name, symbol, parameters) CUresult(*name) parameters = nullptr;
  RBC_CUDA_FUNCTIONS(RBC_X)
#undef RBC_X

  // Opens `path` (empty: libcuda.so.1), finds every function and initialises the driver. Once opened it stays.
  // kUnavailable: there is none, it is too old, or no GPU is there.
  static Expected<std::shared_ptr<const Driver>> Open(const std::string& path);

  // What a result means for whoever asked: nothing, or an error that names `what` ("cuLaunchKernel") and the driver's
  // own words.
  Status Check(CUresult result, const char* what) const;
};

// What a failure asks for.
enum class Remedy : uint8_t {
  kUser,         // the request is wrong: kInvalidArgument
  kModule,       // the code is wrong: kInvalidModule
  kMemory,       // kResourceExhausted
  kRetry,        // kBusy: passes by itself
  kUnavailable,  // no device, no driver, or not this one
  kSticky,       // the context is lost, and the process with it: kRemoteCrash with a cause
  kDefect,       // we used the driver wrongly: kInternal
};
struct Meaning {
  Remedy remedy;
  const char* cause;  // kSticky: what happened to the client's code
};
// Of every result; those that the table does not know are sticky.
Meaning MeaningOf(CUresult result);

// Something of the driver's that is given back with its owner. Its context must be current.
template <typename Handle, auto kDestroy>
class Owned {
 public:
  Owned() = default;
  Owned(const Driver* driver, Handle handle) : driver_(driver), handle_(handle) {}
  Owned(Owned&& other) noexcept { *this = std::move(other); }
  Owned& operator=(Owned&& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Owned() {
    if (handle_ != Handle{}) (void)(driver_->*kDestroy)(handle_);
  }
  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != Handle{}; }

 private:
  const Driver* driver_ = nullptr;
  Handle handle_{};
};
using Context = Owned<CUcontext, &Driver::cuCtxDestroy>;
using LoadedImage = Owned<CUmodule, &Driver::cuModuleUnload>;
using Stream = Owned<CUstream, &Driver::cuStreamDestroy>;
using Event = Owned<CUevent, &Driver::cuEventDestroy>;
using DeviceMemory = Owned<CUdeviceptr, &Driver::cuMemFree>;
using PinnedMemory = Owned<void*, &Driver::cuMemFreeHost>;

}  // namespace rbc::cuda
