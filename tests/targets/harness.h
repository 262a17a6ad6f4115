// A host target in the test's process, with a few runtime symbols of its own.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "targets/target.h"
#include "types/frame.h"

namespace rbc::testing {

// libm, memory and compiler runtime of this process, under a handful of names.
class TestSymbols : public RuntimeSymbols {
 public:
  void* Find(std::string_view name) const override;
  std::string_view WhyRefused(std::string_view name) const override;
};

const RuntimeSymbols& Symbols();
// One warm target for the whole program.
Target& HostTarget();
Device& HostDevice();

Expected<Artifact> Compile(std::string_view ir, std::vector<FunctionDeclaration> functions,
                           CompileOptions options = {});

// Puts arguments where the function's frame has them.
template <typename... Arguments>
void StoreArguments(const FunctionDeclaration& function, std::byte* frame, const Arguments&... arguments) {
  const auto layout = types::FrameLayout::Make(*types::Type::Parse(function.signature));
  size_t i = 0;
  ((std::memcpy(frame + layout->slots()[i].offset, &arguments,
                std::min<size_t>(sizeof arguments, layout->slots()[i].size)),
    ++i),
   ...);
}

// A module that was compiled and loaded; its constructors have run.
class Loaded {
 public:
  Loaded(std::string_view ir, std::vector<FunctionDeclaration> functions, CompileOptions options = {});
  // Failure to compile or load is a test failure of the caller, who checks ok().
  bool ok() const { return module_ != nullptr; }
  const Artifact& artifact() const { return artifact_; }
  LoadedModule& module() { return *module_; }

  // Calls entry `index`. The frame is packed here, by types/frame.h's layout; strings and pointers lie behind it.
  int32_t Call(size_t index, void* frame, void* result);

  template <typename Result, typename... Arguments>
  Result Run(size_t index, Arguments... arguments) {
    alignas(16) std::byte frame[512] = {};
    alignas(16) std::byte result[256];
    std::memset(result, 0xA5, sizeof result);
    StoreArguments(functions_[index], frame, arguments...);
    status_ = Call(index, frame, result);
    Result value;
    std::memcpy(&value, result, sizeof value);
    return value;
  }
  int32_t status() const { return status_; }

 private:
  std::vector<FunctionDeclaration> functions_;
  Artifact artifact_;
  std::unique_ptr<LoadedModule> module_;
  int32_t status_ = 0;
};

// The text of an error for EXPECT_THAT, "" for none.
template <typename T>
std::string Message(const Expected<T>& result) {
  return result ? std::string()
                : std::string(rbc::Name(const_cast<Expected<T>&>(result).error().kind)) + ": " +
                      const_cast<Expected<T>&>(result).error().message;
}

}  // namespace rbc::testing
