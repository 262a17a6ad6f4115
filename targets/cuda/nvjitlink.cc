// nvJitLink by dlopen.
// SPDX-License-Identifier: Apache-2.0
#include "targets/cuda/nvjitlink.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <string_view>
#include <vector>

#include "targets/cuda/toolkit.h"
#include "targets/ir/diagnostics.h"

namespace rbc::cuda {
namespace {

// The few declarations of its interface that are used, by our own words: no header of CUDA is needed to build.
using Handle = void*;
constexpr int kInputPtx = 2;

struct Functions {
  int (*create)(Handle*, uint32_t, const char**) = nullptr;
  int (*destroy)(Handle*) = nullptr;
  int (*add_data)(Handle, int, const void*, size_t, const char*) = nullptr;
  int (*complete)(Handle) = nullptr;
  int (*cubin_size)(Handle, size_t*) = nullptr;
  int (*cubin)(Handle, void*) = nullptr;
  int (*error_log_size)(Handle, size_t*) = nullptr;
  int (*error_log)(Handle, char*) = nullptr;
};

struct Library {
  std::string path;
  Functions functions;
};

Library& TheLibrary() {
  static Library library;
  return library;
}

std::vector<std::string> Candidates() {
  if (const char* wanted = std::getenv("RBC_NVJITLINK")) return {wanted};
  std::vector<std::string> paths = {"libnvJitLink.so.13", "libnvJitLink.so.12"};
  for (const auto& root : ToolkitRoots()) {
    for (const char* folder : {"lib64", "lib"}) {
      for (const char* name : {"libnvJitLink.so.13", "libnvJitLink.so.12"}) paths.push_back(root / folder / name);
    }
  }
  return paths;
}

template <typename Function>
bool Find(void* library, const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(library, name));
  return *function != nullptr;
}

bool FindAll(void* library, Functions* f) {
  return Find(library, "nvJitLinkCreate", &f->create) && Find(library, "nvJitLinkDestroy", &f->destroy) &&
         Find(library, "nvJitLinkAddData", &f->add_data) && Find(library, "nvJitLinkComplete", &f->complete) &&
         Find(library, "nvJitLinkGetLinkedCubinSize", &f->cubin_size) &&
         Find(library, "nvJitLinkGetLinkedCubin", &f->cubin) &&
         Find(library, "nvJitLinkGetErrorLogSize", &f->error_log_size) &&
         Find(library, "nvJitLinkGetErrorLog", &f->error_log);
}

// One link, destroyed at the end whatever comes of it.
class Link {
 public:
  Link() = default;
  ~Link() {
    if (handle_ != nullptr) TheLibrary().functions.destroy(&handle_);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  Expected<std::string> Run(const std::string& ptx, uint32_t sm, bool optimize) {
    const auto& f = TheLibrary().functions;
    const std::string architecture = fmt::format("-arch=sm_{}", sm);
    const char* options[] = {architecture.c_str(), optimize ? "-O3" : "-O0"};
    if (const int code = f.create(&handle_, 2, options); code != 0) {
      return {ErrorKind::kUnsupported,
              fmt::format("nvJitLink ({}) does not make code for sm_{} (error {})", TheLibrary().path, sm, code)};
    }
    // The text's NUL counts.
    if (const int code = f.add_data(handle_, kInputPtx, ptx.c_str(), ptx.size() + 1, "module"); code != 0)
      return Failed("does not take the PTX", code);
    if (const int code = f.complete(handle_); code != 0) return Failed("does not link the PTX", code);
    size_t size = 0;
    if (const int code = f.cubin_size(handle_, &size); code != 0) return Failed("gives no code", code);
    std::string cubin(size, '\0');
    if (const int code = f.cubin(handle_, cubin.data()); code != 0) return Failed("gives no code", code);
    return cubin;
  }

 private:
  Error Failed(std::string_view what, int code) const {
    const auto& f = TheLibrary().functions;
    size_t size = 0;
    std::string log;
    if (f.error_log_size(handle_, &size) == 0 && size > 1 && size < (1u << 20)) {
      log.resize(size);
      if (f.error_log(handle_, log.data()) != 0) log.clear();
      log.resize(log.find_last_not_of(std::string_view("\0\n ", 3)) + 1);
    }
    return Error(ErrorKind::kCompileFailed,
                 fmt::format("nvJitLink {} (error {}): {}", what, code, ir::Bounded(log, 4096)));
  }

  Handle handle_ = nullptr;
};

}  // namespace

void LoadNvJitLink() {
  for (const auto& path : Candidates()) {
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) continue;
    Functions functions;
    if (FindAll(library, &functions)) {
      TheLibrary() = {path, functions};
      return;
    }
    dlclose(library);
  }
}

const std::string& NvJitLinkPath() { return TheLibrary().path; }

Expected<std::string> LinkCubin(const std::string& ptx, uint32_t sm, bool optimize) {
  if (TheLibrary().path.empty()) {
    return {ErrorKind::kUnavailable,
            "this farm has no nvJitLink, which makes cubins; install it with `pip install nvidia-nvjitlink`, or CUDA's "
            "toolkit, or name the file in RBC_NVJITLINK"};
  }
  return Link().Run(ptx, sm, optimize);
}

}  // namespace rbc::cuda
