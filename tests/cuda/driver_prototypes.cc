// Our prototypes of the driver's functions against NVIDIA's, where the toolkit's headers are on the machine. By the
// version of each function's ABI that cuda/driver.h asks for; what differs does not compile.
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "cuda/driver.h"

// Before NVIDIA's headers, whose macros rename some of them.
namespace rbc::cuda {
#define RBC_X(name, symbol, parameters) using Our_##name = decltype(Driver::name);
RBC_CUDA_FUNCTIONS(RBC_X)
#undef RBC_X
#define RBC_X(name, symbol, parameters) +1
constexpr int kFunctions = RBC_CUDA_FUNCTIONS(RBC_X);
#undef RBC_X
}  // namespace rbc::cuda

#include <cuda.h>
#include <cudaTypedefs.h>

namespace rbc::cuda {
namespace {

// One registers' worth of the same kind: handles and enumerations have types of ours.
template <typename Ours, typename Theirs>
constexpr bool kAlike =
    sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> ==
                                          std::is_pointer_v<Theirs>&& std::is_const_v<std::remove_pointer_t<Ours>> ==
                                          std::is_const_v<std::remove_pointer_t<Theirs>>;

template <typename Ours, typename Theirs>
constexpr bool Same = false;
template <typename R, typename... Ours, typename S, typename... Theirs>
requires(sizeof...(Ours) ==
         sizeof...(Theirs)) constexpr bool Same<R (*)(Ours...), S (*)(Theirs...)> = kAlike<R, S> &&
                                                                                    (kAlike<Ours, Theirs> && ...);

static_assert(Same<Our_cuInit, PFN_cuInit_v2000>);
static_assert(Same<Our_cuDriverGetVersion, PFN_cuDriverGetVersion_v2020>);
static_assert(Same<Our_cuDeviceGetCount, PFN_cuDeviceGetCount_v2000>);
static_assert(Same<Our_cuDeviceGet, PFN_cuDeviceGet_v2000>);
static_assert(Same<Our_cuDeviceGetName, PFN_cuDeviceGetName_v2000>);
static_assert(Same<Our_cuDeviceGetUuid, PFN_cuDeviceGetUuid_v9020>);
static_assert(Same<Our_cuDeviceTotalMem, PFN_cuDeviceTotalMem_v3020>);
static_assert(Same<Our_cuDeviceGetAttribute, PFN_cuDeviceGetAttribute_v2000>);
static_assert(Same<Our_cuCtxCreate, PFN_cuCtxCreate_v3020>);
static_assert(Same<Our_cuCtxDestroy, PFN_cuCtxDestroy_v4000>);
static_assert(Same<Our_cuCtxSetCurrent, PFN_cuCtxSetCurrent_v4000>);
static_assert(Same<Our_cuCtxSetLimit, PFN_cuCtxSetLimit_v3010>);
static_assert(Same<Our_cuMemGetInfo, PFN_cuMemGetInfo_v3020>);
static_assert(Same<Our_cuModuleLoadDataEx, PFN_cuModuleLoadDataEx_v2010>);
static_assert(Same<Our_cuModuleUnload, PFN_cuModuleUnload_v2000>);
static_assert(Same<Our_cuModuleGetFunction, PFN_cuModuleGetFunction_v2000>);
static_assert(Same<Our_cuFuncSetAttribute, PFN_cuFuncSetAttribute_v9000>);
static_assert(Same<Our_cuLaunchKernel, PFN_cuLaunchKernel_v4000>);
static_assert(Same<Our_cuMemAlloc, PFN_cuMemAlloc_v3020>);
static_assert(Same<Our_cuMemFree, PFN_cuMemFree_v3020>);
static_assert(Same<Our_cuMemHostAlloc, PFN_cuMemHostAlloc_v2020>);
static_assert(Same<Our_cuMemFreeHost, PFN_cuMemFreeHost_v2000>);
static_assert(Same<Our_cuMemHostGetDevicePointer, PFN_cuMemHostGetDevicePointer_v3020>);
static_assert(Same<Our_cuMemcpyHtoDAsync, PFN_cuMemcpyHtoDAsync_v3020>);
static_assert(Same<Our_cuMemcpyDtoHAsync, PFN_cuMemcpyDtoHAsync_v3020>);
static_assert(Same<Our_cuMemcpyDtoDAsync, PFN_cuMemcpyDtoDAsync_v3020>);
static_assert(Same<Our_cuStreamCreate, PFN_cuStreamCreate_v2000>);
static_assert(Same<Our_cuStreamDestroy, PFN_cuStreamDestroy_v4000>);
static_assert(Same<Our_cuStreamSynchronize, PFN_cuStreamSynchronize_v2000>);
static_assert(Same<Our_cuStreamQuery, PFN_cuStreamQuery_v2000>);
static_assert(Same<Our_cuEventCreate, PFN_cuEventCreate_v2000>);
static_assert(Same<Our_cuEventDestroy, PFN_cuEventDestroy_v4000>);
static_assert(Same<Our_cuEventRecord, PFN_cuEventRecord_v2000>);
static_assert(Same<Our_cuEventSynchronize, PFN_cuEventSynchronize_v2000>);
static_assert(Same<Our_cuEventElapsedTime, PFN_cuEventElapsedTime_v2000>);
static_assert(Same<Our_cuGetErrorName, PFN_cuGetErrorName_v6000>);
static_assert(Same<Our_cuGetErrorString, PFN_cuGetErrorString_v6000>);
static_assert(kFunctions == 37, "a function of the table is not compared");

}  // namespace
}  // namespace rbc::cuda
