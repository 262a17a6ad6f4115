// What device code finds declared in .cu source: CUDA's words, in terms of clang's builtins. No header of NVIDIA's is
// needed. SPDX-License-Identifier: Apache-2.0
#pragma clang force_cuda_host_device begin
#include <assert.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
// CUDA's maths beside C's, which the farm takes from NVIDIA's library. __sinf and its like <math.h> declares.
#define RBC_MATHS(name)                              \
  extern "C" double name(double) noexcept(true);     \
  extern "C" float name##f(float) noexcept(true);
RBC_MATHS(rsqrt)
RBC_MATHS(rcbrt)
RBC_MATHS(sinpi)
RBC_MATHS(cospi)
RBC_MATHS(erfinv)
RBC_MATHS(erfcinv)
RBC_MATHS(erfcx)
RBC_MATHS(normcdf)
RBC_MATHS(normcdfinv)
#undef RBC_MATHS
#define RBC_ROUNDED(way)                                                          \
  extern "C" float __fadd_##way(float, float) noexcept(true);                     \
  extern "C" float __fmul_##way(float, float) noexcept(true);                     \
  extern "C" float __fdiv_##way(float, float) noexcept(true);                     \
  extern "C" float __fmaf_##way(float, float, float) noexcept(true);              \
  extern "C" double __dadd_##way(double, double) noexcept(true);                  \
  extern "C" double __dmul_##way(double, double) noexcept(true);                  \
  extern "C" double __ddiv_##way(double, double) noexcept(true);                  \
  extern "C" double __fma_##way(double, double, double) noexcept(true);
RBC_ROUNDED(rn)
RBC_ROUNDED(rz)
RBC_ROUNDED(ru)
RBC_ROUNDED(rd)
#undef RBC_ROUNDED
extern "C" float fdividef(float, float) noexcept(true);
extern "C" float __fdividef(float, float) noexcept(true);
extern "C" float __saturatef(float) noexcept(true);
#pragma clang force_cuda_host_device end

#define __global__ __attribute__((global))
#define __device__ __attribute__((device))
#define __host__ __attribute__((host))
#define __shared__ __attribute__((shared))
#define __constant__ __attribute__((constant))
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define RBC_DEVICE static __device__ __forceinline__

struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  __host__ __device__ constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

