// Shared pieces of the targets' tests.
// SPDX-License-Identifier: Apache-2.0
#include "tests/targets/harness.h"

#include <dlfcn.h>

#include <cmath>
#include <cstdlib>
#include <map>

#include "targets/vector_functions.h"

extern "C" {
__int128 __divti3(__int128, __int128);
__int128 __modti3(__int128, __int128);
unsigned __int128 __udivti3(unsigned __int128, unsigned __int128);
unsigned __int128 __umodti3(unsigned __int128, unsigned __int128);
}

namespace rbc::testing {
namespace {

template <typename Function>
void* Address(Function* function) {
  return reinterpret_cast<void*>(function);
}

const std::map<std::string_view, void*>& Table() {
  using Unary = double(double);
  using Binary = double(double, double);
  static const std::map<std::string_view, void*> table = {
      {"sin", Address<Unary>(std::sin)}, {"cos", Address<Unary>(std::cos)},   {"exp", Address<Unary>(std::exp)},
      {"log", Address<Unary>(std::log)}, {"pow", Address<Binary>(std::pow)},  {"fmod", Address<Binary>(std::fmod)},
      {"memcpy", Address(std::memcpy)},  {"memset", Address(std::memset)},    {"memmove", Address(std::memmove)},
      {"memcmp", Address(std::memcmp)},  {"strlen", Address(std::strlen)},    {"malloc", Address(std::malloc)},
      {"free", Address(std::free)},      {"sqrt", Address<Unary>(std::sqrt)}, {"sqrtf", Address(::sqrtf)},
      {"fmodf", Address(::fmodf)},       {"__divti3", Address(__divti3)},     {"__modti3", Address(__modti3)},
      {"__udivti3", Address(__udivti3)}, {"__umodti3", Address(__umodti3)},
  };
  return table;
}

// The library's maths, and its vector forms where the machine has them.
const std::map<std::string, void*, std::less<>>& Maths() {
  static const auto* table = [] {
    auto* made = new std::map<std::string, void*, std::less<>>;
    for (const auto& function : VectorFunctions()) {
      void* const library = dlopen(VectorLibrary(function.accuracy), RTLD_NOW);
      if (library != nullptr) made->emplace(function.symbol, dlsym(library, function.symbol.c_str()));
      made->emplace(function.scalar, dlsym(RTLD_DEFAULT, function.scalar.c_str()));
    }
    std::erase_if(*made, [](const auto& entry) { return entry.second == nullptr; });
    return made;
  }();
  return *table;
}

}  // namespace

void* TestSymbols::Find(std::string_view name) const {
  const auto found = Table().find(name);
  if (found != Table().end()) return found->second;
  const auto maths = Maths().find(name);
  return maths == Maths().end() ? nullptr : maths->second;
}

std::string_view TestSymbols::WhyRefused(std::string_view name) const {
  return name == "fopen" ? "files are not available to functions" : "";
}

const RuntimeSymbols& Symbols() {
  static const TestSymbols symbols;
  return symbols;
}

Target& HostTarget() {
  static const std::unique_ptr<Target> target = [] {
    const TargetFactory* factory = FindTarget("host");
    factory->initialize();
    return factory->create(Symbols());
  }();
  return *target;
}

Device& HostDevice() {
  static const std::unique_ptr<Device> device = std::move(HostTarget().OpenDevice(0)).value();
  return *device;
}

Expected<Artifact> Compile(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options) {
  return HostTarget().Compile({ir, std::move(functions)}, options, nullptr);
}

Loaded::Loaded(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options)
    : functions_(functions) {
  auto artifact = Compile(ir, std::move(functions), options);
  EXPECT_TRUE(artifact) << Message(artifact);
  if (!artifact) return;
  artifact_ = std::move(*artifact);
  auto module = HostDevice().Load(artifact_.code);
  EXPECT_TRUE(module) << Message(module);
  if (!module) return;
  module_ = std::move(*module);
  if (!artifact_.constructors.empty()) reinterpret_cast<void (*)()>(module_->Symbol(artifact_.constructors))();
}

int32_t Loaded::Call(size_t index, void* frame, void* result) {
  void* entry = module_->Symbol(artifact_.entries[index].symbol);
  EXPECT_NE(entry, nullptr);
  return reinterpret_cast<int32_t (*)(void*, void*)>(entry)(frame, result);
}

}  // namespace rbc::testing
