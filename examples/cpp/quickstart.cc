// Sends a function as IR text to a farm and calls it: quickstart [FARM]. Without FARM: RBC_FARM, else loopback.
// SPDX-License-Identifier: Apache-2.0
#include <iostream>

#include "rbc/rbc.h"

constexpr char kHypotenuse[] = R"(
define double @hypotenuse(double %a, double %b) {
  %aa = fmul double %a, %a
  %bb = fmul double %b, %b
  %sum = fadd double %aa, %bb
  %root = call double @sqrt(double %sum)
  ret double %root
}
declare double @sqrt(double)
)";

int main(int argc, char** argv) {
  rbc::RemoteJIT rjit(argc > 1 ? argv[1] : "");
  auto hypotenuse = rjit.function<double(double, double)>("hypotenuse", rbc::IrText(kHypotenuse));
  const auto result = hypotenuse(3.0, 4.0);
  if (!result) {
    std::cerr << "error: " << result.error().message << "\n";
    return 1;
  }
  std::cout << *result << "\n";
  return *result == 5.0 ? 0 : 1;
}
