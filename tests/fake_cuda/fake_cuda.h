// The fake driver's own functions, for tests that use it in their process.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdlib>
#include <sstream>
#include <string>
#include <vector>

namespace rbc::cuda {

// What a stream was asked: H to the device, K kernel (with blocks instead of bytes), D from it, C within it, S waited
// for.
struct FakeStep {
  char what;
  int stream;
  uint64_t bytes;
};

class FakeCuda {
 public:
  // From its call `from` on (1: the first) the function gives `result`. Calls count from here on.
  static void FailAt(const char* name, int result, long from = 1) {
    Function<void (*)(const char*, int, long)>("fake_cuda_fail")(name, result, from);
  }
  // Nothing fails; calls count from here on.
  static void Heal() { FailAt("", 0); }
  // Calls of a function, or of all ("").
  static long Calls(const char* name) { return Function<long (*)(const char*)>("fake_cuda_calls")(name); }
  // Contexts, modules, streams, events or pieces of memory that nobody has freed.
  static long Left(const char* what) { return Function<long (*)(const char*)>("fake_cuda_left")(what); }
  // What streams were asked since the last time, as text and as steps.
  static std::string Told() {
    std::string out(65 * 1024, '\0');
    Function<void (*)(char*, size_t)>("fake_cuda_told")(out.data(), out.size());
    return out.c_str();
  }
  static std::vector<FakeStep> Steps() {
    std::istringstream in(Told());
    std::vector<FakeStep> out;
    for (std::string word; in >> word;) {
      const size_t colon = word.find(':');
      const uint64_t bytes = colon == std::string::npos ? 0 : std::stoull(word.substr(colon + 1));
      out.push_back({word[0], std::atoi(word.c_str() + 1), bytes});
    }
    return out;
  }
  // The packed parameters of the last kernel.
  static std::string Parameters() {
    std::string out(4096, '\0');
    out.resize(Function<size_t (*)(char*, size_t)>("fake_cuda_parameters")(out.data(), out.size()));
    return out;
  }

 private:
  template <typename F>
  static F Function(const char* name) {
    static void* const library = dlopen(RBC_FAKE_CUDA, RTLD_NOW);
    return reinterpret_cast<F>(dlsym(library, name));
  }
};

inline uint64_t BytesOf(const std::vector<FakeStep>& steps, char what) {
  uint64_t bytes = 0;
  for (const FakeStep& step : steps) bytes += step.what == what ? step.bytes : 0;
  return bytes;
}

}  // namespace rbc::cuda
