"""Functions of numbers over arrays: the results are NumPy's.

SPDX-License-Identifier: Apache-2.0
"""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rbc

DTYPES = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
          "complex64", "complex128"]
few = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))


def equal(got, wanted):
    assert type(got) is type(wanted), (type(got), type(wanted))
    assert got.dtype == wanted.dtype and got.shape == wanted.shape
    assert np.array_equal(got, wanted, equal_nan=got.dtype.kind in "fc")
    if got.dtype.kind == "f":
        assert np.array_equal(np.signbit(got[np.equal(got, 0)]), np.signbit(wanted[np.equal(wanted, 0)]))


@st.composite
def strided(draw, dtype, shape):
    """An array of that shape that may be Fortran's, reversed, every other element, or stretched."""
    how = draw(st.sampled_from(["C", "F", "reversed", "every other", "stretched", "byte order"]))
    array = draw(hnp.arrays(dtype, shape))
    if how == "F":
        return np.asfortranarray(array)
    if how == "reversed" and array.ndim:
        return array[::-1][::-1][::-1]
    if how == "every other" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    if how == "stretched" and array.ndim and array.shape[0]:
        return np.broadcast_to(array[:1], array.shape)
    if how == "byte order":
        return array.astype(array.dtype.newbyteorder(">"))
    return array


@st.composite
def operands(draw, dtype, count=2):
    shapes = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, min_side=0, max_side=4, max_dims=3)).input_shapes
    return [draw(strided(np.dtype(dtype), shape)) for shape in shapes]


@pytest.fixture(scope="module")
def functions(farm, simulated):
    """(target, dtype) -> a function, compiled once."""
    made = {}

    def get(target, dtype):
        if (target, dtype) not in made:
            rjit = farm if target == "host" else simulated
            pick = (lambda a, b: a and not b) if dtype == "bool" else (lambda a, b: a + b * b)
            made[target, dtype] = rjit(pick, f"{dtype}({dtype}, {dtype})", target=target)
        return made[target, dtype]

    return get


