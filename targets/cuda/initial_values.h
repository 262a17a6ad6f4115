// Initial values that LLVM's printer of PTX gets wrong are spelt as bytes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// Of integers of odd widths and of vectors of parts of bytes the printer leaves bytes out, writes behind its buffer or
// spells a type that no assembler knows. What lies in memory stays the same.
// kUnsupported where addresses lie beside them.
Status SpellInitialValues(llvm::Module& module);

}  // namespace rbc::cuda
