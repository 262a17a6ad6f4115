"""What is sent: the same bytes everywhere, for the farm's machine and not for the client's.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import subprocess
import sys
import time

import numba
import pytest

import rbc

PROGRAM = '''
import math, sys
import numba
sys.path.insert(0, {folder!r})
import rbc
from plain_functions import checked_root, is_even
rjit = rbc.RemoteJIT({host!r}, {port})

@numba.njit
def square(x):
    return x * x

def sum_of(x, *more):
    return x

def f(x, n):
    k = 3
    total = 0.0
    grow = lambda y: y * k
    for i in range(n):
        try:
            total += checked_root(x + i) + square(x) + grow(x) + math.erf(x) + x ** 2.5
        except Exception:
            total -= 1
    if total == 12345.0:
        raise ValueError("odd", 7)
    print(total, n, (n, 1j * x))
    return total, is_even(n)

{before}
f = rjit("{{float64, bool}}(float64, int64)")(f)
lowered = f._lower([0])
import hashlib
print(hashlib.sha256(lowered.bitcode).hexdigest(), f.compile()[str(f.signatures[0])]["handle"])
'''


def digest(farm, folder, before="", seed="0", **environment):
    host, port = farm.address.rsplit(":", 1)
    code = PROGRAM.format(host=host, port=port, before=before, folder=os.path.dirname(__file__))
    path = os.path.join(folder, "program.py")
    with open(path, "w") as file:
        file.write(code)
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, timeout=100,
                          env={**os.environ, "PYTHONHASHSEED": seed, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1].split()


def test_the_same_bytes_over_processes_hash_seeds_folders_and_settings(farm, tmp_path):
    first, second = tmp_path / "a", tmp_path / "another" / "place"
    second.mkdir(parents=True)
    first.mkdir()
    results = [
        digest(farm, first),
        digest(farm, second, seed="12345"),
        *[digest(farm, first, seed=str(seed)) for seed in (3, 4)],
        digest(farm, first, seed="random", NUMBA_DEBUGINFO="1", NUMBA_BOUNDSCHECK="1", NUMBA_CPU_NAME="generic"),
    ]
    assert len(set(map(tuple, results))) == 1


def test_earlier_lowerings_leave_no_trace(rjit):
    def f(x):
        return x // 3 + abs(x)

    one = rjit("int64(int64)")(f)._lower([0]).bitcode
    for text in ("float64(float64)", "int32(int32)", "int64(int64)"):
        rjit(text)(lambda x: x * 2 + x // 7)._lower([0])
    assert rjit("int64(int64)")(f)._lower([0]).bitcode == one


def test_no_processor_of_the_client_in_it(rjit):
    import numpy as np

    @rjit("float64(float64*, int64)")
    def total(p, n):
        s = 0.0
        for i in range(n):
            s += p[i] * p[i] + np.exp(p[i])
        return s

    text = total.get_IR()
    assert "target-cpu" not in text and "target-features" not in text
    assert not re.search(r"<\d+ x (double|float|i\d+)>", text)
    assert rjit.targets["host"].triple in text and rjit.targets["host"].data_layout in text
    assert "NumbaEnv" not in text and "Py_" not in text and "NRT_" not in text
    assert not re.search(r"inttoptr|0x7f", text)


@pytest.mark.parametrize("opt", [0, 2, 3])
def test_integers_wrap_whatever_the_optimisation(rjit, opt):
    def hashed(x):
        return ((x * 2862933555777941757 + 3037000493) & 0x7FFFFFFFFFFFFFFF) >> 60

    f = rjit("int64(int64)", opt=opt)(hashed)
    assert [f(x) for x in range(100)] == [hashed(x) for x in range(100)]
    assert rjit("bool(int64)", opt=opt)(lambda x: x + 1 > x)(2**63 - 1) is False


def test_only_what_is_needed_travels(rjit):
    f = rjit("float64(float64)")(lambda x: x + 1)
    assert len(f._lower([0]).bitcode) < 3000
    defined = re.findall(r"^define .*@\"?([^\"(]+)\"?\(", f.get_IR(), flags=re.M)
    assert len(defined) == 1


def test_the_text_is_ir(rjit):
    import llvmlite.binding as llvm

    f = rjit("int64(int64, int64)", "float64(float64, float64)")(lambda a, b: a + b)
    llvm.parse_assembly(f.get_IR()).verify()
    only = f.get_IR(["float64(float64, float64)"])
    assert only.count("define ") == 1
    assert only == f.get_IR("f64(f64, f64)") == f.get_IR(f.signatures[1])
    with pytest.raises(rbc.NoMatch):
        f.get_IR(["int8(int8, int8)"])


def test_the_first_call_adds_little_to_numba_s_own_time(rjit):
    warm = rjit("float64(float64)")(lambda x: x * 1.5)
    warm(1.0)
    extra = [1.0]
    while min(extra) >= 0.010 and len(extra) < 50:  # another process may have the processor meanwhile
        i = len(extra)
        f = rjit("float64(float64)")(eval(f"lambda x: x * {i + 2}.25 + {i}"))
        f._function(0)
        started = time.perf_counter()
        f(1.0)
        extra.append(time.perf_counter() - started)
    assert min(extra) < 0.010, f"the farm adds {min(extra) * 1000:.1f} ms"


def test_numba_s_own_dispatchers_are_left_alone(rjit):
    @numba.njit
    def g(x):
        return x + 1

    f = rjit("int64(int64)")(lambda x: g(x))
    assert f(1) == 2 and not g.overloads and g(2.5) == 3.5


def test_a_function_of_another_caller_and_of_numpy(rjit):
    import numpy as np

    inner = rjit("float64(float64)")(lambda x: np.sin(x) + np.hypot(x, 2.0))
    outer = rjit("float64(float64)")(lambda x: inner(x) * 2)
    assert outer(0.5) == pytest.approx(inner.local(0.5) * 2, rel=1e-15)