// threadIdx.x reads a register.
#define RBC_REGISTERS(name, type, prefix)                                                   \
  struct type {                                                                             \
    __declspec(property(get = GetX)) unsigned x;                                            \
    __declspec(property(get = GetY)) unsigned y;                                            \
    __declspec(property(get = GetZ)) unsigned z;                                            \
    RBC_DEVICE unsigned GetX() { return prefix##_x(); }                                     \
    RBC_DEVICE unsigned GetY() { return prefix##_y(); }                                     \
    RBC_DEVICE unsigned GetZ() { return prefix##_z(); }                                     \
    __device__ __forceinline__ operator uint3() const { return {GetX(), GetY(), GetZ()}; }  \
    __device__ __forceinline__ operator dim3() const { return {GetX(), GetY(), GetZ()}; }   \
  };                                                                                        \
  extern const __device__ __attribute__((weak)) type name
RBC_REGISTERS(threadIdx, rbc_thread_index, __nvvm_read_ptx_sreg_tid);
RBC_REGISTERS(blockIdx, rbc_block_index, __nvvm_read_ptx_sreg_ctaid);
RBC_REGISTERS(blockDim, rbc_block_size, __nvvm_read_ptx_sreg_ntid);
RBC_REGISTERS(gridDim, rbc_grid_size, __nvvm_read_ptx_sreg_nctaid);
enum { warpSize = 32 };

extern "C" __device__ int printf(const char*, ...);

// __syncthreads() is a builtin already.
RBC_DEVICE void __syncwarp(unsigned mask = 0xffffffffu) { __nvvm_bar_warp_sync(mask); }
RBC_DEVICE int __syncthreads_count(int yes) { return __nvvm_bar0_popc(yes); }
RBC_DEVICE int __syncthreads_and(int yes) { return __nvvm_bar0_and(yes); }
RBC_DEVICE int __syncthreads_or(int yes) { return __nvvm_bar0_or(yes); }
RBC_DEVICE void __threadfence() { __nvvm_membar_gl(); }
RBC_DEVICE void __threadfence_block() { __nvvm_membar_cta(); }
RBC_DEVICE void __threadfence_system() { __nvvm_membar_sys(); }
RBC_DEVICE void __trap() { __builtin_trap(); }
RBC_DEVICE unsigned __ballot_sync(unsigned mask, int yes) { return __nvvm_vote_ballot_sync(mask, yes); }
RBC_DEVICE int __all_sync(unsigned mask, int yes) { return __nvvm_vote_all_sync(mask, yes); }
RBC_DEVICE int __any_sync(unsigned mask, int yes) { return __nvvm_vote_any_sync(mask, yes); }
RBC_DEVICE int __popc(unsigned x) { return __builtin_popcount(x); }
RBC_DEVICE int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
RBC_DEVICE int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
RBC_DEVICE int __clzll(long long x) { return x == 0 ? 64 : __builtin_clzll(static_cast<unsigned long long>(x)); }
RBC_DEVICE int __ffs(int x) { return __builtin_ffs(x); }
RBC_DEVICE int __ffsll(long long x) { return __builtin_ffsll(x); }
RBC_DEVICE unsigned __brev(unsigned x) { return __builtin_bitreverse32(x); }
RBC_DEVICE unsigned long long __brevll(unsigned long long x) { return __builtin_bitreverse64(x); }
RBC_DEVICE int __mulhi(int a, int b) { return static_cast<int>(static_cast<long long>(a) * b >> 32); }
RBC_DEVICE unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(static_cast<unsigned long long>(a) * b >> 32);
}
template <typename T>
RBC_DEVICE T __ldg(const T* at) {
  return *at;
}

// The bits of one type as another.
#define RBC_BITS(name, To, From)            \
  RBC_DEVICE To name(From from) {           \
    To to;                                  \
    __builtin_memcpy(&to, &from, sizeof to); \
    return to;                              \
  }
RBC_BITS(__float_as_int, int, float)
RBC_BITS(__float_as_uint, unsigned, float)
RBC_BITS(__int_as_float, float, int)
RBC_BITS(__uint_as_float, float, unsigned)
RBC_BITS(__double_as_longlong, long long, double)
RBC_BITS(__longlong_as_double, double, long long)
#undef RBC_BITS

#define RBC_LEAST_AND_MOST(T)                              \
  RBC_DEVICE T min(T a, T b) { return b < a ? b : a; }     \
  RBC_DEVICE T max(T a, T b) { return a < b ? b : a; }
RBC_LEAST_AND_MOST(int)
RBC_LEAST_AND_MOST(unsigned)
RBC_LEAST_AND_MOST(long)
RBC_LEAST_AND_MOST(unsigned long)
RBC_LEAST_AND_MOST(long long)
RBC_LEAST_AND_MOST(unsigned long long)
#undef RBC_LEAST_AND_MOST
RBC_DEVICE float min(float a, float b) { return fminf(a, b); }
RBC_DEVICE float max(float a, float b) { return fmaxf(a, b); }
RBC_DEVICE double min(double a, double b) { return fmin(a, b); }
RBC_DEVICE double max(double a, double b) { return fmax(a, b); }

// A warp's threads exchange words of 32 bits: larger values go in pieces.
#define RBC_SHUFFLE(name, builtin, lane_type, clamp)                                            \
  template <typename T>                                                                         \
  RBC_DEVICE T name(unsigned mask, T value, lane_type lane, int width = warpSize) {             \
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "shuffles move values of 4 or 8 bytes");    \
    int words[sizeof(T) / 4];                                                                   \
    __builtin_memcpy(words, &value, sizeof value);                                              \
    for (int& word : words)                                                                     \
      word = builtin(mask, word, static_cast<int>(lane), ((warpSize - width) << 8) | (clamp));  \
    __builtin_memcpy(&value, words, sizeof value);                                              \
    return value;                                                                               \
  }
RBC_SHUFFLE(__shfl_sync, __nvvm_shfl_sync_idx_i32, int, 31)
RBC_SHUFFLE(__shfl_up_sync, __nvvm_shfl_sync_up_i32, unsigned, 0)
RBC_SHUFFLE(__shfl_down_sync, __nvvm_shfl_sync_down_i32, unsigned, 31)
RBC_SHUFFLE(__shfl_xor_sync, __nvvm_shfl_sync_bfly_i32, int, 31)

#define RBC_ATOMICS(T)                                                                             \
  RBC_DEVICE T atomicAdd(T* at, T value) { return __atomic_fetch_add(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicSub(T* at, T value) { return __atomic_fetch_sub(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicAnd(T* at, T value) { return __atomic_fetch_and(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicOr(T* at, T value) { return __atomic_fetch_or(at, value, __ATOMIC_RELAXED); }   \
  RBC_DEVICE T atomicXor(T* at, T value) { return __atomic_fetch_xor(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicMin(T* at, T value) { return __atomic_fetch_min(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicMax(T* at, T value) { return __atomic_fetch_max(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicExch(T* at, T value) { return __atomic_exchange_n(at, value, __ATOMIC_RELAXED); } \
  RBC_DEVICE T atomicCAS(T* at, T expected, T value) {                                             \
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);  \
    return expected;                                                                               \
  }
RBC_ATOMICS(int)
RBC_ATOMICS(unsigned)
RBC_ATOMICS(long long)
RBC_ATOMICS(unsigned long long)
RBC_DEVICE unsigned atomicInc(unsigned* at, unsigned most) { return __nvvm_atom_inc_gen_ui(at, most); }
RBC_DEVICE unsigned atomicDec(unsigned* at, unsigned most) { return __nvvm_atom_dec_gen_ui(at, most); }
RBC_DEVICE float atomicAdd(float* at, float value) { return __nvvm_atom_add_gen_f(at, value); }
RBC_DEVICE double atomicAdd(double* at, double value) { return __nvvm_atom_add_gen_d(at, value); }

#undef RBC_ATOMICS
#undef RBC_SHUFFLE
#undef RBC_REGISTERS
#undef RBC_DEVICE
