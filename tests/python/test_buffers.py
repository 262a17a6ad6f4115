"""Arrays that stay on the farm.

SPDX-License-Identifier: Apache-2.0
"""

import gc
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import rbc

few = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module", params=["unix", "tcp"])
def client(request):
    """A client whose memory is the farm's, and one that is as far as another machine."""
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port="unix" if request.param == "unix" else 0, simulate_gpu=True)
    yield rjit
    rjit.stop_server()


def test_there_and_back(client):
    @few
    @given(hnp.arrays(st.sampled_from([np.bool_, np.int8, np.uint16, np.int64, np.float32, np.float64, np.complex128]),
                      hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)), st.booleans())
    def check(array, fortran):
        if fortran:
            array = np.asfortranarray(array)
        there = client.to_device(array)
        assert (there.shape, there.dtype, there.ndim, there.size, there.nbytes) == (
            array.shape, array.dtype, array.ndim, array.size, array.nbytes)
        for back in (there.get(), np.asarray(there)):
            assert back.dtype == array.dtype and np.array_equal(back, array, equal_nan=array.dtype.kind in "fc")

    check()
    big_endian = client.to_device(np.arange(5, dtype=">i4"))
    assert big_endian.dtype == np.int32 and big_endian.get().tolist() == [0, 1, 2, 3, 4]
    assert client.to_device([[1, 2], [3, 4]]).get().tolist() == [[1, 2], [3, 4]]


def test_views_are_those_of_numpy(client):
    array = np.arange(60).reshape(3, 4, 5)
    there = client.to_device(array)
    keys = [0, -1, (1, 2, 3), slice(1, None), (slice(None), slice(None, None, -2)), (..., 2), (None, 1), (slice(2, 0, -1), 0),
            (slice(0, 0),), (slice(None), None, 3, ...)]
    for key in keys:
        view, wanted = there[key], array[key]
        assert view.shape == np.shape(wanted) and np.array_equal(view.get(), wanted), key
    assert np.array_equal(there.T.get(), array.T) and np.array_equal(there.reshape(12, 5)[3].get(), array.reshape(12, 5)[3])
    assert np.array_equal(there[1].T[::-1].get(), array[1].T[::-1]) and len(there) == 3 and there.reshape((60,)).size == 60
    with pytest.raises(IndexError):
        there[3]
    with pytest.raises(rbc.InvalidArgument, match="get"):
        there[[0, 1]]
    with pytest.raises(rbc.InvalidArgument, match="no view of shape"):
        there.T.reshape(60)
    there[1, ::2] = -1
    there[0] = np.arange(5)
    array[1, ::2] = -1
    array[0] = np.arange(5)
    assert np.array_equal(there.get(), array)


def test_views_without_elements_are_arrays_too(client):
    add = client("float64(float64, float64)")(lambda a, b: a + b)
    there = client.to_device(np.zeros((3, 0)))
    whole = client.to_device(np.zeros((3, 4)))
    for view in (there[2:, ...], there[::-1], there.T[:, ::2], whole[3:, ::-1], whole[:, 4:][::-2]):
        assert np.asarray(view).shape == view.get().shape == add(view, 1.0).shape == view.shape and view.size == 0
        view[...] = 1.0


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_of_a_view_only_its_elements_travel(client, target):
    """Whatever a view's strides: its neighbours stay as they are, and a large array is not moved for a small view."""
    array = np.asfortranarray(np.arange(60.0).reshape(3, 4, 5))
    for order in (array, np.ascontiguousarray(array)):
        array, there = order.copy(order="K"), client.to_device(order, target=target)
        for key in [(1, 2, 3), (slice(None), 1), (slice(None, None, -2), slice(1, 3), 4), (2,), (slice(0, 0),)]:
            assert np.array_equal(there[key].get(), array[key]), key
            there[key] = -1
            array[key] = -1
            assert np.array_equal(there.get(), array), key
    assert there[1, 2:4, 3]._there().nbytes == 16  # what is asked for


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_copies_stay_on_the_farm(client, target):
    array = np.arange(12.0).reshape(3, 4)
    there = client.to_device(array, target=target)
    for view, wanted in [(there, array), (there[::-1, 1], array[::-1, 1]), (there.T, array.T), (there[1, 2], array[1, 2])]:
        copy = view.copy()
        assert copy.target == target and copy.buffer_id != there.buffer_id and np.array_equal(copy.get(), wanted)
    other = client.to_device(np.zeros((4, 3)))
    other[1:, ::2] = there.T[1:, ::2]
    wanted = np.zeros((4, 3))
    wanted[1:, ::2] = array.T[1:, ::2]
    assert np.array_equal(other.get(), wanted)
    there[0, 1:] = there[0, :-1]  # the same memory: as if by way of a copy
    array[0, 1:] = array[0, :-1].copy()
    assert np.array_equal(there.get(), array)


