// Objects, assembly and IR text.
// SPDX-License-Identifier: Apache-2.0
#include "targets/host/emit.h"

#include "llvm/Analysis/TargetLibraryInfo.h"
#include "llvm/IR/LegacyPassManager.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/raw_ostream.h"
#include "llvm/Target/TargetMachine.h"

namespace rbc::host {

struct Emitter::State {
  State(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, Output output) : stream(buffer) {
    passes.add(new llvm::TargetLibraryInfoWrapperPass(library));
    ok = !machine.addPassesToEmitFile(
        passes, stream, nullptr,
        output == Output::kObject ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile,
        /*DisableVerify=*/true);
  }

  bool ok = false;
  llvm::SmallVector<char, 0> buffer;
  llvm::raw_svector_ostream stream;
  llvm::legacy::PassManager passes;
};

Emitter::Emitter(llvm::TargetMachine& machine, const llvm::TargetLibraryInfoImpl& library, Output output)
    : state_(std::make_unique<State>(machine, library, output)) {}

Emitter::~Emitter() = default;

bool Emitter::ok() const { return state_->ok; }

std::string Emitter::Run(llvm::Module& module) {
  state_->passes.run(module);
  std::string output(state_->buffer.begin(), state_->buffer.end());
  state_->buffer.clear();
  if (state_->buffer.capacity() > (1u << 20)) state_->buffer = {};
  return output;
}

std::string PrintIr(const llvm::Module& module) {
  std::string text;
  llvm::raw_string_ostream out(text);
  module.print(out, nullptr);
  return text;
}

}  // namespace rbc::host
