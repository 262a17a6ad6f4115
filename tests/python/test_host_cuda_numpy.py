"""Host, simulated GPU and NumPy agree: random functions of a list, types, shapes, strides and special values.

Exact operations agree to the bit (but for which NaN it is), the others within ulps of NumPy's.

SPDX-License-Identifier: Apache-2.0
"""

import math
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rbc

EXAMPLES = int(os.environ.get("RBC_RANDOM_ARRAYS", "15"))
some = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float32", "float64"]
SPECIAL = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, -5e-324, 1e-40, 2.2e-308, 1.7e308, 3e38, 0.5]

# name: (function, NumPy's, types); the results are NumPy's to the bit.
EXACT = {
    "add": (lambda a, b: a + b, np.add, INTS + FLOATS),
    "subtract": (lambda a, b: a - b, np.subtract, INTS + FLOATS),
    "multiply": (lambda a, b: a * b, np.multiply, INTS + FLOATS),
    "and": (lambda a, b: a & b, np.bitwise_and, INTS),
    "xor": (lambda a, b: a ^ b, np.bitwise_xor, INTS),
    "largest": (lambda a, b: a if a > b else b, lambda a, b: np.where(a > b, a, b), INTS + FLOATS),
    "copysign": (lambda a, b: math.copysign(a, b), np.copysign, ["float64"]),
    "ratio": (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1), ["float64"]),
    "root": (lambda a, b: math.sqrt(abs(a)) - b, lambda a, b: np.sqrt(abs(a)) - b, FLOATS),
    "floor": (lambda a, b: np.floor(a) + np.ceil(b), lambda a, b: np.floor(a) + np.ceil(b), FLOATS),
}
# name: (function, NumPy's, what it is tried on, ulps)
MATHS = {
    "exp": (lambda x: math.exp(x), np.exp, (-800, 800), 6),
    "expm1": (lambda x: math.expm1(x), np.expm1, (-50, 800), 6),
    "log": (lambda x: math.log(x), np.log, (1e-300, 1e300), 6),
    "log1p": (lambda x: math.log1p(x), np.log1p, (-0.9, 1e300), 6),
    "sin": (lambda x: math.sin(x), np.sin, (-1e4, 1e4), 6),
    "cos": (lambda x: math.cos(x), np.cos, (-1e4, 1e4), 6),
    "tan": (lambda x: math.tan(x), np.tan, (-1e4, 1e4), 6),
    "atan": (lambda x: math.atan(x), np.arctan, (-1e300, 1e300), 6),
    "tanh": (lambda x: math.tanh(x), np.tanh, (-100, 100), 6),
    "asinh": (lambda x: math.asinh(x), np.arcsinh, (-1e300, 1e300), 6),
}


@st.composite
def layouts(draw, elements, dtype, shape):
    """An array of that shape that may be Fortran's, backwards, with gaps, or stretched."""
    array = draw(hnp.arrays(dtype, shape, elements=elements))
    how = draw(st.sampled_from(["C", "F", "backwards", "gaps", "stretched"]))
    if how == "F":
        return np.asfortranarray(array)
    if how == "backwards" and array.ndim:
        return array[..., ::-1]
    if how == "gaps" and array.ndim:
        return np.repeat(array, 3, axis=0)[1::3]
    if how == "stretched" and array.ndim and array.shape[-1]:
        return np.broadcast_to(array[..., :1], array.shape)
    return array


def numbers(dtype):
    dtype = np.dtype(dtype)
    if dtype.kind != "f":
        return hnp.from_dtype(dtype)
    with np.errstate(all="ignore"):
        special = [float(dtype.type(value)) for value in SPECIAL]
    return st.sampled_from(special) | hnp.from_dtype(dtype)


@st.composite
def pairs(draw, dtype):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=5, max_dims=4)).input_shapes
    return [draw(layouts(numbers(dtype), np.dtype(dtype), shape)) for shape in shapes]


@st.composite
def cubes(draw, dtype, elements=None, min_side=0):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=min_side, max_side=40))
    return draw(layouts(elements if elements is not None else numbers(dtype), np.dtype(dtype), shape))


def same(got, wanted):
    """To the bit, but for which NaN it is."""
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    assert np.array_equal(got, wanted, equal_nan=got.dtype.kind == "f"), (got, wanted)
    if got.dtype.kind == "f":
        assert np.array_equal(np.signbit(got[got == 0]), np.signbit(wanted[wanted == 0])), (got, wanted)


