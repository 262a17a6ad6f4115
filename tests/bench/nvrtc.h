// NVIDIA's run-time compiler, opened at run time: what the farm's code for GPUs is measured against.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>
#include <type_traits>

namespace rbc::bench {

// The few declarations of NVRTC's interface that are used.
struct Nvrtc {
  int (*create)(void**, const char*, const char*, int, const char* const*, const char* const*) = nullptr;
  int (*destroy)(void**) = nullptr;
  int (*compile)(void*, int, const char* const*) = nullptr;
  int (*ptx_size)(void*, size_t*) = nullptr;
  int (*ptx)(void*, char*) = nullptr;
  int (*cubin_size)(void*, size_t*) = nullptr;
  int (*cubin)(void*, char*) = nullptr;

  bool Open() {
    void* library = nullptr;
    for (const char* path :
         {"libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.13", "/usr/local/cuda/lib64/libnvrtc.so.12"}) {
      if (library == nullptr) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    }
    const auto find = [&](const char* name, auto* function) {
      *function = reinterpret_cast<std::remove_reference_t<decltype(*function)>>(
          library == nullptr ? nullptr : dlsym(library, name));
      return *function != nullptr;
    };
    return find("nvrtcCreateProgram", &create) && find("nvrtcDestroyProgram", &destroy) &&
           find("nvrtcCompileProgram", &compile) && find("nvrtcGetPTXSize", &ptx_size) && find("nvrtcGetPTX", &ptx) &&
           find("nvrtcGetCUBINSize", &cubin_size) && find("nvrtcGetCUBIN", &cubin);
  }

  // Code for one SM, or PTX. `fuse`: products and sums may become one operation. "" if it does not compile.
  std::string Run(const std::string& source, int sm, bool to_cubin, bool fuse) const {
    void* program = nullptr;
    if (create(&program, source.c_str(), "module.cu", 0, nullptr, nullptr) != 0) return "";
    const std::string architecture = fmt::format("--gpu-architecture={}_{}", to_cubin ? "sm" : "compute", sm);
    const char* options[] = {architecture.c_str(), fuse ? "--fmad=true" : "--fmad=false"};
    std::string out;
    size_t size = 0;
    if (compile(program, 2, options) == 0 && (to_cubin ? cubin_size : ptx_size)(program, &size) == 0) {
      out.resize(size);
      if ((to_cubin ? cubin : ptx)(program, out.data()) != 0) out.clear();
    }
    destroy(&program);
    return out;
  }
};

}  // namespace rbc::bench
