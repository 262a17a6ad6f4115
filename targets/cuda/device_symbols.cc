// What device code may and may not refer to.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/device_symbols.h"

#include <algorithm>
#include <iterator>

#include "targets/cuda/libdevice.h"

namespace rbc::cuda {
namespace {

constexpr std::string_view kOffered[] = {"vprintf", "malloc", "free", "__assertfail"};

// Functions of C's <math.h> by their double names.
constexpr std::string_view kMath[] = {
    "acos",   "acosh", "asin",   "asinh", "atan",   "atan2",  "atanh",     "cbrt",    "cos",    "cosh",
    "erf",    "erfc",  "exp",    "exp10", "exp2",   "expm1",  "fdim",      "fmod",    "frexp",  "hypot",
    "ilogb",  "j0",    "j1",     "jn",    "ldexp",  "lgamma", "llrint",    "llround", "log",    "log10",
    "log1p",  "log2",  "logb",   "lrint", "lround", "modf",   "nextafter", "pow",     "powi",   "remainder",
    "remquo", "round", "scalbn", "sin",   "sincos", "sinh",   "tan",       "tanh",    "tgamma", "y0",
    "y1",     "yn",    "rsqrt",  "rcbrt", "sinpi",  "cospi",  "normcdf",   "erfcx",   "erfinv", "erfcinv"};

struct Refusal {
  std::string_view names;  // each with a blank before and behind
  std::string_view why;
};
constexpr Refusal kRefusals[] = {
    {" fopen fclose fread fwrite fprintf vfprintf fputs fputc fgets fflush open close read write stdout stderr stdin ",
     "files and streams do not exist on a GPU"},
    {" exit _exit atexit system fork execve getenv time clock sleep usleep pthread_create ",
     "there is no operating system on a GPU"},
    {" snprintf sprintf vsnprintf strtod strtol strtoll strtoul qsort realloc aligned_alloc posix_memalign ",
     "a function of the host's C library that has no counterpart on a GPU"},
    {" csin ccos ctan csinh ccosh ctanh casin cacos catan casinh cacosh catanh cpow cproj csinf ccosf ctanf csinhf "
     "ccoshf "
     "ctanhf casinf cacosf catanf casinhf cacoshf catanhf cpowf cprojf ",
     "of complex numbers GPUs have arithmetic, cabs, carg, cexp, clog and csqrt"},
    {" __cxa_throw __cxa_allocate_exception __gxx_personality_v0 _Unwind_Resume ", "there are no exceptions on a GPU"},
    {" _Znwm _Znam _ZdlPv _ZdlPvm _ZdaPv ", "C++'s operator new is not offered on GPUs; call malloc"},
    {" __cxa_atexit __dso_handle __cxa_guard_acquire __cxa_guard_release ",
     "static objects with destructors are not supported on GPUs"},
    {" cudaLaunchDevice cudaLaunchDeviceV2 cudaGetParameterBufferV2 cudaDeviceSynchronize ",
     "launching kernels from kernels is not supported"},
};

}  // namespace

bool IsMathName(std::string_view name) {
  const auto known = [](std::string_view n) {
    return std::find(std::begin(kMath), std::end(kMath), n) != std::end(kMath);
  };
  return known(name) || (name.ends_with('f') && known(name.substr(0, name.size() - 1)));
}

void* DeviceSymbols::Find(std::string_view name) const {
  static char offered;
  return std::find(std::begin(kOffered), std::end(kOffered), name) != std::end(kOffered) ? &offered : nullptr;
}

std::string_view DeviceSymbols::WhyRefused(std::string_view name) const {
  if (IsMathName(name) || name.starts_with("__nv_")) {
    static const std::string kMissing =
        "it needs NVIDIA's libdevice, which this farm does not have; " + std::string(HowToGetLibdevice());
    return LibdevicePath().empty() ? std::string_view(kMissing)
                                   : "libdevice has no function of that name with these types";
  }
  for (const auto& refusal : kRefusals) {
    const auto at = refusal.names.find(name);
    if (at != std::string_view::npos && refusal.names[at - 1] == ' ' && refusal.names[at + name.size()] == ' ')
      return refusal.why;
  }
  return "";
}

}  // namespace rbc::cuda
