"""Truth values, complex numbers, comparisons and mixed types: host, simulated GPU and NumPy agree, as test_host_cuda_numpy
shows for integers and floats.

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from test_host_cuda_numpy import both, cubes, layouts, numbers, pairs, same, some  # noqa: F401

COMPLEX = ["complex64", "complex128"]


def parts(z):
    """A complex array as one of floats; where a part is not a number, which one is not told."""
    z = np.asarray(z)
    flat = np.ascontiguousarray(z).reshape(-1).view(z.real.dtype).reshape(*z.shape, 2).copy()
    flat[np.isnan(z)] = np.nan
    return flat


def product(a, b):
    """By the schoolbook, each operation rounded by itself."""
    out = np.empty(np.broadcast_shapes(a.shape, b.shape), a.dtype)
    out.real = a.real * b.real - a.imag * b.imag
    out.imag = a.real * b.imag + a.imag * b.real
    return out


BOOLS = {
    "both": (lambda a, b: a and b, np.logical_and),
    "either": (lambda a, b: a or b, np.logical_or),
    "one": (lambda a, b: a != b, np.not_equal),
    "less": (lambda a, b: a < b, np.less),
}
COMPLEXES = {
    "add": (lambda a, b: a + b, np.add),
    "subtract": (lambda a, b: a - b, np.subtract),
    "multiply": (lambda a, b: a * b, product),
}


@pytest.mark.parametrize("name", BOOLS)
def test_truth_values(both, name):  # noqa: F811
    function, numpys = BOOLS[name]
    functions = both(name, function, "bool(bool, bool)")

    @some
    @given(pairs("bool"))
    def check(arrays):
        for each in functions:
            same(each(*arrays), np.asarray(numpys(*arrays)))

    check()


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply"])
def test_complex_numbers(both, name, dtype):  # noqa: F811
    function, numpys = COMPLEXES[name]
    functions = both(name, function, f"{dtype}({dtype}, {dtype})")

    @some
    @given(pairs(dtype))
    def check(arrays):
        with np.errstate(all="ignore"):
            wanted = np.asarray(numpys(*arrays)).astype(dtype)
        for each in functions:
            got = np.asarray(each(*arrays))
            assert got.dtype == wanted.dtype and got.shape == wanted.shape
            same(parts(got), parts(wanted))

    check()


@pytest.mark.parametrize("dtype", COMPLEX)
def test_parts_of_complex_numbers(both, dtype):  # noqa: F811
    real = np.empty(0, dtype).real.dtype.name
    functions = both("imag", lambda z: z.imag, f"{real}({dtype})")
    makers = both("made", lambda x, y: complex(x, y), f"{dtype}({real}, {real})")

    @some
    @given(cubes(dtype))
    def check(z):
        for each, make in zip(functions, makers):
            same(each(z), z.imag)
            made = np.asarray(make(z.real, z.imag))
            assert made.dtype == z.dtype
            same(parts(made), parts(z))

    check()


@pytest.mark.parametrize("dtype", ["int8", "uint64", "float32", "float64"])
def test_comparisons(both, dtype):  # noqa: F811
    for name, function, numpys in (("less", lambda a, b: a < b, np.less), ("equal", lambda a, b: a == b, np.equal)):
        functions = both(name, function, f"bool({dtype}, {dtype})")

        @some
        @given(pairs(dtype))
        def check(arrays):
            for each in functions:
                same(each(*arrays), np.asarray(numpys(*arrays)))

        check()


@some
@given(st.data())
def test_mixed_types_meet_as_the_signature_says(both, data):  # noqa: F811
    functions = both("add", lambda a, b: a + b, "float64(float64, float64)")
    shapes = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_side=5, max_dims=3)).input_shapes
    kinds = [data.draw(st.sampled_from(["bool", "int8", "uint16", "int32", "float32", "float64"])) for _ in shapes]
    a, b = (data.draw(layouts(numbers(kind), np.dtype(kind), shape)) for kind, shape in zip(kinds, shapes))
    with np.errstate(all="ignore"):
        wanted = np.asarray(a.astype("float64") + b.astype("float64"))
    for each in functions:
        same(each(a, b), wanted)


def test_reductions_of_truth_values_and_complex_numbers(both):  # noqa: F811
    either = both("either", BOOLS["either"][0], "bool(bool, bool)")
    add = both("add", COMPLEXES["add"][0], "complex128(complex128, complex128)")
    whole = st.builds(complex, st.integers(-1000, 1000), st.integers(-1000, 1000))

    @some
    @given(cubes("bool", min_side=1), cubes("complex128", whole, min_side=1), st.data())
    def check(flags, z, data):
        axis = data.draw(st.sampled_from([None, *range(flags.ndim)]))
        for each in either:
            same(each.reduce(flags, axis=axis), np.logical_or.reduce(flags, axis=axis))
        axis = data.draw(st.sampled_from([None, *range(z.ndim)]))
        for each in add:
            assert np.array_equal(each.reduce(z, axis=axis), z.sum(axis=axis))
            if axis is not None:
                assert np.array_equal(each.accumulate(z, axis=axis), np.add.accumulate(z, axis=axis))

    check()
