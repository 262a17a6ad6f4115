"""One farm for all tests of a file; each test has a client of its own.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import os
import signal
import threading
import time

import numba
import numpy
import pytest

import rbc


def pytest_report_header(config):
    import sys

    return f"rbc {rbc.__version__} from {rbc.__path__[0]}, Python {sys.version.split()[0]}, numba {numba.__version__}, " \
           f"numpy {numpy.__version__}"


@pytest.fixture(scope="session")
def farm():
    """A running farm: the RemoteJIT that started it."""
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port=0)
    yield rjit
    rjit.stop_server()


@pytest.fixture(scope="session")
def simulated(tmp_path_factory):
    """A farm that plays a GPU; None where it cannot."""
    rjit = rbc.RemoteJIT()
    rjit.start_server(background=True, port=0, simulate_gpu=True)
    yield rjit
    rjit.stop_server()


@pytest.fixture(params=["host", "cuda"])
def any_target(request, farm):
    """(client, target): the host, and a simulated GPU."""
    if request.param == "host":
        return farm, "host"
    rjit = request.getfixturevalue("simulated")
    assert "cuda" in rjit.targets, "the farm of the tests plays a GPU"
    return rjit, "cuda"


@pytest.fixture
def rjit(farm):
    """A client of its own session."""
    host, port = farm.address.rsplit(":", 1)
    client = rbc.RemoteJIT(host, int(port))
    yield client
    client.close()


def _busy(rjit):
    return {worker["pid"] for worker in rjit.status()["workers"] if worker["role"] == "execute" and worker["state"] == "busy"}


@pytest.fixture
def becomes_busy():
    """becomes_busy(rjit, busy=True): waits until a worker of the farm is at a call, or none is; whether that came."""

    def becomes(rjit, busy=True):
        end = time.monotonic() + 30
        while bool(_busy(rjit)) != busy and time.monotonic() < end:
            time.sleep(0.02)
        return bool(_busy(rjit)) == busy

    return becomes


@pytest.fixture
def interrupted_when_busy(farm):
    """with interrupted_when_busy(): ...  Ctrl-C comes once a worker of the farm is at it, and ends it soon."""
    host, port = farm.address.rsplit(":", 1)
    watcher = rbc.RemoteJIT(host, int(port))

    @contextlib.contextmanager
    def interrupted():
        others, over, interrupts = _busy(watcher), threading.Event(), []

        def watch():
            while not over.wait(0.02):
                if _busy(watcher) - others:
                    interrupts.append(time.monotonic())
                    os.kill(os.getpid(), signal.SIGINT)
                    return

        thread = threading.Thread(target=watch)
        with pytest.raises(KeyboardInterrupt):
            thread.start()
            yield
        assert time.monotonic() - interrupts[0] < 20
        over.set()
        thread.join()

    yield interrupted
    watcher.close()
