// The Black-Scholes price of a European call option, and the greek that traders ask for first.
// Try: rbc call examples/black_scholes.c call_price 'f64(f64,f64,f64,f64,f64)' 100 105 0.02 0.25 0.5
// SPDX-License-Identifier: Apache-2.0
#include <math.h>

static double normal_cdf(double x) { return 0.5 * (1.0 + erf(x / sqrt(2.0))); }

static double d1(double spot, double strike, double rate, double volatility, double years) {
  return (log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / (volatility * sqrt(years));
}

// rate and volatility are per year, 0.02 is two percent; years is the time to expiry.
double call_price(double spot, double strike, double rate, double volatility, double years) {
  const double first = d1(spot, strike, rate, volatility, years);
  const double second = first - volatility * sqrt(years);
  return spot * normal_cdf(first) - strike * exp(-rate * years) * normal_cdf(second);
}

double call_delta(double spot, double strike, double rate, double volatility, double years) {
  return normal_cdf(d1(spot, strike, rate, volatility, years));
}