def test_an_array_of_one_is_a_number(client):
    there = client.to_device(np.array([1.5, 0, -2]))
    assert (float(there[0]), int(there[2]), complex(there[0]), bool(there[1])) == (1.5, -2, 1.5 + 0j, False)
    assert there[2].item() == -2.0 and client.to_device(np.array([[True]])).item() is True
    with pytest.raises(ValueError, match="3 elements"):
        float(there)


def test_they_are_listed_and_freed(client):
    before = {b["id"] for b in client.buffers}
    named = client.to_device(np.zeros(1000), name="weights")
    listed = [b for b in client.buffers if b["id"] not in before]
    assert [(b["name"], b["dtype"], b["shape"]) for b in listed] == [("weights", "float64", [1000])]
    view = named[10:20]
    del named
    gc.collect()
    assert any(b["name"] == "weights" for b in client.buffers)
    del view
    gc.collect()
    client.to_device(1.0)  # what is to be freed goes with the next request at the latest
    assert not any(b["name"] == "weights" for b in client.buffers)
    gone, other = client.empty(10, name="gone"), client.empty(10, name="other")
    gone.free()
    assert not any(b["name"] == "gone" for b in client.buffers)
    assert client.free("other") == 1 and not any(b["name"] == "other" for b in client.buffers)
    for name in ("other", "gone"):
        with pytest.raises(rbc.BufferLost, match=name):
            client.free(name)
    if not gone.is_shared:  # where it is, this process still has the memory
        with pytest.raises(rbc.BufferLost):
            gone.get()


def test_what_is_refused(client):
    with pytest.raises(rbc.InvalidArgument, match="no arrays of"):
        client.empty(3, dtype="U5")
    with pytest.raises(rbc.InvalidArgument, match="order"):
        client.empty(3, order="K")
    there = client.to_device(np.arange(3.0))
    with pytest.raises(rbc.InvalidArgument, match="pickled"):
        pickle.dumps(there)
    with pytest.raises(TypeError):
        np.add(there, there)
    with pytest.raises(rbc.ResourceExhausted, match="(?i)limit|quota|allow"):
        client.empty(1 << 50)
    assert "float64 (3,)" in repr(there) and "float64" in there._repr_html_()