def near(got, wanted, ulps):
    got, wanted = np.asarray(got), np.asarray(wanted)
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    assert np.array_equal(np.isnan(got), np.isnan(wanted)), (got, wanted)
    finite = np.isfinite(wanted) & np.isfinite(got)
    assert np.array_equal(got[~finite], wanted[~finite], equal_nan=True), (got, wanted)
    assert np.all(abs(got[finite] - wanted[finite]) <= ulps * np.spacing(abs(wanted[finite]))), (got, wanted)


@pytest.fixture(scope="module")
def both(farm, simulated):
    """(name, function, signature) -> the function on host and on the GPU, compiled once."""
    made = {}

    def get(name, function, signature):
        if (name, signature) not in made:
            made[name, signature] = [rjit(function, signature, target=target)
                                     for rjit, target in ((farm, "host"), (simulated, "cuda"))]
        return made[name, signature]

    return get


@pytest.mark.parametrize("name, dtype", [(name, dtype) for name, (_, _, types) in EXACT.items() for dtype in types])
def test_exact_operations(both, name, dtype):
    function, numpys, _ = EXACT[name]
    functions = both(name, function, f"{dtype}({dtype}, {dtype})")

    @some
    @given(pairs(dtype))
    def check(arrays):
        a, b = arrays
        with np.errstate(all="ignore"):
            wanted = np.asarray(numpys(a, b)).astype(dtype)
        for each in functions:
            same(each(a, b), wanted)

    check()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", MATHS)
def test_maths(both, name, dtype):
    function, numpys, (low, high), ulps = MATHS[name]
    functions = both(name, function, f"{dtype}({dtype})")
    if dtype == "float32":
        low, high = max(low, -1e30), min(high, 1e30)
        low = np.float32(1e-30) if name == "log" else np.float32(low)
    width = np.dtype(dtype).itemsize * 8
    elements = st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan]) | st.floats(
        float(np.dtype(dtype).type(low)), float(np.dtype(dtype).type(high)), width=width)

    @some
    @given(cubes(dtype, elements))
    def check(x):
        with np.errstate(all="ignore"):
            # Of narrow ones the correctly rounded result is the judge.
            wanted = numpys(x.astype("float64")).astype(dtype) if dtype == "float32" else numpys(x)
        for each in functions:
            near(each(x), wanted, ulps)

    check()


@pytest.mark.parametrize("name, dtype", [("subtract", "int32"), ("multiply", "float64"), ("copysign", "float64")])
def test_arrays_that_stay_on_the_gpu(both, simulated, name, dtype):
    function, numpys, _ = EXACT[name]
    there = both(name, function, f"{dtype}({dtype}, {dtype})")[1]

    @some
    @given(pairs(dtype))
    def check(arrays):
        a, b = arrays
        left, right = (simulated.to_device(x, target="cuda") for x in (a, b))
        with np.errstate(all="ignore"):
            wanted = np.asarray(numpys(a, b)).astype(dtype)
            wanted_back = np.asarray(numpys(a[..., ::-1], b) if a.ndim else wanted).astype(dtype)
        for x, y in ((left, right), (left, b), (a, right)):
            result = there(x, y)
            same(result.get() if isinstance(result, rbc.DeviceArray) else result, wanted)
        if a.ndim:
            result = there(left[..., ::-1], right)
            same(result.get() if isinstance(result, rbc.DeviceArray) else result, wanted_back)
        out = simulated.empty(wanted.shape, dtype, target="cuda")
        assert there(left, right, out=out) is out
        same(out.get(), wanted)
        same(left.get(), a)

    check()
    assert not [each for each in simulated.buffers if each["target"] == "cuda"], "all of them are given back"


