"""A client whose network goes and comes back; waits that leave the interpreter free.

SPDX-License-Identifier: Apache-2.0
"""

import io
import os
import re
import select
import socket
import sys
import threading
import time

import numpy as np
import pytest

import rbc


# The long test cuts for a minute.
CUT_S = float(os.environ.get("RBC_NETWORK_CUT_S", "0.5"))


class Network:
    """A TCP proxy in front of a farm, that can be cut (connections break, none are made), frozen (nothing passes) and
    slow."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self._farm = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._pairs, self._lock = [], threading.Lock()
        self.cut, self.frozen, self._ended = False, False, False
        self.passed = 0
        self.rate = 0  # bytes a second, both ways together; 0: all that the machine can
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._ended:
            with self._lock:
                if self.cut:
                    for pair in self._pairs:
                        for end in pair:
                            end.close()
                    self._pairs.clear()
                ends = {end: other for a, b in self._pairs for end, other in ((a, b), (b, a))}
            ready, _, _ = select.select([self._listener, *([] if self.frozen else ends)], [], [], 0.02)
            for end in ready:
                if end is self._listener:
                    near, _ = end.accept()
                    if self.cut:
                        near.close()
                        continue
                    near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._pairs.append((near, socket.create_connection(self._farm)))
                else:
                    self._pass(end, ends[end])

    def _pass(self, end, other):
        try:
            data = end.recv(65536)
            self.passed += len(data)
            if self.rate:
                time.sleep(len(data) / self.rate)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        with self._lock:
            self._pairs = [pair for pair in self._pairs if end not in pair]
        end.close()
        other.close()

    def cut_off(self):
        """Cuts, and waits until no connection is left."""
        self.cut = True
        end = time.monotonic() + 30
        while self._pairs:
            assert time.monotonic() < end
            time.sleep(0.01)

    def close(self):
        self._ended = True
        self._thread.join(30)
        self._listener.close()


@pytest.fixture
def network(farm):
    net = Network(farm.address)
    yield net
    net.close()


def test_after_a_cut_the_session_goes_on(network, farm):
    rjit = rbc.RemoteJIT("127.0.0.1", network.port, timeout=20)
    f = rjit("int64(int64)")(lambda x: x + 1)
    assert f(1) == 2
    handle = f.compile()["int64(int64)"]["handle"]
    network.cut_off()
    time.sleep(CUT_S)
    with pytest.raises(rbc.ConnectionLost):
        f(2)
    network.cut = False
    assert f(3) == 4
    compiled = f.compile()["int64(int64)"]
    assert compiled["handle"] == handle
    rjit.close()


@pytest.mark.parametrize("compress, packed", [("on", True), ("off", False), ("auto", False)])
def test_arrays_are_packed_on_the_way(network, compress, packed):
    rjit = rbc.RemoteJIT("127.0.0.1", network.port, timeout=20, compress=compress)
    x = np.arange(1 << 20, dtype="float64")
    before = network.passed
    there = rjit.to_device(x)
    assert (there.get() == x).all()
    moved = network.passed - before
    assert moved < x.nbytes / 5 if packed else moved >= 2 * x.nbytes
    rjit.close()


def test_compress_is_one_of_three():
    with pytest.raises(ValueError, match="compress is 'perhaps'; there are auto, on and off"):
        rbc.RemoteJIT("127.0.0.1", 1, compress="perhaps")


def test_a_silent_network_is_waited_for(network):
    rjit = rbc.RemoteJIT("127.0.0.1", network.port, timeout=20)
    f = rjit("int64(int64)")(lambda x: x + 1)
    assert f(1) == 2
    network.frozen = True
    call = f.submit(41)
    time.sleep(1.5)
    assert not call.done()
    network.frozen = False
    assert call.result(30) == 42
    rjit.close()


def test_waiting_leaves_other_threads_running(rjit):
    @rjit("int64(int64)", timeout=3.0)
    def forever(x):
        while x == 1:
            pass
        return x

    assert forever(0) == 0
    call = forever.submit(1)
    turns, started = 0, time.monotonic()
    while not call.done():
        turns += 1
        assert time.monotonic() - started < 30
    assert turns > 1000
    with pytest.raises(rbc.DeadlineExceeded):
        call.result()


def test_ctrl_c_stops_a_map(rjit, interrupted_when_busy):
    @rjit("int64(int64)")
    def forever(x):
        while x == 1:
            pass
        return x

    assert forever.map(np.array([0, 2])).tolist() == [0, 2]
    with interrupted_when_busy():
        forever.map(np.array([0, 1]))
    assert forever.map(np.array([3])).tolist() == [3]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def shown_percents(monkeypatch, work):
    """The percentages that a user sees while work() runs, and whether the line is gone at the end."""
    with monkeypatch.context() as patch:
        terminal = Terminal()
        patch.setattr(sys, "stderr", terminal)
        work()
    text = terminal.getvalue()
    return [int(each) for each in re.findall(r"copying, (\d+) %", text)], text.endswith("\r\x1b[K")


def test_copies_over_a_slow_network_show_how_far_they_are(network, farm, monkeypatch):
    rjit = rbc.RemoteJIT("127.0.0.1", network.port, timeout=120, compress="off")
    total = rjit("float64(float64[:])")(lambda x: x.sum())
    reverse = rjit("float64[:](float64[:])")(lambda x: x[::-1].copy())
    x = np.random.default_rng(0).standard_normal(6 * 2**20 // 8 * 4)  # more than the sockets between us hold
    network.rate = 8 * 2**20
    arrays = []
    copies = {
        "to_device": lambda: arrays.append(rjit.to_device(x)),
        "get": lambda: arrays.append(arrays[0].get()),
        "an argument": lambda: arrays.append(total(x)),
        "a result": lambda: arrays.append(reverse(arrays[0][:]).get()),
    }
    for name, copy in copies.items():
        percents, gone = shown_percents(monkeypatch, copy)
        assert gone and percents == sorted(percents), (name, percents)
        assert len(set(percents)) >= 2 and 0 <= percents[0] < percents[-1] <= 100, (name, percents)
    network.rate = 0
    assert np.array_equal(arrays[1], x) and arrays[2] == total(x) and np.array_equal(arrays[3], x[::-1])
