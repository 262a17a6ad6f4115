// The functions whose code for GPUs is timed against NVIDIA's compiler's.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace rbc::bench {

struct TimedFunction {
  const char* name;
  int columns;       // of input
  const char* body;  // in C: REAL is the type, F(sin) the function of that type
};

inline constexpr TimedFunction kTimedFunctions[] = {
    {"add", 2, "return a + b;"},
    {"polynomial", 1,
     "return ((((((((REAL)0.1 * a + (REAL)0.2) * a + (REAL)0.3) * a + (REAL)0.4) * a + (REAL)0.5) * a + (REAL)0.6) * a "
     "+ (REAL)0.7) * a + (REAL)0.8) * a + (REAL)0.9;"},
    {"black_scholes", 2,
     "const REAL t = 1, r = (REAL)0.02, v = (REAL)0.3;\n"
     "  const REAL d = (F(log)(a / b) + (r + (REAL)0.5 * v * v) * t) / (v * F(sqrt)(t)), e = d - v * F(sqrt)(t);\n"
     "  return a * ((REAL)0.5 * ((REAL)1 + F(erf)(d * (REAL)0.70710678118654752440))) -\n"
     "         b * F(exp)(-r * t) * ((REAL)0.5 * ((REAL)1 + F(erf)(e * (REAL)0.70710678118654752440)));"},
};

// "float64(float64, float64)" or with float32.
inline std::string SignatureOf(const TimedFunction& function, bool is_double) {
  const std::string type = is_double ? "float64" : "float32";
  return type + "(" + type + (function.columns == 2 ? ", " + type : "") + ")";
}

// In the folder of gpu_bench's code: "black_scholes_f64_sm90.ours".
inline std::string CodeFile(const TimedFunction& function, bool is_double, int sm, bool ours) {
  return std::string(function.name) + (is_double ? "_f64" : "_f32") + "_sm" + std::to_string(sm) +
         (ours ? ".ours" : ".nvidia");
}

}  // namespace rbc::bench