def test_the_memory_is_shared_where_it_can_be(client):
    there = client.empty((4, 4), np.float32)
    there.set(0)
    array = np.asarray(there)
    array[1] = 7
    if there.is_shared:
        assert there[1].get().tolist() == [7.0] * 4
        assert np.from_dlpack(there)[1].tolist() == [7.0] * 4
        kept = np.asarray(there[2])
        del there, array
        gc.collect()
        kept[:] = 3  # the view keeps the buffer
        assert kept.tolist() == [3.0] * 4
    else:
        assert there[1].get().tolist() == [0.0] * 4
        with pytest.raises(ValueError, match="without a copy"):
            there.__array__(copy=False)


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_they_are_arguments_and_results(client, target):
    f = client("float64(float64, float64)", target=target)(lambda a, b: a * b + 1)
    x = np.arange(12.0).reshape(3, 4)
    there = client.to_device(x)
    assert isinstance(f(there, there), rbc.DeviceArray) and np.array_equal(f(there, there).get(), x * x + 1)
    wanted = x * x[:1] + 1
    assert np.array_equal(f(there, there[:1]).get(), wanted)
    assert isinstance(f(there[0, 1], 2.0), rbc.DeviceArray) and f(there[0, 1], 2.0).get() == 3.0
    assert np.array_equal(f(f(there, 2.0), x).get(), (x * 2 + 1) * x + 1)
    out = client.to_device(np.zeros((2, 3, 4)))
    assert f(there, 1.0, out=out) is out and np.array_equal(out.get(), np.broadcast_to(x + 1, (2, 3, 4)))
    assert f(x, 2.0, out=out[1].T.T, where=x > 5).shape == (3, 4)
    assert np.array_equal(out[1].get(), np.where(x > 5, 2 * x + 1, x + 1)) and np.array_equal(out[0].get(), x + 1)
    local = np.zeros((3, 4))
    assert f(there, 2.0, out=local) is local and np.array_equal(local, 2 * x + 1)
    with pytest.raises(TypeError, match="cannot be written"):
        f(there, 1.0, out=client.empty((3, 4), np.int64))


@pytest.mark.parametrize("target", ["host", "cuda"])
def test_work_goes_where_they_are(client, target, monkeypatch):
    """No element travels: what would fetch them is out of order here."""
    f = client("float64(float64, float64)", "int64(int64, int64)", target=target)(lambda a, b: a + b)
    x = np.arange(200_000.0).reshape(400, 500)
    y = np.linspace(0, 1, 500)
    there = client.to_device(x)
    numbers = client.to_device(np.arange(1000))
    monkeypatch.setattr(rbc.DeviceArray, "__array__", None)
    assert np.array_equal(f(there, y).get(), x + y)
    assert np.array_equal(f(there[::-2, 1:], there[::-2, :-1]).get(), x[::-2, 1:] + x[::-2, :-1])
    assert f(there, there, out=there) is there and np.array_equal(there.get(), x + x)
    assert f(numbers, 1).dtype == np.int64 and f.reduce(numbers) == 499500
    assert f.reduce(there, axis=None) == (x + x).sum()
    assert np.array_equal(f.reduce(there), (x + x).sum(axis=0)) and np.array_equal(f.reduce(there, axis=-1), (x + x).sum(axis=1))
    g = client("float64(float64)", target=target)(lambda a: 1 / (a - 14))
    with pytest.raises(ZeroDivisionError) as raised:
        g(there)
    assert raised.value.rbc_index == (0, 7)


def test_arrays_of_another_client_still_work(client):
    host, _, port = client.address.rpartition(":")
    other = rbc.RemoteJIT(host=host, port=int(port)) if port.isdigit() else rbc.RemoteJIT(host=client.address)
    f = client("float64(float64, float64)")(lambda a, b: a + b)
    theirs = other.to_device(np.arange(5.0))
    assert f(theirs, theirs).get().tolist() == [0, 2, 4, 6, 8]


