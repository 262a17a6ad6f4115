"""Random functions give on the farm, at O0 and O2, what Python gives.

SPDX-License-Identifier: Apache-2.0
"""

import cmath
import itertools
import math
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rbc

EXAMPLES = int(os.environ.get("RBC_RANDOM_FUNCTIONS", "60"))

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16"]
FLOATS = ["float32", "float64"]
RANGE = {"int8": (-128, 127), "int16": (-2**15, 2**15 - 1), "int32": (-2**31, 2**31 - 1), "int64": (-2**40, 2**40),
         "uint8": (0, 255), "uint16": (0, 65535)}


def expressions(names):
    """Texts of expressions of kind "int", "float", "bool" and "complex" over typed names."""
    # numba computes with the arguments' own widths, Python with its widest: the arguments are widened first.
    ints = [f"({n} + 0)" for n, kind in names if kind in INTS]
    floats = [f"({n} * 1.0)" for n, kind in names if kind in FLOATS]
    complexes = [n for n, kind in names if kind == "complex128"]
    bools = [n for n, kind in names if kind == "bool"]

    def leaf(pool, constants):
        return st.sampled_from(pool) | constants if pool else constants

    int_leaf = leaf(ints, st.integers(-50, 50).map(lambda v: f"({v})"))
    float_leaf = leaf(floats, st.floats(-100, 100, allow_nan=False, width=32).map(lambda v: f"({v!r})"))
    complex_leaf = leaf(complexes, st.sampled_from(["1j", "(2-1j)", "(0.5+0j)"]))
    bool_leaf = leaf(bools, st.sampled_from(["True", "False"]))

    def grow(depth, kind):
        if depth == 0:
            return {"int": int_leaf, "float": float_leaf, "complex": complex_leaf, "bool": bool_leaf}[kind]
        below = {k: grow(depth - 1, k) for k in ("int", "float", "bool")}
        pair = lambda k: st.tuples(below[k], below[k])  # noqa: E731
        choose = st.tuples(below["bool"], grow(depth - 1, kind), grow(depth - 1, kind)).map(
            lambda t: f"({t[1]} if {t[0]} else {t[2]})")
        if kind == "int":
            return st.one_of(
                int_leaf, choose,
                st.tuples(pair("int"), st.sampled_from(["+", "-", "&", "|", "^"])).map(
                    lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
                # Kept small: Python's integers do not wrap.
                pair("int").map(lambda t: f"((({t[0]}) % 10007) * (({t[1]}) % 1009))"),
                st.tuples(pair("int"), st.sampled_from(["//", "%"])).map(lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
                st.tuples(below["int"], st.integers(0, 5), st.sampled_from(["<<", ">>"])).map(
                    lambda t: f"((({t[0]}) % 100003) {t[2]} {t[1]})"),
                pair("int").map(lambda t: f"max({t[0]}, {t[1]})"),
                below["int"].map(lambda t: f"abs({t})"),
                below["float"].map(lambda t: f"int(max(-1e9, min(1e9, {t})))"))
        if kind == "float":
            return st.one_of(
                float_leaf, choose,
                st.tuples(pair("float"), st.sampled_from(["+", "-", "*", "/"])).map(
                    lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
                below["int"].map(lambda t: f"float({t})"),
                st.tuples(below["int"], below["int"]).map(lambda t: f"({t[0]} / {t[1]})"),
                below["float"].map(lambda t: f"math.sqrt(abs({t}))"), below["float"].map(lambda t: f"math.tanh({t})"),
                below["float"].map(lambda t: f"math.atan({t})"), below["float"].map(lambda t: f"(-{t})"),
                pair("float").map(lambda t: f"math.hypot({t[0]}, {t[1]})"))
        if kind == "complex":
            both = st.tuples(grow(depth - 1, "complex"), grow(depth - 1, "complex"))
            return st.one_of(complex_leaf, choose, st.tuples(both, st.sampled_from(["+", "-", "*"])).map(
                lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
                st.tuples(below["float"], below["float"]).map(lambda t: f"complex({t[0]}, {t[1]})"))
        return st.one_of(
            bool_leaf, st.tuples(pair("int"), st.sampled_from(["<", "<=", "==", "!="])).map(
                lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
            st.tuples(pair("float"), st.sampled_from(["<", ">="])).map(lambda t: f"({t[0][0]} {t[1]} {t[0][1]})"),
            pair("bool").map(lambda t: f"({t[0]} and not {t[1]})"))

    return grow


def values_of(kind):
    if kind in INTS:
        return st.integers(*RANGE[kind])
    if kind in FLOATS:
        return st.floats(-1e6, 1e6, allow_nan=False, width=32)
    if kind == "bool":
        return st.booleans()
    return st.builds(complex, st.integers(-100, 100), st.integers(-100, 100))


RESULTS = {"int": "int64", "float": "float64", "bool": "bool", "complex": "complex128"}


@st.composite
def cases(draw):
    kinds = draw(st.lists(st.sampled_from(INTS + FLOATS + ["bool", "complex128"]), max_size=4))
    names = [(f"a{i}", kind) for i, kind in enumerate(kinds)]
    result = draw(st.sampled_from(list(RESULTS)))
    grow = expressions(names)
    body = draw(grow(3, result))
    loop = draw(st.sampled_from([None, None, "int", "float"]))
    source = f"def f({', '.join(n for n, _ in names)}):\n"
    if loop and result == loop:
        zero = "0" if loop == "int" else "0.0"
        source += f"    total = {zero}\n    for i in range(3):\n        total = total * 0.5 + {body}\n    return total\n" \
            if loop == "float" else \
            f"    total = {zero}\n    for i in range(3):\n        total = total % 1000 + {body}\n    return total\n"
    else:
        source += f"    return {body}\n"
    rows = draw(st.lists(st.tuples(*[values_of(kind) for kind in kinds]), min_size=1, max_size=4))
    return source, f"{RESULTS[result]}({', '.join(kinds)})", rows


def outcome(function, row):
    try:
        return function(*row)
    except (ZeroDivisionError, OverflowError, ValueError) as error:
        return type(error)


def same(one, two):
    if isinstance(one, type) or isinstance(two, type):
        return one is two
    if type(one) is not type(two):
        return False
    if isinstance(one, (int, bool)):
        return one == two
    pairs = [(one, two)] if isinstance(one, float) else [(one.real, two.real), (one.imag, two.imag)]
    scale = max(1e-300, abs(one))
    return all(a == b or (a != a and b != b) or abs(a - b) <= 4e-12 * scale for a, b in pairs)


counter = itertools.count()


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture,
                                 HealthCheck.large_base_example, HealthCheck.data_too_large])
@given(case=cases())
def test_random_functions(farm, case):
    source, signature, rows = case
    namespace = {"math": math, "cmath": cmath}
    exec(compile(source, f"<random {next(counter)}>", "exec"), namespace)
    plain = namespace["f"]
    wanted = [outcome(plain, row) for row in rows]
    for opt in (0, 2):
        f = farm(plain, signature, opt=opt)
        for row, want in zip(rows, wanted):
            if want is OverflowError or (isinstance(want, int) and abs(want) >= 2**63):
                continue  # Python has no bound there
            got = outcome(f, row)
            assert same(got, want), f"O{opt}: {got!r} instead of {want!r} for {row}:\n{source}"
