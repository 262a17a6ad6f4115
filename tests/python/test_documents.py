"""The documents say what is so: the table of docs/python.md, and the code of the quick start.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re

import feature_table


def test_the_table_is_what_the_tests_find(rjit, simulated):
    with open(feature_table.page(), encoding="utf-8") as file:
        written = feature_table.table_in(file.read())
    made = feature_table.make(rjit, simulated)
    assert "wrong" not in made
    assert written == made, "python tests/python/feature_table.py --write renews docs/python.md"


def test_the_quick_start_runs(capsys):
    path = os.path.join(os.environ["RBC_SOURCE"], "docs", "quickstart-python.md")
    with open(path, encoding="utf-8") as file:
        code = re.search(r"^```python\n(.*?)^```", file.read(), flags=re.M | re.S).group(1)
    name = path + ".py"
    import linecache

    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    line = next(line for line in code.splitlines() if line.startswith("hypotenuse("))
    code = code.replace(line, "result = " + line)
    namespace = {"__name__": "quickstart"}
    exec(compile(code, name, "exec"), namespace)
    assert namespace["result"] == 5.0
    assert capsys.readouterr().out.splitlines()[-1] == "... stopping rpc.thrift server"


def test_the_readme_shows_the_quick_start():
    texts = []
    for name in ("README.md", os.path.join("docs", "quickstart-python.md")):
        with open(os.path.join(os.environ["RBC_SOURCE"], name), encoding="utf-8") as file:
            texts.append(re.search(r"^```python\n(.*?)^```", file.read(), flags=re.M | re.S).group(1))
    assert texts[0] == texts[1]


def test_public_names_are_documented():
    import rbc

    for name in rbc.__all__:
        value = getattr(rbc, name)
        if isinstance(value, type) and not issubclass(value, Exception) or callable(value) and not isinstance(value, type):
            assert value.__doc__, f"rbc.{name} has no docstring"
    for cls in (rbc.RemoteJIT, rbc.Caller):
        for name, member in vars(cls).items():
            if not name.startswith("_") and callable(member):
                assert member.__doc__, f"{cls.__name__}.{name} has no docstring"