def test_they_are_arguments_of_functions_over_arrays(client):
    @client("void(float64[:], float64[:])")
    def halve(x, out):
        for i in range(x.shape[0]):
            out[i] = x[i] / 2

    @client("float64(float64[:,:])")
    def corner(x):
        return x[0, 0] + 10 * x[-1, -1]

    @client("float64[:](float64[:], float64[:])")
    def both(x, y):
        return x + y

    x = np.arange(1_000_000.0)
    there, out = client.to_device(x), client.to_device(np.zeros_like(x))
    assert halve(there, out) is None and np.array_equal(out.get(), x / 2)
    halve(there[::-2], out[:500_000])  # views with gaps, written in place
    assert np.array_equal(out.get()[:500_000], x[::-2] / 2)
    halve(x[:3] * 0 + 8, out[1:4])  # beside an array of this process
    assert out.get()[:5].tolist() == [x[-1] / 2, 4, 4, 4, x[-9] / 2]
    assert corner(there.reshape(1000, 1000)) == 10 * x[-1] and corner(there.reshape(1000, 1000).T[1:]) == 1 + 10 * x[-1]
    result = both(there[:5], there[5:10])
    assert isinstance(result, rbc.DeviceArray) and np.array_equal(result.get(), x[:5] + x[5:10])
    assert isinstance(both(x[:5], x[5:10]), np.ndarray)
    with pytest.raises(rbc.NoMatch):
        halve(client.to_device(np.arange(3)), out)
    with pytest.raises(rbc.NoMatch):
        corner(there)

    inferred = client(lambda a, b: (a * b).sum())
    assert inferred(there, there) == pytest.approx((x * x).sum(), rel=1e-9)

    host, _, port = client.address.rpartition(":")
    other = rbc.RemoteJIT(host=host, port=int(port)) if port.isdigit() else rbc.RemoteJIT(host=client.address)
    with pytest.raises(rbc.InvalidArgument, match="another connection"):
        corner(other.to_device(np.ones((2, 2))))
    gone = client.to_device(np.ones((2, 2)))
    gone.free()
    with pytest.raises(rbc.BufferLost):
        corner(gone)
    theirs = other.to_device(np.ones((2, 2)))
    g = other("float64(float64[:,:])")(lambda a: a[0, 0])
    assert g(theirs) == 1
    other.close()
    with pytest.raises(rbc.BufferLost):
        g(theirs)


def test_results_of_functions_over_arrays_stay_with_them(client):
    @client("float64[:](float64[:], float64)")
    def smooth(x, k):
        if k > 1:
            raise ValueError("too much", k)
        out = np.empty_like(x)
        out[0] = x[0]
        for i in range(1, len(x)):
            out[i] = k * out[i - 1] + (1 - k) * x[i]
        return out

    x = np.linspace(0, 1, 1_000_000)  # together more than any message would hold
    there = client.to_device(x)
    before = len(client.buffers)
    twice = smooth(smooth(there, 0.5), 0.25)
    assert isinstance(twice, rbc.DeviceArray) and twice.target == "host" and twice.is_shared == there.is_shared
    wanted = smooth.local(smooth.local(x[:1000], 0.5), 0.25)
    assert np.array_equal(twice[:1000].get(), wanted)
    assert len(client.buffers) == before + 1  # the one between is gone
    with pytest.raises(ValueError) as raised:
        smooth(there, 2.0)
    assert raised.value.args == ("too much", 2.0) and len(client.buffers) == before + 1
    assert all(isinstance(each, rbc.DeviceArray) for each in smooth.batch([(there[:5], 0.5), (there[5:9], 0.5)]))
    assert np.array_equal(smooth.submit(there[:5], 0.5).result().get(), smooth.local(x[:5], 0.5))
    mixed = smooth.batch([(there[:3], 0.5), (there[:3], 2.0)], return_exceptions=True)
    assert isinstance(mixed[0], rbc.DeviceArray) and isinstance(mixed[1], ValueError)
    with client.profile() as p:
        smooth(there[:9], 0.5)
    assert p.rows[0].calls == 1 and p.rows[0].bytes_in < 200 and p.rows[0].kernel_s > 0

    @client
    def parts(a):
        return a[::2], len(a), a.sum() > 0, a.reshape(2, -1)

    even, count, positive, table = parts(there[2:8])
    assert count == 6 and positive is True and type(count) is int
    assert np.array_equal(even.get(), x[2:8:2]) and np.array_equal(table.get(), x[2:8].reshape(2, 3))
    assert isinstance(table, rbc.DeviceArray) and table.shape == (2, 3)


