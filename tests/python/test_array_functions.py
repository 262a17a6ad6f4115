"""Functions over NumPy arrays.

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np
import pytest

import rbc

DTYPES = ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64",
          "complex64", "complex128"]


def numbers(dtype, *shape):
    """Elements that every dtype has, none equal to its neighbours."""
    flat = np.arange(int(np.prod(shape)))
    return (flat % 2 == 0 if dtype == "bool" else (flat % 100).astype(dtype)).reshape(shape)


def test_sum_of_an_array(rjit):
    @rjit("float64(float64[:])")
    def total(a):
        s = 0.0
        for x in a:
            s += x
        return s

    x = np.linspace(0.0, 1.0, 1001)
    assert total(x) == sum(x)
    assert total(x[::2]) == sum(x[::2])
    assert total(x[::-3]) == sum(x[::-3])
    assert total(x[:0]) == 0.0
    assert total(np.broadcast_to(2.5, (7,))) == 17.5


def test_arrays_without_dimensions_are_their_element(rjit):
    double = rjit(lambda a: a * 2)
    assert [double(np.array(x)) for x in (1.5, 2, 1j, np.float32(0.25))] == [3.0, 4, 2j, 0.5]
    assert [str(s[1][0]) for s in double.signatures] == ["float64", "int64", "complex128", "float32"]
    assert double.batch([(np.array(2.5),), (np.arange(2.0),)])[0] == 5.0


def test_writing_into_an_array(rjit):
    @rjit("void(float64[:], float64[:])")
    def double(out, x):
        for i in range(len(x)):
            out[i] = 2 * x[i]

    x, out = np.arange(10.0), np.zeros(10)
    assert double(out, x) is None
    assert np.array_equal(out, 2 * x)
    wide = np.full(30, -1.0)
    double(wide[::3], x)
    assert np.array_equal(wide[::3], 2 * x) and set(wide[1::3]) == set(wide[2::3]) == {-1.0}


def test_results_are_arrays(rjit):
    @rjit("float64[:](float64[:], float64[:])")
    def add(x, y):
        return x + y

    x, y = np.arange(5.0), np.ones(5)
    z = add(x, y)
    assert type(z) is np.ndarray and z.dtype == np.float64 and np.array_equal(z, x + y)
    z[0] = 7  # of one's own
    assert x[0] == 0
    assert add(x[:0], y[:0]).shape == (0,)
    with pytest.raises(ValueError):
        add(x, np.ones(3))


def test_results_that_are_parts_of_an_argument(rjit):
    tail = rjit("float64[:](float64[:], int64)")(lambda a, n: a[n::2])
    x = np.arange(10.0)
    assert np.array_equal(tail(x, 3), x[3::2])
    assert np.array_equal(tail(x[::-1], 3), x[::-1][3::2])
    whole = rjit("float64[:,:](float64[:,:])")(lambda a: a.T)
    y = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(whole(y), y.T)
    assert np.array_equal(whole(np.asfortranarray(y)), y.T)


def test_several_arrays_and_values_are_returned(rjit):
    @rjit("{float64[:], int32, float32[:,:], bool}(float64[:])")
    def pieces(a):
        return a[::-1], np.int32(len(a)), a.astype(np.float32).reshape(-1, 2), a[0] > 0

    x = np.arange(6.0)
    back, count, table, positive = pieces(x)
    assert np.array_equal(back, x[::-1]) and count == 6 and positive is False
    assert table.dtype == np.float32 and np.array_equal(table, x.reshape(3, 2))
    same = rjit(lambda a: (a, a))  # inferred, of one type
    for given in (x, x[:0]):
        one, other = same(given)
        assert np.array_equal(one, given) and np.array_equal(other, given)
    one, other = same(x)
    one[0] = 7
    assert other[0] == x[0] == 0  # each of its own
    assert "{float64[::1], float64[::1]}(float64[::1])" in map(str, same.signatures)
    written = rjit("{float64[:], float64[:]}(float64[:])")(_negate_and_double)
    negated, doubled = written(x)
    assert np.array_equal(negated, x) and np.array_equal(doubled, 2 * x) and x[1] == -1
    failing = rjit("{float64[:], int64}(float64[:], int64)")(lambda a, n: (a, 7 // n))
    with pytest.raises(ZeroDivisionError):
        failing(x, 0)
    assert failing(x, 2)[1] == 3
    rows = same.batch([(x,), (x[:2],)])
    assert np.array_equal(rows[1][0], x[:2])
    with pytest.raises(rbc.UnsupportedFeature, match="cannot travel"):
        rjit("{{float64[:], int64}, int64}(float64[:])")(lambda a: ((a, 1), 2))(x)


def _negate_and_double(a):
    a *= -1
    return a, 2 * a


def test_a_gpu_returns_no_arrays(simulated):
    @simulated(target="cuda")
    def halve(a):
        b = a / 2
        return b, b.sum()

    line = halve.py_func.__code__.co_firstlineno + 3
    with pytest.raises(rbc.UnsupportedFeature) as caught:
        halve(np.ones(3))
    assert "cannot return an array" in str(caught.value) and f"line {line}:\n    return b, b.sum()" in str(caught.value)
    with pytest.raises(rbc.UnsupportedFeature, match="cannot return an array; let it write"):
        simulated("float64[:](float64[:])", target="cuda")(lambda a: a)(np.ones(3))
    with pytest.raises(rbc.UnsupportedFeature, match="cannot return text or bytes"):
        simulated("string(int64)", target="cuda")(lambda n: str(n))(3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_in_and_out(rjit, dtype):
    f = rjit(f"{dtype}[:,:]({dtype}[:,:], {dtype}[:])")(_replace_and_turn)
    x, row = numbers(dtype, 4, 6), numbers(dtype, 8)[2:]
    want = x.copy()
    want[1] = row
    for given in (x.copy(), np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1, ::-1].copy()[::-1, ::-1]):
        got = f(given, row)
        assert got.dtype == x.dtype and np.array_equal(got, want[::-1]) and np.array_equal(given, want)


def _replace_and_turn(a, b):
    a[1, :] = b
    return a[::-1]


def test_n_dimensions_and_layouts(rjit):
    @rjit
    def describe(a):
        total = 0.0
        for index, value in np.ndenumerate(a):
            total += value * (1 + sum(index))
        return total

    for shape in ((3,), (2, 3), (2, 3, 4), (1, 1, 1, 5), (0, 3), (2, 0)):
        x = np.arange(float(np.prod(shape))).reshape(shape)
        for given in (x, np.asfortranarray(x), x[::-1], x[..., ::-1]):
            assert describe(given) == sum(v * (1 + sum(i)) for i, v in np.ndenumerate(given))
    assert "float64(float64[::1])" in map(str, describe.signatures)
    assert "float64(float64[:,:])" in map(str, describe.signatures)


def test_matching(rjit):
    f = rjit("float64(float64[:])", "int64(int32[:])", "int64(int64[::1])")(lambda a: a[0] + len(a))
    assert f(np.ones(3)) == 4.0
    result = f(np.ones(3, np.int32))
    assert result == 4 and type(result) is int
    assert f(np.arange(2)) == 2
    for given, text in ((np.ones((2, 2)), "float64[:,:]"), (np.ones(3, np.float32), "float32[:]"),
                        (np.arange(6)[::2], "int64[:]"), ([1.0, 2.0], "{float64, float64}"), (None, "void*"), (1.5, "float64")):
        with pytest.raises(rbc.NoMatch) as caught:
            f(given)
        assert str(caught.value) == f"could not find matching function to given argument types: `{text}`"
    with pytest.raises(TypeError, match="byte order"):
        f(np.ones(3, ">f8"))


def test_pointers_still_take_arrays(rjit):
    first = rjit("float64(float64*)")(lambda p: p[0])
    assert first(np.array([3.0, 4.0])) == 3.0
    assert first(np.array([[3.0], [4.0]])) == 3.0
    with pytest.raises(rbc.InvalidArgument, match="contiguous"):
        first(np.arange(6.0)[::2])
    byte = rjit("int64(int16*)")(lambda p: p[0])
    assert byte(np.array([1, 2], np.uint8)) == 513


def test_read_only_arrays(rjit):
    f = rjit("float64(float64[:])")(_overwrite)
    x = np.arange(3.0)
    x.flags.writeable = False
    assert f(x) == 3.0 and np.array_equal(x, np.arange(3.0))
    y = np.arange(3.0)
    assert f(y) == 3.0 and y[0] == 100.0


def test_large_arrays_that_are_only_read_stay_as_they_are(rjit):
    def scaled(x, y, k):
        for i in range(len(y)):
            y[i] = x[i] * k

    f = rjit("void(float64[:], float64[:], float64)")(scaled)
    x, y = np.arange(100_000.0), np.zeros(100_000)
    # Old numba makes pointers of integers: nobody knows which array such a one is in, and both come back.
    back = x.nbytes + y.nbytes if "inttoptr" in f.get_IR() else y.nbytes
    for source, rows in ((x, x), (x[::-1], x[::-1]), (np.repeat(x, 2)[::2], x)):
        with rjit.profile() as p:
            f(source, y, 2.0)
        assert np.array_equal(y, rows * 2)
        assert p.rows[0].bytes_out >= 2 * x.nbytes and back <= p.rows[0].bytes_in < back + 1000
    f(x, x, 3.0)
    assert np.array_equal(x, np.arange(100_000.0) * 3)


def _overwrite(a):
    s = a.sum()
    a[0] = 100.0
    return s


def test_with_other_arguments(rjit):
    @rjit("float64(string, float64[:], {int32, float64}, complex64[:,:], bool)")
    def mixed(s, a, t, c, flag):
        return len(s) + a[-1] * t[0] + t[1] + c[1, 0].imag + (100.0 if flag else 0.0)

    c = np.array([[1], [2 + 3j]], np.complex64)
    assert mixed("four", np.array([1.0, 2.0]), (10, 0.5), c, True) == 4 + 20 + 0.5 + 3 + 100


def test_functions_that_call_functions_with_arrays(rjit):
    def norm(a):
        return np.sqrt((a * a).sum())

    @rjit("float64[:](float64[:])")
    def unit(a):
        n = norm(a)
        if n == 0:
            raise ValueError("no direction")
        return a / n

    assert np.allclose(unit(np.array([3.0, 4.0])), [0.6, 0.8])
    with pytest.raises(ValueError, match="no direction"):
        unit(np.zeros(2))
    assert np.allclose(unit(np.array([0.0, 2.0])), [0.0, 1.0])


def test_bounds_are_checked_when_asked(rjit):
    at = rjit("float64(float64[:], int64)", boundscheck=True)(lambda a, i: a[i])
    assert at(np.arange(3.0), 2) == 2.0
    with pytest.raises(IndexError):
        at(np.arange(3.0), 3)


def test_beyond_the_arguments(rjit):
    """What reads where nothing is mapped costs a worker, not the session."""
    at = rjit("float64(float64[:], int64)")(lambda a, i: a[i])
    with pytest.raises(rbc.RemoteCrash):
        at(np.arange(3.0), 2**40)
    assert at(np.arange(3.0), 1) == 1.0


def test_submit_and_batch(rjit):
    scale = rjit("float64[:](float64[:], float64)")(lambda a, k: a * k)
    x = np.arange(4.0)
    assert np.array_equal(scale.submit(x, 2.0).result(), 2 * x)
    for k, got in enumerate(scale.batch([(x, float(k)) for k in range(5)])):
        assert np.array_equal(got, k * x)


def test_none_or_an_array(rjit):
    @rjit
    def positive(a):
        if a[0] > 0:
            return a * 2
        return None

    assert np.array_equal(positive(np.array([1.0, 2.0])), [2.0, 4.0])
    assert positive(np.array([-1.0])) is None


def _workers(rjit):
    return {worker["pid"] for worker in rjit.status()["workers"] if worker["role"] == "execute"}


def _resident(pid):
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096


@pytest.mark.parametrize("signature, function, argument", [
    ("float64[:](float64[:])", lambda a: a + 1, np.arange(2000.0)),
    ("float64(float64[:])", lambda a: np.sort(a * 2).sum(), np.arange(2000.0)),
    ("string(string)", lambda s: s + "!", "x" * 2000),
], ids=["arrays", "temporaries", "text"])
def test_ten_thousand_results_leave_nothing_behind(rjit, signature, function, argument):
    before = _workers(rjit)
    f = rjit(signature)(function)
    for _ in range(500):
        f(argument)
    (worker,) = _workers(rjit) - before
    resident = _resident(worker)
    for _ in range(10_000):
        f(argument)
    assert _workers(rjit) - before == {worker}
    assert _resident(worker) - resident < 4 << 20  # 10,000 results have 20 MB and more
