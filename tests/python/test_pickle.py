"""Callers in other processes: pickle, joblib, Dask, fork.

SPDX-License-Identifier: Apache-2.0
"""

import math
import multiprocessing
import os
import pickle
import subprocess
import sys

import joblib
import pytest

import rbc
from plain_functions import checked_root

FACTOR = 3


def helper(x):
    return x * FACTOR


@pytest.fixture
def default(rjit):
    rbc.set_default_farm(rjit)
    os.environ["RBC_FARM"] = rjit.address
    yield rjit
    del os.environ["RBC_FARM"]
    rbc.set_default_farm(None)


def make(rjit):
    offset = 0.25

    @rjit("float64(float64)", "int64(int64)")
    def f(x: complex) -> complex:
        """Docstring."""
        return helper(x) + offset * 4

    return f


def test_source_signatures_and_target_travel(default):
    f = make(default)
    bytes_ = pickle.dumps(f)
    assert default.address.encode() not in bytes_
    g = pickle.loads(bytes_)
    assert g(2.0) == f(2.0) == 7.0 and g(2) == 7 and g(1j) == 1 + 3j
    assert list(map(str, g.signatures)) == list(map(str, f.signatures))
    assert g.__name__ == "f" and g.target() == "host" and g.__doc__ == "Docstring."


def test_recursive_functions_lambdas_and_errors(default):
    @default("int64(int64)")
    def factorial(n):
        if n < 0:
            raise ValueError("negative")
        return 1 if n < 2 else n * factorial(n - 1)

    again = pickle.loads(pickle.dumps(factorial))
    assert again(10) == 3628800
    with pytest.raises(ValueError, match="negative"):
        again(-1)
    square = pickle.loads(pickle.dumps(default("int64(int64)")(lambda x: x * x)))
    assert square(7) == 49
    inferred = pickle.loads(pickle.dumps(default(checked_root)))
    assert inferred(9.0) == 3.0
    with pytest.raises(rbc.InvalidArgument, match="cannot be pickled"):
        lock = multiprocessing.get_context().Lock()
        pickle.dumps(default("int64()")(lambda: lock.value))


def test_joblib_processes_use_it(default):
    f = make(default)
    results = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(f)(float(i)) for i in range(6))
    assert results == [3.0 * i + 1 for i in range(6)]


def test_dask_workers_use_it(default):
    from distributed import Client, LocalCluster

    f = make(default)
    with LocalCluster(n_workers=1, threads_per_worker=2, processes=True, dashboard_address=None) as cluster, \
            Client(cluster) as client:
        assert client.gather(client.map(f, [1.0, 2.0, 3.0])) == [4.0, 7.0, 10.0]


def test_a_forked_child_has_a_session_of_its_own(default):
    f = make(default)
    assert f(1.0) == 4.0
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(write, repr([f(float(i)) for i in range(3)]).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(pid, 0)
    assert os.read(read, 100) == b"[1.0, 4.0, 7.0]"
    assert f(2.0) == 7.0