@pytest.mark.parametrize("target", ["host", "cuda"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_type_shape_and_stride(functions, target, dtype):
    f = functions(target, dtype)

    @few
    @given(operands(dtype))
    def check(arrays):
        a, b = arrays
        with np.errstate(all="ignore"):
            if dtype == "bool":
                wanted = np.logical_and(a, np.logical_not(b))
            elif dtype.startswith("complex"):
                # NumPy's and LLVM's complex products differ in what NaN and infinities give.
                a, b = np.nan_to_num(a, posinf=2, neginf=-2), np.nan_to_num(b, posinf=2, neginf=-2)
                a, b = (np.asarray(np.clip(array.real, -1e9, 1e9), dtype=dtype) for array in (a, b))
                wanted = np.add(a, np.multiply(b, b))
            else:
                wanted = np.add(a, np.multiply(b, b))
            wanted = wanted.astype(dtype) if isinstance(wanted, np.ndarray) else wanted.dtype.type(wanted)
        equal(f(a, b), wanted)

    check()


@few
@given(data=st.data())
def test_out_and_where(functions, data):
    f = functions("host", "float64")
    a, b = data.draw(operands("float64"))
    shape = np.broadcast_shapes(a.shape, b.shape)
    mask = data.draw(hnp.arrays(bool, data.draw(st.sampled_from([shape, shape[1:], (), (1, *shape), (2, *shape)]))))
    whole = np.broadcast_shapes(shape, mask.shape)
    out, wanted = np.full(whole, -7.5), np.full(whole, -7.5)
    with np.errstate(all="ignore"):
        value = np.broadcast_to(a + b * b, whole)
        wanted[np.broadcast_to(mask, whole)] = value[np.broadcast_to(mask, whole)]
    result = f(a, b, out=out, where=mask)
    assert result is out
    equal(out, wanted)


def test_results_go_where_they_are_asked_for(functions):
    f = functions("host", "float64")
    x = np.arange(12.0).reshape(3, 4)
    for out in (np.zeros((3, 4)), np.zeros((3, 4), order="F"), np.zeros((6, 8))[::2, ::-2], np.zeros((2, 3, 4))):
        assert f(x, 1, out=out) is out
        equal(np.array(out), np.broadcast_to(x + 1, out.shape).copy())
    filled = np.zeros((2, 3))
    assert f(2.0, 3, out=filled) is filled and (filled == 11.0).all()
    same = x.copy()
    assert f(same, same, out=same) is same and np.array_equal(same, x + x * x)
    shifted = np.arange(10.0)
    f(shifted[:-1], 0.0, out=shifted[1:])
    assert shifted.tolist() == [0.0, *range(9)]
    single = np.zeros(4, dtype=np.float32)
    f(x[0], 0.5, out=single)
    assert single.tolist() == [0.25, 1.25, 2.25, 3.25]
    with pytest.raises(TypeError, match="cannot be written into an array of int64"):
        f(x, 1, out=np.zeros((3, 4), dtype=np.int64))
    with pytest.raises(rbc.InvalidArgument, match=r"out has shape \(4, 3\)"):
        f(x, 1, out=np.zeros((4, 3)))
    with pytest.raises(ValueError, match="read-only"):
        frozen = np.zeros((3, 4))
        frozen.flags.writeable = False
        f(x, 1, out=frozen)
    with pytest.raises(TypeError, match="bool"):
        f(x, 1, where=np.zeros((3, 4)))
    with pytest.raises(TypeError, match="must be an array"):
        f(x, 1, out=[0.0])


def test_types_are_those_of_numpy(rjit):
    f = rjit("float64(float64, float64)", "float32(float32, float32)", "int64(int64, int64)")(lambda a, b: a + b)
    x32, x64, i8 = np.ones(3, np.float32), np.ones(3), np.ones(3, np.int8)
    for args, dtype in (((x32, x32), np.float32), ((x32, 2.0), np.float32), ((x32, 2), np.float32),
                        ((x32, x64), np.float64), ((x64, np.float32(2)), np.float64), ((i8, i8), np.int64),
                        ((i8, 2), np.int64), ((i8, 2.5), np.float64), ((i8, x64), np.float64)):
        result = f(*args)
        assert result.dtype == dtype, (args, result.dtype)
    narrow = rjit("int8(int8, int8)")(lambda a, b: a + b)
    with pytest.raises(rbc.NoMatch, match="`int64, int8`") as caught:
        narrow(np.arange(3), i8)
    if hasattr(caught.value, "__notes__"):  # Python 3.11 on: shown below the message
        assert caught.value.__notes__[0] == "elements of arrays are not narrowed from int64 to int8: pass x.astype('int8')"
    with pytest.raises(rbc.NoMatch):
        narrow(i8, 1000)
    assert narrow(i8, 100).dtype == np.int8
    with pytest.raises(rbc.NoMatch, match="complex128"):
        f(x64, 1j)
    with pytest.raises(rbc.InvalidArgument, match="U1"):
        f(x64, np.array(["a", "b", "c"]))


def test_maps_that_are_made_again(farm, capsys):
    def quotient(a, b):
        if b == 7:
            print("seven")
        return a / b

    f = farm("float64(float64, float64)")(quotient)
    x, y = np.arange(6.0), np.arange(1.0, 7.0)
    wide = np.arange(12.0).reshape(6, 2)[:, 0]
    for _ in range(3):
        assert np.array_equal(f(x, y), x / y)
        assert np.array_equal(f(x, 2.5), x / 2.5) and np.array_equal(f(2.5, y), 2.5 / y)
        assert np.array_equal(f(wide, y), wide / y)
        assert np.array_equal(f(x[:, None], y[None, :3]), x[:, None] / y[None, :3])
        assert f(np.array(3.0), np.array(2.0)) == 1.5 and f(x[:0], y[:0]).shape == (0,)
        out = np.zeros(6)
        assert f(x, y, out=out) is out and np.array_equal(out, x / y)
        assert f(x, y, out=out[::-1]) is not out and np.array_equal(out[::-1], x / y)
        half = np.zeros(6, np.float32)
        assert f(x, y, out=half) is half and np.array_equal(half, (x / y).astype(np.float32))
        with pytest.raises(rbc.InvalidArgument, match="broadcast"):
            f(x, y[:4])
        with pytest.raises(ZeroDivisionError) as caught:
            f(y, x)
        assert caught.value.rbc_row == 0
        frozen = np.zeros(6)
        frozen.flags.writeable = False
        with pytest.raises(ValueError, match="read-only"):
            f(x, y, out=frozen)
        with farm.profile() as profile:
            f(x, y)
        assert "quotient" in str(profile)
    capsys.readouterr()
    f(x, y + 1)
    assert capsys.readouterr().out == "seven\n"
    single = x.astype(np.float32)
    assert f(single, single + 1).dtype == f(single, single + 1).dtype == np.float64
    f.add_signature("float32(float32, float32)")
    assert f(single, single + 1).dtype == f(single, single + 1).dtype == np.float32


def test_lists_0d_and_empty(functions):
    f = functions("host", "float64")
    assert f([1.0, 2.0], [[3.0], [4]]).tolist() == [[10.0, 11.0], [17.0, 18.0]]
    zero_d = f(np.array(3.0), 2.0)
    assert type(zero_d) is np.float64 and zero_d == 7.0
    assert type(f(3.0, 2.0)) is float
    assert f(np.zeros((0, 3)), np.zeros(3)).shape == (0, 3)
    assert f(np.zeros((2, 0)), 1.0, where=np.zeros((2, 0), bool)).shape == (2, 0)
    with pytest.raises(rbc.InvalidArgument, match=r"shapes \(3,\) \(4,\)"):
        f(np.zeros(3), np.zeros(4))
    with pytest.raises(TypeError, match="missing"):
        f(np.zeros(3))
    with pytest.raises(TypeError, match="'other'"):
        f(np.zeros(3), np.zeros(3), other=1)


def test_several_results_are_several_arrays(farm):
    f = farm("{float64, int32}(float64, int32)")(lambda a, b: (a * b, np.int32(b + 1)))
    x, n = np.arange(6.0).reshape(2, 3), np.arange(3, dtype=np.int32)
    product, after = f(x, n)
    equal(product, x * n)
    equal(after, np.broadcast_to(n + 1, (2, 3)).astype(np.int32))
    out = np.zeros((2, 3))
    result = f(x, n, out=(out, None))
    assert result[0] is out and np.array_equal(out, x * n) and result[1].dtype == np.int32
    # The mask is one of the arrays to write into.
    above = farm("{bool, int64}(int64)")(lambda a: (a > 1, a + 1))
    mask, plus = np.array([True, True, False, True]), np.zeros(4, dtype=np.int64)
    above(np.arange(4), out=(mask, plus), where=mask)
    assert mask.tolist() == [False, False, False, True] and plus.tolist() == [1, 2, 0, 4]
    with pytest.raises(rbc.InvalidArgument, match="out has 1 arrays and the function 2 results"):
        f(x, n, out=out)


def test_keywords_of_the_function_and_parameters_called_out(rjit):
    @rjit("float64(float64, float64)")
    def scaled(x, factor=2.0):
        return x * factor

    x = np.arange(3.0)
    assert scaled(x).tolist() == [0.0, 2.0, 4.0] and scaled(x, factor=0.5).tolist() == [0.0, 0.5, 1.0]
    assert scaled(factor=3, x=x, out=x) is x and x.tolist() == [0.0, 3.0, 6.0]

    @rjit("float64(float64, float64)")
    def named(where, out):
        return where - out

    assert named(1.0, out=3.0) == -2.0 and named(out=1.0, where=5.0) == 4.0


def test_memory_behind_a_pointer_is_no_map(rjit):
    f = rjit("float64(float64*, int64)")(lambda p, n: p[n])
    assert f(np.arange(4.0), 2) == 2.0
    with pytest.raises(rbc.NoMatch):
        f(np.arange(4), 2)


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_the_element_that_raises_is_named(farm, simulated, target):
    rjit = farm if target == "host" else simulated

    @rjit("int64(int64, int64)", target=target)
    def divide(a, b):
        return a // b

    a, b = np.full((3, 4), 7), np.ones((3, 4), dtype=np.int64)
    b[1, 2] = 0
    with pytest.raises(ZeroDivisionError) as caught:
        divide(a, b)
    assert caught.value.rbc_index == (1, 2) and caught.value.rbc_row == 6
    assert "element (1, 2)" in " ".join(getattr(caught.value, "__notes__", ["element (1, 2)"]))
    out = np.full((3, 4), -1)
    divide(a, b, out=out, where=b != 0)
    assert out[1, 2] == -1 and out.sum() == 7 * 11 - 1
    b[2, 3] = 0
    with pytest.raises(ZeroDivisionError) as caught:
        divide(a, b, where=np.arange(12).reshape(3, 4) > 6)
    assert caught.value.rbc_index == (2, 3)
    assert divide(np.arange(10), 2).tolist() == [i // 2 for i in range(10)]


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_reduce_and_accumulate(farm, simulated, target):
    rjit = farm if target == "host" else simulated
    add = rjit("int64(int64, int64)", "float64(float64, float64)", target=target)(lambda a, b: a + b)
    # Associative, but not commutative: the order of the array is kept.
    first = rjit("int64(int64, int64)", target=target)(lambda a, b: a)
    last = rjit("int64(int64, int64)", target=target)(lambda a, b: b)

    @few
    @given(st.data())
    def check(data):
        array = data.draw(strided(np.dtype("int32"), data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=7))))
        axis = data.draw(st.sampled_from([None, *range(-array.ndim, array.ndim)]))
        initial = data.draw(st.sampled_from([None, 0, 17]))
        keepdims = data.draw(st.booleans())
        count = array.size if axis is None else array.shape[axis]
        if initial is None and not count and array.size == 0 and (axis is None or 0 not in np.delete(array.shape, axis)):
            with pytest.raises(ValueError, match="zero-size array to reduction"):
                add.reduce(array, axis=axis)
        else:
            wanted = np.add.reduce(array, axis=axis, dtype=np.int64, initial=0 if initial is None else initial,
                                   keepdims=keepdims)
            equal(add.reduce(array, axis=axis, initial=initial, keepdims=keepdims), wanted)
        if array.size and axis is not None:
            equal(first.reduce(array, axis=axis), array.take(0, axis).astype(np.int64)[()])
            equal(last.reduce(array, axis=axis), array.take(-1, axis).astype(np.int64)[()])
        if axis is not None:
            equal(add.accumulate(array, axis=axis), np.add.accumulate(array, axis=axis, dtype=np.int64))

    check()
    x = np.linspace(0, 1, 10_001)
    assert add.reduce(x, ordered=True) == np.add.accumulate(x)[-1]
    assert add.reduce(x) == add.reduce(x) and add.reduce(x) == pytest.approx(x.sum(), rel=1e-13)
    out = np.zeros(3)
    assert add.reduce(np.ones((4, 3)), out=out) is out and out.tolist() == [4.0] * 3
    assert add.reduce(np.ones((2, 3, 4)), axis=(0, 2)).tolist() == [8.0] * 3
    assert add.reduce(np.ones((4, 3)), out=(out,), axis=-2) is out
    kept = np.zeros((2, 1, 4))
    assert add.reduce(np.ones((2, 3, 4)), axis=1, keepdims=True, out=kept) is kept and (kept == 3.0).all()
    for zero_d in (np.array(2.5), rjit.to_device(np.array(2.5))):
        for axis in (0, -1, None, ()):
            equal(add.reduce(zero_d, axis=axis, initial=1.0), np.add.reduce(np.array(2.5), axis=axis, initial=1.0))
    assert type(add.reduce(np.array(2.5))) is np.float64
    with pytest.raises(ValueError, match="axis 1 is out of bounds"):
        add.reduce(np.array(2.5), axis=1)
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    for run in (lambda out: add.reduce(np.ones((4, 3)), out=out), lambda out: add.accumulate(np.ones(3), out=out)):
        for bad, error in (([0.0] * 3, TypeError), ((out, out), TypeError), (np.zeros(4), rbc.InvalidArgument),
                           (np.zeros(3, np.int64), TypeError), (frozen, ValueError)):
            with pytest.raises(error):
                run(bad)
    with pytest.raises(ValueError, match="axis 3 is out of bounds"):
        add.reduce(x, axis=3)
    with pytest.raises(ValueError, match="on a scalar"):
        add.accumulate(np.array(1.0))
    with pytest.raises(rbc.InvalidArgument, match="combines no elements"):
        rjit("float64(int64, int64)", target=target)(lambda a, b: a / b).reduce(np.arange(3))


@pytest.fixture(params=["unix", "tcp"])
def near_or_far(request, farm):
    """A farm that shares memory with this process, and one that is as far as another machine."""
    if request.param == "tcp":
        yield farm
        return
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port="unix")
    yield rjit
    rjit.stop_server()