@pytest.mark.parametrize("dtype", ["int64", "float32"])
def test_reductions_of_arrays_that_stay_on_the_gpu(both, simulated, dtype):
    there = both("largest", EXACT["largest"][0], f"{dtype}({dtype}, {dtype})")[1]
    first, last = both("first", lambda a, b: a, f"{dtype}({dtype}, {dtype})")[1], both("last", lambda a, b: b, f"{dtype}({dtype}, {dtype})")[1]
    add = both("add", EXACT["add"][0], f"{dtype}({dtype}, {dtype})")[1]

    @some
    @given(st.data())
    def check(data):
        finite = st.integers(-1000, 1000)
        array = data.draw(cubes(dtype, finite.map(np.dtype(dtype).type) if dtype == "int64" else finite.map(float), min_side=1))
        if data.draw(st.booleans()):  # more than a block of threads takes
            array = np.resize(array, (data.draw(st.integers(16_000, 70_000)),))
        axis = data.draw(st.sampled_from([None, *range(array.ndim)]))
        resident = simulated.to_device(array, target="cuda")
        for view, same_view in ((resident, array), (resident[::-1], array[::-1]), (resident.T, array.T)):
            assert np.array_equal(there.reduce(view, axis=axis), same_view.max(axis=axis))
        assert first.reduce(resident, axis=None) == array.ravel()[0], "in their order"
        assert last.reduce(resident, axis=None) == array.ravel()[-1]
        assert np.array_equal(add.reduce(resident, axis=axis), add.reduce(array, axis=axis)), "the same bits as of one sent"
        if axis is not None:
            assert np.array_equal(there.accumulate(resident, axis=axis), np.maximum.accumulate(array, axis=axis))

    check()


@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_out_and_where(both, dtype):
    functions = both("add", EXACT["add"][0], f"{dtype}({dtype}, {dtype})")

    @some
    @given(st.data())
    def check(data):
        a, b = data.draw(pairs(dtype))
        shape = np.broadcast_shapes(a.shape, b.shape)
        mask = data.draw(hnp.arrays(bool, data.draw(st.sampled_from([shape, shape[1:], (), (2, *shape)]))))
        whole = np.broadcast_shapes(shape, mask.shape)
        mask = np.broadcast_to(mask, whole)
        with np.errstate(all="ignore"):
            value = np.broadcast_to(a + b, whole)
        for each in functions:
            out = np.full(whole, 77, dtype)
            if data.draw(st.booleans()) and out.ndim:
                out = np.full(whole[::-1], 77, dtype).T
            assert each(a, b, out=out, where=mask) is out
            same(out, np.where(mask, value, np.full(whole, 77, dtype)))

    check()


@pytest.mark.parametrize("dtype", INTS)
@pytest.mark.parametrize("name", ["add", "multiply", "xor", "largest"])
def test_reductions_of_integers(both, name, dtype):
    function, numpys, _ = EXACT[name]
    numpys = np.maximum if name == "largest" else numpys
    functions = both(name, function, f"{dtype}({dtype}, {dtype})")

    @some
    @given(st.data())
    def check(data):
        array = data.draw(cubes(dtype, min_side=1))
        axis = data.draw(st.sampled_from([None, *range(-array.ndim, array.ndim)]))
        options = {} if name == "largest" else {"dtype": dtype}
        wanted = numpys.reduce(array, axis=axis, **options)
        for each in functions:
            same(each.reduce(array, axis=axis), wanted)
            if axis is not None:
                same(each.accumulate(array, axis=axis), numpys.accumulate(array, axis=axis, **options))

    check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_reductions_of_floats(both, dtype):
    add, largest = (both(name, EXACT[name][0], f"{dtype}({dtype}, {dtype})") for name in ("add", "largest"))
    width = np.dtype(dtype).itemsize * 8

    @some
    @given(st.data())
    def check(data):
        array = data.draw(cubes(dtype, st.floats(-1000, 1000, width=width), min_side=1))
        axis = data.draw(st.sampled_from([None, *range(array.ndim)]))
        count = array.size if axis is None else array.shape[axis]
        allowed = count * np.finfo(dtype).eps * abs(array).sum(axis=axis, dtype=np.float64)
        for each in add:
            first = each.reduce(array, axis=axis)
            assert np.all(abs(first - array.sum(axis=axis, dtype=np.float64)) <= allowed)
            assert np.array_equal(each.reduce(array, axis=axis), first), "the same again"
            if axis is not None:
                steps = each.accumulate(array, axis=axis)
                wanted = np.add.accumulate(array, axis=axis, dtype=np.float64)
                assert np.all(abs(steps - wanted) <= np.expand_dims(allowed, axis))
        for each in largest:
            assert np.array_equal(each.reduce(array, axis=axis), array.max(axis=axis))

    check()
