"""European call options by Black-Scholes, priced on the farm.

SPDX-License-Identifier: Apache-2.0
"""

import math

import rbc


def normal_cdf(x):
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def call_price(spot, strike, years, rate, volatility):
    """What the right to buy at `strike` in `years` is worth today."""
    if volatility <= 0.0 or years <= 0.0:
        raise ValueError("volatility and years are greater than 0")
    root = volatility * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / root
    return spot * normal_cdf(d1) - strike * math.exp(-rate * years) * normal_cdf(d1 - root)


def main(rjit):
    price = rjit("float64(float64, float64, float64, float64, float64)")(call_price)
    one = price(100.0, 105.0, 1.0, 0.02, 0.2)
    strikes = [80.0 + 5.0 * i for i in range(9)]
    many = price.batch([(100.0, strike, 1.0, 0.02, 0.2) for strike in strikes])
    for strike, value in zip(strikes, many):
        print(f"strike {strike:6.1f}: {value:8.4f}")
    return one, many


if __name__ == "__main__":
    with rbc.RemoteJIT().start_server(background=True) as farm:
        main(farm)