def test_more_than_a_message_goes_through_buffers(near_or_far):
    rjit = near_or_far
    before = {b["id"] for b in rjit.buffers}
    f = rjit("int64(int64, int64)")(lambda a, b: a // b)
    x = np.arange(3 << 20).reshape(3, 1024, 1024)  # 24 MiB
    equal(f(x, np.int64(7)), x // 7)
    equal(f(x[:, ::-2, ::3].transpose(2, 0, 1), 5), x[:, ::-2, ::3].transpose(2, 0, 1) // 5)
    equal(f(x.astype(np.int32), 3), x // 3)
    by = np.arange(1, 1025)
    odd = x % 2 == 1
    for out in (np.full_like(x, -1), np.full(x.shape[::-1], -1, dtype=np.int64).T, np.full(x.shape, -1, dtype=np.int32)):
        with np.errstate(all="raise"):
            assert f(x, by, where=odd, out=out) is out
        equal(np.ascontiguousarray(out), np.where(odd, x // by, -1).astype(out.dtype))
    y = np.ones_like(x)
    y[2, 345, 6] = 0
    with pytest.raises(ZeroDivisionError) as caught:
        f(x, y)
    assert caught.value.rbc_index == (2, 345, 6)
    large = np.zeros(9_000_000)  # 72 MB, more than a message may have
    more = rjit("float64(float64, float64)")(lambda a, b: a + b)
    assert more(large, 1.0).sum() == large.size
    assert more.reduce(large + 1) == large.size and more.accumulate(large + 1)[-1] == large.size
    grid = large.reshape(3, -1) + 1
    equal(more.reduce(grid, axis=0), np.full(3_000_000, 3.0))
    equal(more.accumulate(grid, axis=0)[2], np.full(3_000_000, 3.0))
    more(1.0, 2.0)  # what is to be freed goes with the next request at the latest
    assert {b["id"] for b in rjit.buffers} == before


def test_accuracy_of_vector_maths(farm):
    f = farm("float64(float64, float64)")(lambda x, y: math.pow(x, y) + math.sin(x))
    precise = farm("float64(float64, float64)", precise=True)(f)
    x, y = np.linspace(0.01, 50, 4001), np.linspace(-3, 7, 4001)
    wanted = np.array(f.batch(list(zip(x, y))))  # calls have libm's results
    for result in (f(x, y, accuracy="precise"), f.map(x, y, accuracy="precise"), precise(x, y)):
        assert np.array_equal(result, wanted)
    fast = f(x, y)
    assert not np.array_equal(fast, wanted) and np.allclose(fast, wanted, rtol=1e-13, atol=0)
    with pytest.raises(rbc.InvalidArgument, match="'fast', 'accurate', 'precise'"):
        f(x, y, accuracy="exact")
    with pytest.raises(rbc.InvalidArgument, match="'fast', 'accurate' or 'precise'"):
        farm("float64(float64)", accuracy="exact")
    add = farm("float64(float64, float64)", accuracy="precise")(lambda a, b: math.exp(a) + b)
    assert add.accumulate(x[:50], accuracy="precise").tolist() == add.accumulate(x[:50]).tolist()


def test_special_values(farm):
    f = farm("float64(float64, float64)")(lambda a, b: math.exp(a) + math.atan2(a, b))
    values = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1.7e308])
    a, b = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        wanted = np.exp(a) + np.arctan2(a, b)
    got = f(a, b)
    assert np.array_equal(np.isnan(got), np.isnan(wanted)) and np.array_equal(np.isinf(got), np.isinf(wanted))
    assert np.allclose(got, wanted, rtol=1e-15, atol=0, equal_nan=True)


def test_without_signatures_map_says_it(farm):
    f = farm(lambda x, y: x / y)
    assert f(1, 2) == 0.5
    assert f.map(np.arange(3), 2).tolist() == [0.0, 0.5, 1.0] and f.map(np.ones(2, np.float32), 2.0).shape == (2,)


def test_profile_of_a_map(farm):
    f = farm("float64(float64)")(lambda x: x + 0.125)
    add = farm("float64(float64, float64)")(lambda x, y: x + y)
    f(1.0), add(1.0, 2.0)
    values = np.arange(100_000.0)
    for first in (True, False):
        with farm.profile() as p:
            f(values)
            f.map(values[:10], out=np.zeros(10))
            add.reduce(values)
            add.accumulate(values)
        assert [row.calls for row in p.rows] == [100_000, 10, 100_000, 100_000]
        assert [row.bytes_out for row in p.rows] == [800_000, 80, 800_000, 800_000]
        assert [row.bytes_in for row in p.rows] == [800_000, 80, 8, 800_000]
        for row in p.rows:
            parts = [row.queue_s, row.upload_s, row.kernel_s, row.download_s, row.wire_s]
            assert row.kernel_s > 0 and min(parts) >= 0 and sum(parts) == pytest.approx(row.call_s)
        # Code for arrays that lie so is made once; how long that takes beside the rest is the machine's affair.
        assert p.rows[0].compile_s > (1e-3 if first else 0) and p.advice
