"""Answers for scripts/demo, found without the farm: expected.py NAME ARGUMENT... prints one value.
`close A B` prints True if the two numbers agree to 12 digits.
SPDX-License-Identifier: Apache-2.0
"""

import math
import struct
import sys
import zlib

MASK = (1 << 64) - 1
P1, P2, P3 = 11400714785074694791, 14029467366897019727, 1609587929392839161
P4, P5 = 9650029242287828579, 2870177450012600261


def rotate(value, count):
    return ((value << count) | (value >> (64 - count))) & MASK


def mix(lane, word):
    return rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed):
    """XXH64 after its published description, for the little-endian bytes `data`."""
    at, length = 0, len(data)
    if length >= 32:
        lanes = [(seed + P1 + P2) & MASK, (seed + P2) & MASK, seed, (seed - P1) & MASK]
        while at + 32 <= length:
            words = struct.unpack_from("<4Q", data, at)
            lanes = [mix(lane, word) for lane, word in zip(lanes, words)]
            at += 32
        result = sum(rotate(lane, count) for lane, count in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            result = ((result ^ mix(0, lane)) * P1 + P4) & MASK
    else:
        result = (seed + P5) & MASK
    result = (result + length) & MASK
    while at + 8 <= length:
        result = rotate(result ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4 & MASK
        at += 8
    if at + 4 <= length:
        result = rotate(result ^ struct.unpack_from("<I", data, at)[0] * P1 & MASK, 23) * P2 + P3 & MASK
        at += 4
    for byte in data[at:]:
        result = rotate(result ^ byte * P5 & MASK, 11) * P1 & MASK
    for shift, prime in ((33, P2), (29, P3), (32, 1)):
        result = (result ^ result >> shift) * prime & MASK
    return result


def call_price(spot, strike, rate, volatility, years):
    def cdf(x):
        return math.erfc(-x / math.sqrt(2)) / 2

    d1 = (math.log(spot / strike) + (rate + volatility**2 / 2) * years) / (volatility * math.sqrt(years))
    return spot * cdf(d1) - strike * math.exp(-rate * years) * cdf(d1 - volatility * math.sqrt(years))


def main(name, *arguments):
    if name == "crc32":
        return zlib.crc32(arguments[0].encode())
    if name == "adler32":
        return zlib.adler32(arguments[0].encode())
    if name == "xxh64":
        return xxh64(arguments[0].encode(), int(arguments[1]))
    if name == "call_price":
        return call_price(*map(float, arguments))
    if name == "close":
        return math.isclose(float(arguments[0]), float(arguments[1]), rel_tol=1e-12)
    raise SystemExit(f"expected.py: no answer is known for '{name}'")


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
