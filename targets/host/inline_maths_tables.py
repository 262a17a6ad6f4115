#!/usr/bin/env python3
# Prints inline_maths_tables.h: polynomials through Chebyshev nodes, computed with 60 digits. Needs mpmath.
# inline_maths_tables.py > inline_maths_tables.h
# SPDX-License-Identifier: Apache-2.0
from mpmath import chebyfit, erf, exp, log, mp, mpf, pi, sqrt

mp.dps = 60
TINY = mpf(10) ** -30


def fit(function, low, high, degree):
    return chebyfit(function, [low, high], degree + 1)[::-1]


def row(values):
    return "{" + ", ".join(float(value).hex() for value in values) + "}"


def log_rest(z):
    """(log((1 + s) / (1 - s)) / s - 2) / z where z = s * s."""
    if z < TINY:
        return mpf(2) / 3
    s = sqrt(z)
    return (log((1 + s) / (1 - s)) / s - 2) / z


def erf_pieces(step, count, degree):
    """Of each piece, in t = x - piece * step with |t| <= step / 2; the first one has a factor t."""
    half = step / 2
    first = fit(lambda t: erf(t) / t if t > TINY else 2 / sqrt(pi), TINY, half, degree - 1)
    pieces = [[mpf(0)] + first]
    for piece in range(1, count):
        pieces.append(fit(lambda t, at=piece * step: erf(at + t), -half, half, degree))
    return pieces


half_ln2 = log(mpf(2)) / 2 * mpf("1.0001")
step = mpf(51) / 64
pieces = erf_pieces(step, 8, 15)
print("// Made by inline_maths_tables.py. Coefficients from the lowest power on.")
print("// SPDX-License-Identifier: Apache-2.0")
print("#pragma once\n")
print("namespace rbc::host {\n")
print("// clang-format off")
print("// exp(r) for |r| <= log(2) / 2.")
print(f"inline constexpr double kExp[] = {row(fit(exp, -half_ln2, half_ln2, 11))};")
print("// (log((1 + s) / (1 - s)) / s - 2) / z for z = s * s, s from -1/7 to 1/5.")
print(f"inline constexpr double kLog[] = {row(fit(log_rest, mpf(0), mpf('0.0401'), 7))};")
print("// erf(piece * kErfStep + t) for |t| <= kErfStep / 2: of each power its factor in each piece.")
print("inline constexpr int kErfPieces = 8;")
print(f"inline constexpr double kErfStep = {float(step).hex()};")
print("inline constexpr double kErf[][kErfPieces] = {")
for power in range(len(pieces[0])):
    print("    " + row(piece[power] for piece in pieces) + ",")
print("};")
print("// clang-format on\n")
print("}  // namespace rbc::host")
