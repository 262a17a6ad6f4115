"""The types that the package tells: its stubs are true, and a typed program passes and runs.

SPDX-License-Identifier: Apache-2.0
"""

import os
import subprocess
import sys

import numpy as np

import rbc
import typed_program

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = os.path.dirname(os.path.dirname(os.path.abspath(rbc.__file__)))


def mypy(tmp_path, module, *arguments):
    environment = dict(os.environ, MYPYPATH=PACKAGES, PYTHONPATH=PACKAGES, MYPY_CACHE_DIR=str(tmp_path / "cache"))
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=tmp_path, env=environment,
                          capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def test_stubs_are_true(tmp_path):
    code, said = mypy(tmp_path, "mypy.stubtest", "rbc", "--concise", "--mypy-config-file", f"{HERE}/mypy.ini",
                      "--allowlist", f"{HERE}/stubtest.allowed")
    assert code == 0, said


def test_a_typed_program_passes(tmp_path):
    code, said = mypy(tmp_path, "mypy", "--strict", "--config-file", f"{HERE}/mypy.ini", f"{HERE}/typed_program.py")
    assert code == 0, said


def test_wrong_types_are_found(tmp_path):
    program = tmp_path / "wrong.py"
    program.write_text("import rbc\n"
                       "rjit = rbc.RemoteJIT(prot=11530)\n"
                       "rjit('f64(f64)').submit(1.0)\n"
                       "rjit(lambda x: x).target(3)\n"
                       "rjit.to_device([1.0]).shap\n")
    code, said = mypy(tmp_path, "mypy", "--strict", "--config-file", f"{HERE}/mypy.ini", str(program))
    assert code == 1
    for line, what in ((2, "prot"), (3, "submit"), (4, "target"), (5, "shap")):
        assert any(f"wrong.py:{line}: error" in found and what in found for found in said.splitlines()), said


def test_the_typed_program_runs(simulated):
    assert typed_program.sums(simulated) == [3.0, 12.0, 3.5, 10.0, 42.0]
    assert typed_program.names(simulated) == ["int32(int32)", "float64(float64)", "UnknownName", "cuda", "cuda32", "host"]
    assert np.array_equal(typed_program.scaled(simulated), np.full(10, 3.0))
