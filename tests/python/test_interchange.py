"""Arrays of other libraries as arguments, and the farm's as theirs.

SPDX-License-Identifier: Apache-2.0
"""

import array
import ctypes
import mmap

import numpy as np
import pyarrow as pa
import pytest

import rbc


@pytest.fixture(scope="module", params=["unix", "tcp"])
def client(request):
    """A client whose memory is the farm's, and one that is as far as another machine."""
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port="unix" if request.param == "unix" else 0)
    yield rjit
    rjit.stop_server()


class Dlpack:
    """An array that is known by DLPack alone."""

    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class Arrow:
    """An array that is known by Arrow's C data interface alone."""

    def __init__(self, values):
        self.values = pa.array(values)

    def __arrow_c_array__(self, requested_schema=None):
        return self.values.__arrow_c_array__(requested_schema)


class Series:
    """One that is known by NumPy's protocol alone, as a pandas.Series is."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


@pytest.mark.parametrize("kind", [pa.array, Arrow, Dlpack, Series, pa.Tensor.from_numpy, memoryview, lambda x: array.array("d", x),
                                  lambda x: pa.chunked_array([x[:2], x[2:]])])
def test_arrays_of_others_are_arguments(client, kind):
    x = np.array([1.5, -2.0, 4.25, 0.0])
    given = kind(x)
    there = client.to_device(given)
    assert there.dtype == np.float64 and np.array_equal(there.get(), x)
    f = client("float64(float64, float64)")(lambda a, b: a * b + 1)
    assert np.array_equal(f(given, 2.0), x * 2 + 1)
    assert np.array_equal(f.map(given, x), x * x + 1)
    assert client("float64(float64[:])")(lambda a: a[0] + a[2])(given) == 5.75


def test_memory_that_objects_lend_is_an_array(client):
    add = client("float64(float64, float64)")(lambda a, b: a + b)
    numbers = (ctypes.c_double * 4)(1.5, -2.0, 4.25, 0.0)
    table = (ctypes.c_double * 2 * 3)((1.0, 2.0), (3.0, 4.0), (5.0, 6.0))
    assert add(numbers, 1.0).tolist() == [2.5, -1.0, 5.25, 1.0]
    assert add(1.0, table).tolist() == add.map(table, 1.0).tolist() == [[2.0, 3.0], [4.0, 5.0], [6.0, 7.0]]
    assert client("float64(float64[:,:])")(lambda a: a[2, 1])(table) == 6.0
    up = client("uint8(uint8)")(lambda b: b + 1)
    with mmap.mmap(-1, 4096) as memory:
        memory[:3] = b"abc"
        there = client.to_device(memory)
        assert up(memory)[:4].tobytes() == b"bcd\1" and there.dtype == np.uint8 and there.get()[:3].tobytes() == b"abc"
        assert client.queue()(up, memory).get()[:3].tobytes() == b"bcd"
    assert up(bytearray(b"abc")).tobytes() == b"bcd"  # and the mmap could be closed: nobody holds its memory
    with pytest.raises(rbc.NoMatch, match="char8"):
        up(b"abc")  # text


def test_every_number_of_arrow(client):
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"):
        x = np.arange(5).astype(dtype)
        assert client.to_device(pa.array(x)).get().dtype == dtype
    bits = [True, False, True, True] * 5
    there = client.to_device(pa.array(bits)[3:])  # a bit map that begins inside of a byte
    assert there.dtype == bool and there.get().tolist() == bits[3:]
    f = client("int64(bool)")(lambda b: 7 if b else 1)
    assert f(pa.array(bits)).tolist() == [7 if b else 1 for b in bits]
    assert client.to_device(pa.array(np.arange(10))[2:5]).get().tolist() == [2, 3, 4]


def test_what_no_array_of_numbers_is(client):
    f = client("float64(float64)")(lambda a: a)
    for given, message in ((pa.array([1.0, None, 3.0]), "nulls .1 of 3."), (pa.array(["a", "b"]), "string"),
                           (pa.array([1, 2], pa.timestamp("s")), "timestamp"), (pa.array([[1, 2]]), "list"),
                           (pa.table({"a": [1.0]}), "one of its columns")):
        with pytest.raises(rbc.InvalidArgument, match=message):
            client.to_device(given)
        with pytest.raises(rbc.InvalidArgument, match=message):
            f.map(given)
        with pytest.raises(rbc.InvalidArgument, match=message):
            client.queue()(f, given)
        with pytest.raises(rbc.InvalidArgument, match=message):
            client.to_device(np.zeros(3))[...] = given


def test_a_masked_array_is_not_taken_as_if_it_were_whole(client):
    f = client("float64(float64, float64)")(lambda a, b: a + b)
    first = client("float64(float64[:])")(lambda a: a[0])
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    there = client.to_device(np.zeros(3))
    queue = client.queue()
    for use in (lambda: f(masked, 1.0), lambda: first(masked), lambda: client.to_device(masked), lambda: there.set(masked),
                lambda: there[::-1].set(masked), lambda: queue(f, masked, 1.0), lambda: queue.reduce(f, masked)):
        with pytest.raises(rbc.InvalidArgument, match="1 of 3 masked.*filled"):
            use()
    whole = np.ma.array([1.0, 2.0])
    assert f(whole, 1.0).tolist() == [2.0, 3.0] and first(whole) == 1.0 and client.to_device(whole).get().tolist() == [1.0, 2.0]
    assert f(masked.filled(0), 1.0).tolist() == [2.0, 1.0, 4.0]
    assert f(masked.data, 1.0, where=~masked.mask, out=np.zeros(3)).tolist() == [2.0, 0.0, 4.0]


def test_read_only_and_strided_memory(client):
    frozen = np.arange(12.0).reshape(3, 4)
    frozen.flags.writeable = False
    f = client("float64(float64)")(lambda a: a + 1)
    assert np.array_equal(f(frozen), frozen + 1) and np.array_equal(f(memoryview(frozen[::-1, ::2])), frozen[::-1, ::2] + 1)
    assert np.array_equal(client.to_device(memoryview(frozen.T)).get(), frozen.T)
    assert np.array_equal(client.to_device(Dlpack(np.arange(12.0).reshape(3, 4).T[::2])).get(),
                          np.arange(12.0).reshape(3, 4).T[::2])
    middle = client("float64(float64[:,:])")(lambda a: a[1, 0])
    assert middle(memoryview(frozen)) == 4.0 and middle(memoryview(frozen[::-2, ::3])) == 0.0
    touch = client("void(float64[:])")(lambda a: None)
    assert touch(pa.array([1.0, 2.0])) is None  # read-only there as here


def test_arrays_of_the_farm_are_those_of_others(client):
    x = np.arange(1000.0)
    there = client.to_device(x)
    given = pa.array(there)
    assert given.type == pa.float64() and given.null_count == 0 and given.to_pylist() == x.tolist()
    assert pa.array(client.to_device(np.array([True, False]))).to_pylist() == [True, False]
    assert np.array_equal(np.from_dlpack(there), x)
    with pytest.raises(rbc.InvalidArgument, match="one dimension"):
        pa.array(there.reshape(10, 100))
    if there.is_shared:
        there[1] = -5.0
        assert given[1].as_py() == -5.0  # no copy
        kept = np.asarray(memoryview(there._buffer))  # bytes
        assert kept.nbytes == x.nbytes and np.from_dlpack(there)[1] == -5.0


def test_their_memory_is_lent_by_the_buffer_protocol(client):
    x = np.arange(12.0).reshape(3, 4)
    there = client.to_device(x)
    if not there.is_shared:
        for lend in (memoryview, pa.py_buffer, lambda a: a.__dlpack__(copy=False), lambda a: a.__array__(copy=False)):
            with pytest.raises((BufferError, ValueError), match="get.. copies|without a copy"):
                lend(there)
        assert np.array_equal(np.from_dlpack(there), x) and np.array_equal(np.asarray(there), x)
        return
    lent = memoryview(there[::-1, ::2])
    assert lent.shape == (3, 2) and lent.strides == (-32, 16) and lent.format == "d" and not lent.readonly
    lent[0, 1] = -1.0
    assert there[2, 2].item() == -1.0
    assert pa.py_buffer(there).address == np.asarray(there).ctypes.data
    for dtype in ("bool", "int8", "uint64", "float16", "float32", "complex64", "complex128"):
        each = client.to_device(np.array([[1, 0], [0, 1]], dtype))
        assert np.asarray(memoryview(each)).dtype == dtype and np.array_equal(memoryview(each), each.get())
    assert memoryview(client.to_device(np.array(2.5))).shape == () and memoryview(client.to_device(np.zeros((0, 3)))).nbytes == 0
    there.free()
    with pytest.raises(rbc.BufferLost):
        memoryview(there)
    assert lent[0, 0] is not None  # memory of the session, whoever's it is by now
