"""One farm for all tests of a file; each test has a client of its own.

SPDX-License-Identifier: Apache-2.0
"""

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


@pytest.fixture
def rjit(farm):
    """A client of its own session."""
    host, port = farm.address.rsplit(":", 1)
    client = rbc.RemoteJIT(host, int(port))
    yield client
    client.close()
