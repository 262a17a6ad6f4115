"""Python's column of the matrix: each kind of use on each target runs, or is refused by a type of its own.

tests/acceptance/matrix_test.cc has the columns of C++ and the command. cuda32 refuses
what needs pointers or indices of 64 bits: kernels, arrays, memory behind pointers, and division of 64-bit numbers.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib

import numpy as np
import pytest

import rbc
from rbc import cuda


# Of cuda32: an index of 64 bits.
_REFUSALS = rbc.UnsupportedFeature


@pytest.fixture(params=["host", "cuda", "cuda32"])
def target(request):
    return request.param


@pytest.fixture
def cell(simulated, target):
    """Makes a function for the target; `wide` expects a refusal where pointers are narrow."""
    class Cell:
        rjit = simulated
        wide = pytest.raises(_REFUSALS) if target == "cuda32" else contextlib.nullcontext()

        def function(self, signature, python):
            made = simulated(signature)(python)
            made.target(target)
            return made

    return Cell()


def test_call(cell):
    def poly(x, y):
        return x * x * y + 1.5

    assert cell.function("float64(float64, float64)", poly)(3.0, 2.0) == 19.5


@pytest.mark.parametrize("dtype, rows", [
    (np.int64, [(7, 2), (-7, 2), (7, -2), (1 << 40, 3)]), (np.int32, [(7, 2), (-7, 2), (7, -2)]),
    (np.uint64, [(7, 2), (1 << 63, 3)]), (np.int16, [(-300, 7)]), (np.float64, [(7.5, 2.0), (-7.5, 2.0), (7.0, -0.5)])])
def test_division(cell, dtype, rows):
    signature = "T(T, T)".replace("T", np.dtype(dtype).name)
    for operation in (lambda a, b: a // b, lambda a, b: a % b, lambda a, b: divmod(a, b)[0] * b + divmod(a, b)[1]):
        function = cell.function(signature, operation)
        for a, b in rows:
            assert function(dtype(a), dtype(b)) == operation(a, b), (a, b)
        with pytest.raises(ZeroDivisionError):
            function(dtype(1), dtype(0))


def test_map(cell):
    def poly(x, y):
        return x * x * y + 1.5

    x = np.arange(1000.0)
    assert np.array_equal(cell.function("float64(float64, float64)", poly)(x, 0.5), x * x * 0.5 + 1.5)


def test_chain(cell):
    scale = cell.function("float64(float64, float64)", lambda x, y: x * y + 1.0)
    x = np.arange(5.0)
    with cell.rjit.queue() as q:
        y = q(scale, x, 2.0)
        z = q(scale, y, y)
    assert np.array_equal(np.asarray(z), (2 * x + 1) ** 2 + 1) and np.array_equal(y.get(), 2 * x + 1)


def test_chain_of_calls(cell, target):
    def negate(x):
        for i in range(len(x)):
            x[i] = -x[i]

    def double(data, n):
        i = cuda.grid(1)
        if i < n:
            data[i] *= 2

    scale = cell.function("float64(float64, float64)", lambda x, y: x * y + 1.0)
    x = cell.rjit.to_device(np.arange(5.0), target=target if target == "cuda" else "host")
    with cell.wide:
        over_arrays = cell.function("void(float64[:])", negate)
        with cell.rjit.queue() as q:
            y = q(scale, x, 2.0)
            q(over_arrays, y)
            z = q(scale, y, 1.0)
        assert np.array_equal(y.get(), -2 * np.arange(5.0) - 1) and np.array_equal(z.get(), y.get() + 1)
    if target == "cuda":
        kernel = cell.rjit.kernel("void(float64*, int64)", target=target)(double)
        with cell.rjit.queue() as q:
            y = q(scale, x, 2.0)
            q(kernel[2, 4], y, 5)
        assert np.array_equal(y.get(), 4 * np.arange(5.0) + 2)


def test_reduce(cell):
    add = cell.function("int64(int64, int64)", lambda a, b: a + b)
    x = np.arange(12_000).reshape(3, 4, 1000)
    assert add.reduce(x, axis=None) == x.sum()
    assert np.array_equal(add.reduce(x, axis=1), x.sum(axis=1))


def test_arrays_that_stay(cell, target):
    add = cell.function("float64(float64, float64)", lambda a, b: a + b)
    x = np.arange(3000.0).reshape(3, 1000)
    there = cell.rjit.to_device(x, target=target)
    assert there.target == target and np.array_equal(there.get(), x)
    doubled = add(there, there)
    assert doubled.target == target and np.array_equal(doubled.get(), x + x)
    assert add.reduce(there, axis=None) == x.sum()


def test_scan(cell):
    add = cell.function("int64(int64, int64)", lambda a, b: a + b)
    x = np.arange(6000).reshape(3, 2000)
    for axis in (0, -1):
        assert np.array_equal(add.accumulate(x, axis=axis), np.cumsum(x, axis=axis))


def test_array_function(cell):
    def double(x, y):
        kept = x.shape[0] - 1
        for i in range(len(x)):
            for j in range(x.shape[1]):
                y[kept - i, j] = 2 * x[i, j]

    with cell.wide:
        function = cell.function("void(float64[:,:], float64[:,:])", double)
        x, y = np.arange(12.0).reshape(3, 4), np.zeros((3, 4))
        for given, out in ((x, y), (x[::2, ::-1], np.zeros((4, 2), order="F").T), (x[:0], y[:0])):
            function(given, out)
            assert np.array_equal(out, 2 * given[::-1])


def test_array_result(cell, target):
    refusal = contextlib.nullcontext() if target == "host" else pytest.raises(_REFUSALS)
    with refusal as caught:
        assert np.array_equal(cell.function("float64[:](float64[:])", lambda x: x[::2])(np.arange(5.0)), [0, 2, 4])
    if target == "cuda":
        assert "cannot return an array" in str(caught.value)


def test_array_result_that_stays(cell, target):
    refusal = contextlib.nullcontext() if target == "host" else pytest.raises(_REFUSALS)
    there = cell.rjit.to_device(np.arange(5.0))
    with refusal:
        kept = cell.function("float64[:](float64[:])", lambda x: x[::2])(there)
        assert isinstance(kept, rbc.DeviceArray) and np.array_equal(kept.get(), [0, 2, 4])


def test_tuple_with_arrays(cell, target):
    refusal = contextlib.nullcontext() if target == "host" else pytest.raises(_REFUSALS)
    with refusal as caught:
        part, count = cell.function("{float64[:], int64}(float64[:])", lambda x: (x[::2], len(x)))(np.arange(5.0))
        assert np.array_equal(part, [0, 2, 4]) and count == 5
    if target == "cuda":
        assert "cannot return an array" in str(caught.value)


def test_kernel(cell, target):
    def double(data, n):
        i = cuda.grid(1)
        if i < n:
            data[i] = 2 * data[i] + cuda.blockIdx.x

    data = np.arange(8)
    refusal = pytest.raises(rbc.UnsupportedFeature) if target != "cuda" else contextlib.nullcontext()
    with refusal:
        kernel = cell.rjit.kernel("void(int64*, int64)", target=target)(double)
        kernel[2, 4](data, 8)
        assert list(data) == [2 * i + i // 4 for i in range(8)]


def test_exception(cell):
    def divide(a, b):
        if b < 0:
            raise ValueError("negative")
        return a // b

    function = cell.function("int64(int64, int64)", divide)
    with pytest.raises(ZeroDivisionError):
        function(7, 0)
    with pytest.raises(ValueError, match="negative"):
        function(7, -1)
    assert function(7, 2) == 3


def test_crash(cell):
    def far(data, i):
        return data[i]

    with cell.wide:
        function = cell.function("int64(int64*, int64)", far)
        data = np.arange(4)
        with pytest.raises(rbc.RemoteCrash) as caught:
            function(data, 1 << 44)
        assert caught.value.cause == "invalid memory access"
        assert function(data, 3) == 3


def test_print(cell, capsys):
    def talk(n):
        print("n is", n)
        return n

    assert cell.function("int64(int64)", talk)(5) == 5
    assert capsys.readouterr().out == "n is 5\n"
