// One function with several signatures, chosen by the arguments: overloads [FARM].
// SPDX-License-Identifier: Apache-2.0
#include <complex>
#include <iostream>

#include "rbc/rbc.h"

// The symbols are the name with the mangled type behind it.
constexpr char kAdd[] = R"(
define double @add_daddA(double %a, double %b) {
  %s = fadd double %a, %b
  ret double %s
}
define i64 @add_lallA(i64 %a, i64 %b) {
  %s = add i64 %a, %b
  ret i64 %s
}
define {double, double} @add_DaDDA({double, double} %a, {double, double} %b) {
  %ar = extractvalue {double, double} %a, 0
  %ai = extractvalue {double, double} %a, 1
  %br = extractvalue {double, double} %b, 0
  %bi = extractvalue {double, double} %b, 1
  %r = fadd double %ar, %br
  %i = fadd double %ai, %bi
  %1 = insertvalue {double, double} undef, double %r, 0
  %2 = insertvalue {double, double} %1, double %i, 1
  ret {double, double} %2
}
)";

int main(int argc, char** argv) try {
  rbc::RemoteJIT rjit(argc > 1 ? argv[1] : "");
  rbc::Caller add = rjit.function(rbc::Source::Ir(kAdd), "add", {"f64(f64,f64)", "int64(int64, int64)"});
  for (const std::string& signature : add.signatures()) std::cout << signature << "\n";
  std::cout << add(1, 2).repr() << "\n";      // 3
  std::cout << add(1.5, 2.0).repr() << "\n";  // 3.5
  const std::complex<double> i(0, 1);
  try {
    add(i, 2);
  } catch (const rbc::Exception& error) {
    std::cout << error.message() << "\n";  // could not find matching function ...
  }
  add.add_signature("complex128(complex128, complex128)");
  std::cout << add(i, 2).repr() << "\n";  // (2+1j)
  return 0;
} catch (const rbc::Exception& error) {
  std::cerr << "error: " << error.what() << "\n";
  return 1;
}
