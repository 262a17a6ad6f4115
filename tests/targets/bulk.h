// Calls bulk entries as a worker does, and looks at their code.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/targets/harness.h"

namespace rbc::testing {

// %p, the price of an option by Black and Scholes, of doubles %s, %k, %r, %v and %t and a function @cdf.
inline constexpr std::string_view kBlackScholesLines = R"(  %m = fdiv double %s, %k
  %l = call double @log(double %m)
  %hv0 = fmul double %v, %v
  %hv = fmul double %hv0, 0.5
  %d = fadd double %r, %hv
  %dt = fmul double %d, %t
  %n = fadd double %l, %dt
  %q = call double @llvm.sqrt.f64(double %t)
  %vq = fmul double %v, %q
  %d1 = fdiv double %n, %vq
  %d2 = fsub double %d1, %vq
  %n1 = call double @cdf(double %d1)
  %n2 = call double @cdf(double %d2)
  %rt = fmul double %r, %t
  %nrt = fneg double %rt
  %x = call double @exp(double %nrt)
  %kx = fmul double %k, %x
  %a = fmul double %s, %n1
  %b = fmul double %kx, %n2
  %p = fsub double %a, %b
)";

struct BulkColumn {
  const void* data;
  int64_t stride;
};
struct BulkRun {
  int32_t status = 0;
  uint64_t failed_row = 0;
};

// Runs entry 0. `result`: where a reduction's value goes, `word` the frame's second one.
BulkRun RunBulk(Loaded& module, uint64_t rows, const std::vector<BulkColumn>& columns, void* result = nullptr,
                uint64_t word = 0);

// What objdump says of an object's code, "" where there is none.
std::string Disassembly(std::string_view object);
// Instructions (or calls' targets) that match the regular expression.
int CountOf(const std::string& disassembly, const std::string& mnemonic);

}  // namespace rbc::testing