def test_results_of_functions_over_arrays_in_queues(client):
    shift = client("float64[:](float64[:], float64)")(lambda x, d: x[1:] + d)
    add = client("float64(float64, float64)")(lambda a, b: a + b)
    first = client("float64(float64[:])")(lambda x: 1 / x[0])
    x = np.arange(8.0)
    there = client.to_device(x)
    with client.queue() as q:
        y = q(shift, there, 1.0)
        z = q(add, y, y)
        total = q.reduce(add, y)
        one = q.call(first, there[4:])
        none = q.call(first, there)
    assert isinstance(y.result(), rbc.DeviceArray) and np.array_equal(y.get(), x[1:] + 1)
    assert np.array_equal(z.get(), 2 * (x[1:] + 1)) and float(total) == (x[1:] + 1).sum() and one.result() == 0.25
    with pytest.raises(ZeroDivisionError):
        none.result()
    assert y.dtype == np.float64
    with client.queue() as q:
        with pytest.raises(rbc.InvalidArgument, match="to_device"):
            q.call(shift, x, 1.0)


def test_they_are_arguments_of_functions_over_arrays_on_a_gpu(client):
    f = client("void(float64[:])", target="cuda")(_negate)
    x = np.arange(10.0)
    for target in ("host", "cuda"):  # in the farm's memory, brought to the GPU and back, or there
        there = client.to_device(x, target=target)
        f(there)
        assert np.array_equal(there.get(), -x)
        f(there[::-3])
        assert np.array_equal(there.get()[::-3], x[::-3]) and there.get()[1] == -1
    dot = client("float64(float64[:], float64[:,:])", target="cuda")(_dot)
    there = client.to_device(x, target="cuda")
    assert dot(there, there.reshape(2, 5).T) == dot(x, x.reshape(2, 5).T) == x @ x.reshape(2, 5).T.ravel()
    assert dot(there, x.reshape(5, 2)) == x @ x
    with pytest.raises(rbc.InvalidArgument, match="runs on \"host\""):
        client("void(float64[:])")(_negate)(there)
    with pytest.raises(rbc.NoMatch):
        f(client.to_device(np.arange(3), target="cuda"))
    read = client("float64(float64*)", target="cuda")(lambda data: data[0])
    with pytest.raises(rbc.UnsupportedFeature, match="declare the parameter as an array"):
        read(there)


def test_kernels_take_them(client):
    from rbc import cuda

    @client.kernel("void(float64*, float64*, int64)")
    def twice(out, x, n):
        for i in range(cuda.grid(1), n, cuda.gridsize(1)):
            out[i] = 2 * x[i]

    @client.kernel("void(float32[:,:], float32)")
    def shift(x, by):
        i, j = cuda.grid(2)
        if i < x.shape[0] and j < x.shape[1]:
            x[i, j] += by

    x = np.linspace(0, 1, 1000)
    there, out = client.to_device(x, target="cuda"), client.empty(1000, target="cuda")
    twice[4, 64](out, there, 1000)
    assert np.array_equal(out.get(), 2 * x)
    twice[4, 64](out, out, 1000)  # in place
    assert np.array_equal(out.get(), 4 * x)
    twice[1, 64](out[10:], there[500:], 5)
    assert np.array_equal(out.get()[9:15], [4 * x[9], *(2 * x[500:505])])
    here = client.to_device(np.zeros(1000))  # of the farm's memory, there and back
    twice[4, 64](here, there, 1000)
    assert np.array_equal(here.get(), 2 * x)
    mine = np.zeros(1000)
    twice[4, 64](mine, here, 1000)
    assert np.array_equal(mine, 4 * x)
    table = client.to_device(np.arange(12, dtype=np.float32).reshape(3, 4), target="cuda")
    shift[(1, 1), (4, 4)](table[::2, 1:3].T, 0.5)
    wanted = np.arange(12, dtype=np.float32).reshape(3, 4)
    wanted[::2, 1:3] += 0.5
    assert np.array_equal(table.get(), wanted)
    with pytest.raises(rbc.NoMatch):
        twice[1, 1](out, table, 1)

    @client.kernel("void(float64[:])")
    def positive(x):
        i = cuda.grid(1)
        if x[i] < 0:
            raise ValueError("negative")

    with client.queue() as queue:  # in one message
        steps = [queue(twice[4, 64], out, there, 1000) for _ in range(5)]
        fine, bad = queue.launch(positive[1, 8], out), queue.launch(positive[(2,), 4], client.to_device(-x[:8] - 1, target="cuda"))
        after = queue(twice[4, 64], out, out, 1000)
    assert [step.result() for step in steps] == [None] * 5 and fine.result() is None and after.result() is None
    assert np.array_equal(out.get(), 4 * x)
    with pytest.raises(ValueError, match="negative") as raised:
        bad.result()
    assert raised.value.rbc_block[0] in (0, 1)
    with pytest.raises(rbc.InvalidArgument, match="to_device"):
        queue.launch(positive[1, 8], x)
    pinned = client.to_device(x, name="pinned", target="cuda:0")
    with pytest.raises(rbc.InvalidArgument, match="pinned.*cuda:0"):
        twice[1, 1](out, pinned, 1)


