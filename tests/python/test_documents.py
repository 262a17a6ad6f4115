"""The documents say what is so: the table of docs/python.md, and the code of the quick start.

SPDX-License-Identifier: Apache-2.0
"""

import linecache
import os
import re

import feature_table
import numpy as np
import pytest

import rbc


def test_the_table_is_what_the_tests_find(rjit, simulated):
    with open(feature_table.page(), encoding="utf-8") as file:
        written = feature_table.table_in(file.read())
    made = feature_table.make(rjit, simulated)
    assert "wrong" not in made
    assert written == made, "python tests/python/feature_table.py --write renews docs/python.md"


def _blocks(*path):
    """The Python of a document."""
    with open(os.path.join(os.environ["RBC_SOURCE"], *path), encoding="utf-8") as file:
        return re.findall(r"^```python\n(.*?)^```", file.read(), flags=re.M | re.S)


def _run(code, name, namespace):
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)  # numba wants the source
    exec(compile(code, name, "exec"), namespace)


def test_the_quick_start_runs(capsys):
    code = _blocks("docs", "quickstart-python.md")[0]
    line = next(line for line in code.splitlines() if line.startswith("hypotenuse("))
    code = code.replace(line, "result = " + line)
    namespace = {"__name__": "quickstart"}
    _run(code, "quickstart-python.md", namespace)
    assert namespace["result"] == 5.0
    assert capsys.readouterr().out.splitlines()[-1] == "... stopping rpc.thrift server"


def test_the_readme_shows_the_quick_start():
    assert _blocks("README.md")[0] == _blocks("docs", "quickstart-python.md")[0]


def _add(x, y):
    return x + y


def _smooth(x, k):
    return k * x


@pytest.mark.parametrize("page, first", [("python.md", 0), ("chains.md", 0), ("quickstart-python.md", 1)])
def test_the_fragments_run(page, first, simulated):
    """Each with what a reader has by then."""
    add = simulated("float64(float64, float64)")(_add)
    smooth = simulated("float64[:](float64[:], float64)")(_smooth)
    namespace = dict(rbc=rbc, np=np, rjit=simulated, add=add, scale=add, hypotenuse=add, smooth=smooth, prices=np.arange(5.0),
                     x=np.arange(12.0).reshape(3, 4), y=np.arange(3.0), out=np.zeros(12))
    if page == "quickstart-python.md":
        namespace.update(x=np.arange(4.0), table=np.zeros((3, 4)))
    for number, block in enumerate(_blocks("docs", page)[first:]):
        _run(block, f"{page}, {number}", namespace)


def test_public_names_are_documented():
    for name in rbc.__all__:
        value = getattr(rbc, name)
        if isinstance(value, type) and not issubclass(value, Exception) or callable(value) and not isinstance(value, type):
            assert value.__doc__, f"rbc.{name} has no docstring"
    for cls in (rbc.RemoteJIT, rbc.Caller):
        for name, member in vars(cls).items():
            if not name.startswith("_") and callable(member):
                assert member.__doc__, f"{cls.__name__}.{name} has no docstring"
