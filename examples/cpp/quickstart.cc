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

int main(int argc, char** argv) try {
  rbc::RemoteJIT rjit(argc > 1 ? argv[1] : "");
  auto hypotenuse = rjit.function<double(double, double)>(rbc::Source::Ir(kHypotenuse), "hypotenuse");
  std::cout << hypotenuse(3.0, 4.0) << "\n";  // 5, computed by the farm
  return 0;
} catch (const rbc::Exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