def _dot(x, y):
    total = 0.0
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            total += x[i * y.shape[1] + j] * y[i, j]
    return total


def _negate(x):
    for i in range(x.shape[0]):
        x[i] = -x[i]


def test_they_lie_on_devices(client):
    x = np.arange(24.0).reshape(4, 6)
    there = client.to_device(x, name="there", target="cuda")
    assert there.target == "cuda" and not there.is_shared and "on cuda" in repr(there)
    assert [each["target"] for each in client.buffers if each["name"] == "there"] == ["cuda"]
    assert np.array_equal(np.asarray(there), x) and np.array_equal(there[1:, ::-2].get(), x[1:, ::-2])
    there[2] = 7
    x[2] = 7
    assert np.array_equal(there.get(), x)
    fortran = client.to_device(np.asfortranarray(x), target="cuda")
    assert fortran.strides == np.asfortranarray(x).strides and np.array_equal(fortran.get(), x)
    with pytest.raises(ValueError, match="without a copy"):
        there.__array__(copy=False)
    # Between targets, whole and in part.
    assert client.to_device(there) is there and client.to_device(there, target="cuda") is there
    for target in ("host", "cuda:0", "cuda32"):
        moved, part = client.to_device(there, target=target), client.to_device(there[:, 1], target=target)
        assert moved.target == part.target == target
        assert np.array_equal(moved.get(), x) and np.array_equal(part.get(), x[:, 1])
    # Functions of this target take them, others say what to do.
    f = client("float64(float64, float64)", target="cuda")(lambda a, b: a - b)
    result = f(there, there[0])
    assert result.target == "cuda" and np.array_equal(result.get(), x - x[0])
    assert f(there, 1.0, out=there) is there and np.array_equal(there.get(), x - 1)
    assert np.array_equal(f(there, np.ones(6)).get(), x - 2)
    with pytest.raises(rbc.InvalidArgument, match="to_device"):
        client("float64(float64, float64)")(lambda a, b: a + b)(there, 1.0)
    with pytest.raises(rbc.UnknownTarget):
        client.empty(3, target="gpu")


def test_those_of_a_device_go_with_its_worker(client):
    there = client.to_device(np.arange(3.0), name="prices", target="cuda")
    far = client("int64(int64*, int64)", target="cuda")(lambda data, i: data[i])
    with pytest.raises(rbc.RemoteCrash):
        far(np.arange(4), 1 << 44)
    with pytest.raises(rbc.BufferLost, match="prices"):
        there.get()
    assert client.to_device(np.arange(3.0), target="cuda").get().tolist() == [0, 1, 2]


def test_maps_into_an_array_again_and_again(client):
    """Asked for once more they take the way of calls (docs/maps.md), and nobody can tell."""

    @client("float64(float64, float64)")
    def divide(x, y):
        if y < 0:
            raise ValueError("negative")
        return x / y

    numbers = np.arange(500.0)
    x, y, z = client.to_device(numbers), client.to_device(numbers), client.empty(500)
    for i in range(30):
        y.set(np.full(500, i + 1.0))
        assert divide(x, y, out=z) is z
        assert np.array_equal(z.get(), numbers / (i + 1))
        divide(x, 0.5 + i, out=z)
        assert np.array_equal(z.get(), numbers / (0.5 + i))
    bad = np.ones(500)
    bad[77] = -1
    y.set(bad)
    with pytest.raises(ValueError, match="negative") as caught:
        divide(x, y, out=z)
    assert caught.value.rbc_row == 77
    y.free()
    with pytest.raises(rbc.BufferLost):
        divide(x, y, out=z)


