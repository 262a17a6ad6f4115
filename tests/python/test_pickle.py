"""Callers in other processes: pickle, joblib, Dask, fork.

SPDX-License-Identifier: Apache-2.0
"""

import copy
import functools
import math
import multiprocessing
import os
import pickle
import subprocess
import sys

import joblib
import numba
import numpy
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


def again(f):
    """What arrives of it elsewhere; and from there once more."""
    return pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(f))))


def test_names_that_only_inner_functions_use(default):
    @default("float64(float64)")
    def f(x):
        def scaled(y):
            return math.sqrt(y) * FACTOR

        total = scaled(x)
        for value in [helper(i) for i in range(3)]:
            total += value
        return total

    assert again(f)(4.0) == f(4.0) == 15.0


def test_options_of_helpers_travel(default):
    @numba.njit(error_model="numpy")
    def by_numba(a, b):
        return a / b

    @default("float64(float64, float64)", error_model="numpy")
    def ours(a, b):
        return a / b

    @default("float64(float64, float64)")
    def f(a, b):
        return by_numba(a, b) + ours(a, b)

    assert again(f)(1, 0) == f(1, 0) == math.inf


def test_functions_that_call_each_other(default):
    @default("int64(int64)")
    def even(n):
        return 1 if n == 0 else odd(n - 1)

    @default("int64(int64)")
    def odd(n):
        return 0 if n == 0 else even(n - 1)

    assert again(even)(10) == even(10) == 1 and again(odd)(10) == 0


def test_defaults_travel_as_values(default):
    @default("float64(float64, float64)")
    def f(a, b=2.0 * FACTOR):
        return a + b

    g = default("float64(float64, float64)")(lambda a, b=FACTOR / 2: a + b)
    assert again(f)(1) == f(1) == 7 and again(g)(1) == g(1) == 2.5


def test_odd_sources(default):
    @default("int64(int64)")
    @functools.wraps(helper)  # whose source is another one's
    def wraps(x):
        return x + 1

    @default("int64(int64)", inline="never" if (lambda: True)() else "always")
    def lambda_above(x):
        text = """
lines that begin
further left"""
        return x + len(text)

    over_lines = default("int64(int64)")(
        lambda n: sum([FACTOR
                       for i in range(n)]))
    assert again(wraps)(1) == wraps(1) == 2
    assert again(lambda_above)(1) == lambda_above(1) == 31
    assert again(over_lines)(5) == over_lines(5) == 15


def test_kernels_travel(simulated):
    rbc.set_default_farm(simulated)
    try:
        @simulated.kernel("void(float64*, float64)")
        def fill(out, value):
            out[rbc.cuda.grid(1)] = value

        out = numpy.zeros(4)
        again(fill)[2, 2](out, 1.5)
        assert out.tolist() == [1.5] * 4
    finally:
        rbc.set_default_farm(None)


def test_values_that_only_cloudpickle_takes(default):
    import cloudpickle

    class Local:
        pass

    def make(value):
        return default("int64()")(lambda: value)

    assert pickle.loads(cloudpickle.dumps(make(Local))).py_func.__globals__["value"].__name__ == "Local"


def test_what_arrives_often_is_lowered_once(default, monkeypatch):
    from rbc import _numba

    lowered = []
    lower = _numba.lower
    monkeypatch.setattr(_numba, "lower", lambda *args: lowered.append(args[1]) or lower(*args))

    def make(offset):
        return default("float64(float64)", "int64(int64)")(lambda x: x * FACTOR + offset)

    one, inferred = pickle.dumps(make(1)), pickle.dumps(default(checked_root))
    for _ in range(3):
        assert pickle.loads(one)(2.0) == 7.0 and pickle.loads(one)(2) == 7 and pickle.loads(inferred)(9.0) == 3.0
    assert len(lowered) == 3
    assert pickle.loads(pickle.dumps(make(2)))(2.0) == 8.0 and len(lowered) == 4
    first = pickle.loads(one)
    first.add_signature("complex128(complex128)")
    assert len(pickle.loads(one).signatures) == 2


def test_a_copy_is_the_function_itself(default):
    f = make(default)
    assert copy.copy(f) is f and copy.deepcopy([f])[0] is f  # on its own farm, too


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
