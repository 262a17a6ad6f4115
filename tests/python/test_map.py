"""Maps over NumPy arrays.

SPDX-License-Identifier: Apache-2.0
"""

import math

import numpy as np
import pytest

import rbc


def test_a_row_each(any_target):
    rjit, target = any_target
    f = rjit("float64(float64, float64, int32)", target=target)(lambda x, y, n: x * y + n)
    x = np.linspace(-1, 1, 1001)
    assert np.array_equal(f.map(x, 2.5, np.arange(1001, dtype=np.int32)), x * 2.5 + np.arange(1001))
    grid = np.arange(12.0).reshape(3, 4)
    assert f.map(grid, grid.T.reshape(3, 4), 1).shape == (3, 4)
    assert f.map(x[::2], x[1::2][:501] if len(x[1::2]) > 500 else np.resize(x[1::2], 501), 0).shape == (501,)


def test_types_are_widened_and_never_narrowed(any_target):
    rjit, target = any_target
    f = rjit("float64(float64)", "int64(int64)", target=target)(lambda x: x + x)
    assert f.map(np.arange(5, dtype=np.int16)).dtype == np.int64
    assert f.map(np.arange(5, dtype=np.float32)).tolist() == [0.0, 2.0, 4.0, 6.0, 8.0]
    narrow = rjit("int8(int8)", target=target)(lambda x: x)
    with pytest.raises(rbc.NoMatch, match="`int64`"):
        narrow.map(np.arange(3))
    inferred = rjit(lambda x: x / 2, target=target)
    assert inferred.map(np.array([1, 2, 3])).tolist() == [0.5, 1.0, 1.5]


def test_a_row_that_raises_is_named(any_target):
    rjit, target = any_target

    @rjit("int64(int64, int64)", target=target)
    def divide(a, b):
        return a // b

    assert divide.map(np.array([7, 8, 9]), 2).tolist() == [3, 4, 4]
    with pytest.raises(ZeroDivisionError) as caught:
        divide.map(np.array([7, 8, 9]), np.array([1, 0, 1]))
    assert caught.value.rbc_row == 1


def test_bool_and_complex(any_target):
    rjit, target = any_target
    less = rjit("bool(float64, float64)", target=target)(lambda a, b: a < b)
    result = less.map(np.array([1.0, 3.0]), 2.0)
    assert result.dtype == np.bool_ and result.tolist() == [True, False]
    square = rjit("complex128(complex128)", target=target)(lambda z: z * z)
    assert square.map(np.array([1j, 2 + 1j])).tolist() == [(-1 + 0j), (3 + 4j)]


def test_what_is_no_map_is_refused(any_target):
    rjit, target = any_target
    f = rjit("float64(float64, float64)", target=target)(lambda a, b: a + b)
    with pytest.raises(rbc.InvalidArgument, match="at least one array"):
        f.map(1.0, 2.0)
    with pytest.raises(rbc.InvalidArgument, match="could not be broadcast together with shapes"):
        f.map(np.zeros(3), np.zeros(4))
    with pytest.raises(rbc.NoMatch):
        f.map(np.zeros(3))
    assert f.map(np.zeros(0), 1.0).shape == (0,)


def test_calls_on_every_target(any_target, capsys):
    rjit, target = any_target

    @rjit("float64(float64, int64)", target=target)
    def f(x, n):
        total = 0.0
        for i in range(n):
            if x + i < 0:
                raise ValueError("negative")
            total += math.sqrt(x + i) * math.erf(x)
        return total

    assert f(0.5, 10) == pytest.approx(f.local(0.5, 10), rel=1e-14)
    with pytest.raises(ValueError, match="negative"):
        f(-1.0, 1)
    assert f.target() == target


def test_what_elements_print_is_shown(any_target, capsys):
    rjit, target = any_target

    @rjit("int64(int64, int64)", target=target)
    def talk(a, b):
        print("a is", a)
        return a + b

    assert np.array_equal(talk(np.arange(5), 1), np.arange(1, 6))
    assert sorted(capsys.readouterr().out.splitlines()) == [f"a is {i}" for i in range(5)]
    assert talk.reduce(np.arange(5)) == 10
    assert len(capsys.readouterr().out.splitlines()) == 4
    with rjit.queue() as q:
        sums = q(talk, np.arange(2), 1)
    assert np.array_equal(sums.get(), [1, 2])
    assert sorted(capsys.readouterr().out.splitlines()) == ["a is 0", "a is 1"]

    @rjit("int64(int64)", target=target)
    def stop(n):
        print("before", n)
        return 7 // (n - 3)

    with pytest.raises(ZeroDivisionError):
        stop(np.arange(5))
    assert "before 3" in capsys.readouterr().out.splitlines()