def test_a_client_may_share_no_memory(client):
    host, _, port = client.address.rpartition(":")
    where = (client.address,) if client.address.startswith("unix:") else (host, int(port))
    apart = rbc.RemoteJIT(*where, direct=False)
    there = apart.to_device(np.arange(10))
    assert not there.is_shared and np.array_equal(there.get(), np.arange(10))
    apart.close()


def test_what_ended_is_lost_for_every_use(client):
    f = client("float64(float64)")(lambda a: a + 1)
    add = client("float64(float64, float64)")(lambda a, b: a + b)
    there = client.to_device(np.arange(4.0), name="ended")
    view = there[1:]
    mask = client.to_device(np.array([True, False, True, True]), name="ended")
    queued = client.queue()(f, there)
    there.free()
    mask.free()
    for use in (there.get, view.get, there.copy, there.free, there.item if there.size == 1 else view[0].item,
                lambda: view.set(0.0), lambda: view.__setitem__(slice(1), np.zeros(1)), lambda: np.asarray(view),
                lambda: np.array(there), lambda: np.from_dlpack(there), lambda: f(there), lambda: f(view),
                lambda: f(np.arange(4.0), out=there), lambda: f(np.arange(4.0), where=mask), lambda: add.reduce(there),
                lambda: add.accumulate(there), lambda: client.to_device(there, target="cuda"), queued.result):
        with pytest.raises(rbc.BufferLost, match='"ended"'):
            use()
    again = client.to_device(np.full(4, 7.0))  # perhaps in the same place
    assert again.get().tolist() == [7.0] * 4


def test_what_a_worker_took_along_is_not_shown(client):
    def deep(n):
        return n if n == 0 else deep(n + 1) + 1

    f = client("float64(float64)")(deep)
    there, out = client.to_device(np.ones(3), name="read"), client.to_device(np.ones(3), name="written")
    with pytest.raises(rbc.RemoteCrash):
        f(there, out=out)
    for use in (out.get, lambda: out.set(1.0), lambda: np.asarray(out), lambda: np.from_dlpack(out)):
        with pytest.raises(rbc.BufferLost, match='"written".*is lost'):
            use()
    assert there.get().tolist() == [1.0] * 3 and np.asarray(there)[0] == 1.0


def test_a_lost_array_without_a_name_is_told_by_what_it_is(client):
    @client("void(float64[:], float64[:])")
    def fail(x, out):
        i = 0
        while out[0] == 0 and i < 10**12:
            out[i * 512] = x[0]
            i += 1

    f = client("float32(float32)")(lambda x: x + 1)
    x, out = client.to_device(np.zeros(3)), client.to_device(np.zeros(3))
    made = f(client.to_device(np.ones((2, 3), np.float32)))
    queued = client.queue()(f, made)
    with client.queue() as q:
        last = q(f, made).result()
    made.free()
    last.free()
    for array, told in ((made, r"float32 of shape \(2, 3\)"), (last, r"float32 of shape \(2, 3\), made by '")):
        for use in (array.get, lambda array=array: f(array)):
            with pytest.raises(rbc.BufferLost, match=told):
                use()
    with pytest.raises(rbc.BufferLost, match=r"float32 of shape"):
        queued.result()
    with pytest.raises(rbc.RemoteCrash):
        fail(x, out)
    with pytest.raises(rbc.BufferLost, match=r"float64 of shape \(3,\)\) is lost: as argument 2 of '\w*fail"):
        out.get()
    assert x.get().tolist() == [0.0] * 3, "it is only read"
