// What client code of C expects of its library, on a device: printing, asserts, memory and strings, complex arithmetic.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "base/expected.h"

namespace llvm {
class Module;
}  // namespace llvm

namespace rbc::cuda {

// printf, puts and putchar become vprintf, a failed assert __assertfail, abort a trap, memcpy and its like intrinsics;
// what device_runtime.c defines is linked from `runtime`, its bitcode.
Status LinkDeviceLibrary(llvm::Module& module, const std::string& runtime);
// device_runtime.c as bitcode, which can be read function by function.
std::string ReadDeviceRuntime();
// The text of it, as LLVM IR.
std::string_view DeviceRuntime();

}  // namespace rbc::cuda
