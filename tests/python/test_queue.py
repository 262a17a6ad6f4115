"""Calls and maps that queue, travel together, and hand their arrays on where they run.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import gc
import threading

import numpy as np
import pytest

import rbc


@pytest.fixture(scope="module", params=["unix", "tcp"])
def client(request):
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port="unix" if request.param == "unix" else 0)
    yield rjit
    rjit.stop_server()


@pytest.fixture
def add(client):
    @client("float64(float64, float64)")
    def add(x, y):
        return x + y

    return add


@pytest.fixture
def inverse(client):
    @client("float64(float64)")
    def inverse(x):
        if x == 0.0:
            raise ZeroDivisionError("of nothing")
        return 1.0 / x

    return inverse


def test_steps_hand_their_arrays_on(client, add):
    x = np.arange(6.0).reshape(2, 3)
    with client.queue() as q:
        y = q(add, x, 1.0)
        z = q(add, y, y)
        total = q.reduce(add, z)
        rows = q.reduce(add, z, axis=1)
        sums = q.accumulate(add, z, axis=1)
        one = q(add, 2.0, 3.0)
    assert total.result() == (2 * (x + 1)).sum() and float(total) == total.result() and one.result() == 5.0
    assert np.array_equal(np.asarray(z), 2 * (x + 1)) and isinstance(y.result(), rbc.DeviceArray)
    assert np.array_equal(rows.get(), (2 * (x + 1)).sum(axis=1))
    assert np.array_equal(sums.get(), np.cumsum(2 * (x + 1), axis=1))
    assert rbc.gather(total, one) == [total.result(), 5.0]
    there = client.to_device(x)
    into = client.empty(x.T.shape)
    with client.queue() as q:
        written = q(add, there.T, 1.0, out=into)
        again = q(add, written.result(), 1.0)
    assert written.result() is into and np.array_equal(into.get(), x.T + 1) and np.array_equal(again.get(), x.T + 2)
    with pytest.raises(rbc.NoMatch):
        q(add, x)


def test_calls_take_what_earlier_steps_make(client, add, inverse):
    smooth = client("float64[:](float64[:], float64)")(lambda x, d: d * (x[1:] + x[:-1]))
    total = client("float64(float64[:])")(lambda x: x.sum())
    x = np.arange(6.0)
    with client.queue() as q:
        y = q(smooth, q(add, x, 1.0), 0.5)
        z = q(smooth, y, 0.5)
        s = q(total, z)
    assert isinstance(z.result(), rbc.DeviceArray) and np.array_equal(z.get(), x[:-2] + 2) and s.result() == z.get().sum()
    assert q(total, z).result() == s.result()  # of an earlier chain

    @client
    def spread(x):  # its types are those of its arguments
        return x.max() - x.min()

    assert q.call(spread, y).result() == 4.0
    bad = q(inverse, x)
    needs = q(total, q(smooth, bad, 1.0))
    with pytest.raises(ZeroDivisionError, match="of nothing"):
        needs.result()
    with pytest.raises(rbc.NoMatch):
        q(total, q(add, np.ones((2, 2)), 1.0))
    with pytest.raises(rbc.InvalidArgument, match="one value"):
        q(total, q.reduce(add, y))
    with pytest.raises(rbc.InvalidArgument, match="another queue"):
        client.queue()(total, y)
    with pytest.raises(TypeError, match="no array"):
        q(total, s)
    with pytest.raises(rbc.InvalidArgument, match="get.. it first"):
        total(q(add, x, 1.0))
    q.wait()  # nothing of it runs while others count


def test_several_results_are_several_arrays(client, add):
    both = client("{float64, int32}(float64, int32)")(lambda x, n: (2 * x, n + 1))
    x, n = np.arange(6.0).reshape(2, 3), np.arange(3, dtype=np.int32)
    there = client.to_device(x)
    with client.queue() as q:
        made = q(both, there, n)
    queued, direct = made.result(), both(there, n)
    assert type(queued) is type(direct) is tuple and len(queued) == len(direct) == 2
    for ours, wanted in zip(queued, direct):
        assert isinstance(ours, rbc.DeviceArray) and (ours.dtype, ours.shape) == (wanted.dtype, wanted.shape)
        assert np.array_equal(np.asarray(ours), wanted.get()) and np.array_equal(ours.copy().get(), wanted.get())
    assert [copy.tolist() for copy in made.get()] == [(2 * x).tolist(), [[1, 2, 3]] * 2]
    doubled, up = queued
    assert np.array_equal(doubled.T[1:].get(), (2 * x).T[1:]) and int(up[1, 2]) == 3
    assert np.array_equal(add(doubled, up).get(), 2 * x + n + 1) and np.array_equal(q(add, doubled, x).get(), 3 * x)
    assert client("float64(float64[:,:])")(lambda a: a[1, 2])(doubled) == 10.0 and add.reduce(doubled, axis=None) == 30.0
    doubled[0, 1:] = 7.0
    assert doubled.get().tolist() == [[0.0, 7.0, 7.0], [6.0, 8.0, 10.0]] and up.get().tolist() == [[1, 2, 3]] * 2
    assert [part.shape for part in q(both, np.zeros(0), 1).result()] == [(0,)] * 2
    with pytest.raises(rbc.InvalidArgument, match="several arrays"):
        q(add, made, 1.0)


def test_several_results_are_freed_one_by_one(client):
    both = client("{float64, int32}(float64)")(lambda x: (x * 2, 7))
    add = client("float64(float64, float64)")(lambda a, b: a + b)
    x = client.to_device(np.arange(4.0))
    queued = client.queue()(both, x)
    first, second = queued.result()
    view = first[1:]
    first.free()
    for use in (first.get, view.get, first.free, lambda: np.asarray(view), lambda: add(first, 1.0),
                lambda: add.reduce(view), lambda: client.queue()(add, first, x), lambda: add(x, 1.0, out=first)):
        with pytest.raises(rbc.BufferLost, match="float64 of shape"):
            use()
    assert second.get().tolist() == [7] * 4
    assert len(client.buffers) == 2, "the memory is there as long as one of them is"
    second.free()
    assert len(client.buffers) == 1
    first, second = client.queue()(both, x).result()
    first.free()
    del second
    assert len(client.buffers) == 1, "also where the last one just goes"


def test_arrays_among_several_results_of_a_call_stay(client):
    halves = client("{float64[:], float64, float64[:]}(float64[:])")(lambda x: (x[:2].copy(), x.sum(), x[2:].copy()))
    there = client.to_device(np.arange(5.0))
    gc.collect()
    before = len(client.buffers)
    queued, direct = client.queue()(halves, there).result(), halves(there)
    assert [type(part) for part in queued] == [type(part) for part in direct] == [rbc.DeviceArray, float, rbc.DeviceArray]
    assert queued[1] == 10.0 and queued[0].get().tolist() == [0, 1] and queued[2].get().tolist() == [2, 3, 4]
    handle = client.queue()(halves, there)
    assert handle.get()[2].tolist() == [2, 3, 4]
    assert len(client.buffers) == before + 6
    del queued, direct, handle
    gc.collect()
    assert len(client.buffers) == before


def test_temporaries_go(client, add):
    gc.collect()
    before = len(client.buffers)
    with client.queue() as q:
        y = q(add, np.arange(3.0), 1.0)
        for _ in range(19):
            y = q(add, y, 1.0)
    assert y.get().tolist() == [20, 21, 22] and len(client.buffers) == before + 1
    del y
    gc.collect()
    assert len(client.buffers) == before


def test_exceptions_come_with_what_needs_them(client, add, inverse):
    with client.queue() as q:
        bad = q(inverse, np.array([1.0, 0.0, 2.0]))
        needs = q(add, bad, 1.0)
        total = q.reduce(add, needs)
        fine = q(add, np.arange(2.0), 1.0)
    assert fine.get().tolist() == [1, 2]
    for handle in (total, bad, needs):
        with pytest.raises(ZeroDivisionError, match="of nothing") as raised:
            handle.result()
        assert raised.value.rbc_row == 1
    assert isinstance(total.exception(), ZeroDivisionError) and fine.exception() is None
    later = q(add, needs, 2.0)
    with pytest.raises(ZeroDivisionError):
        np.asarray(later)
    with pytest.raises(ZeroDivisionError):
        q.call(inverse, 0.0).result()
    with pytest.raises(ZeroDivisionError):
        rbc.gather(fine, bad)
    misfit = q(add, np.arange(2.0), np.arange(3.0))
    with pytest.raises(rbc.InvalidArgument):
        misfit.result()


def test_futures_and_coroutines(client, add):
    async def work():
        q = client.queue()
        y = q(add, np.arange(3.0), 1.0)
        s = q.reduce(add, y)
        return await s, (await y).get().tolist()

    assert asyncio.run(work()) == (6.0, [1, 2, 3])
    q = client.queue(eager=True)
    told = threading.Event()
    handle = q(add, np.arange(3.0), 2.0)
    handle.add_done_callback(lambda which: told.set() if which is handle else None)
    assert handle.future().result(60).get().tolist() == [2, 3, 4] and told.wait(60) and handle.done()


def test_what_waits_can_be_cancelled(client, add):
    q = client.queue()
    y = q(add, np.arange(3.0), 1.0)
    z = q(add, y, 1.0)
    assert y.cancel()
    for handle in (y, z):
        with pytest.raises(rbc.Cancelled):
            handle.result()
    with pytest.raises(KeyError):
        with client.queue() as q:
            never = q(add, np.arange(3.0), 1.0)
            raise KeyError()
    with pytest.raises(rbc.Cancelled):
        never.result()


def test_profiles_have_a_row_a_step(client, add):
    x = np.arange(100_000.0)
    with client.profile() as p:
        with client.queue() as q:
            y = q(add, x, 1.0)
            z = q.reduce(add, q(add, y, y))
        z.result()
        q.wait()
    assert [row.function for row in p.rows] == ["add"] * 3
    assert all(row.kernel_s > 0 and row.queue_s >= 0 for row in p.rows) and p.rows[0].bytes_out >= x.nbytes
    assert "add" in str(p) and p.advice
