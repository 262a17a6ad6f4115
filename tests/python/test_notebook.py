"""The notebook of examples/, executed as a notebook, and the cells of the document that the project was asked for.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re

import nbformat
import pytest
from nbclient import NotebookClient

import rbc

NOTEBOOK = os.path.join(os.environ["RBC_SOURCE"], "examples", "notebook.ipynb")


def run(notebook):
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    return {cell.source: outputs_of(cell) for cell in notebook.cells if cell.cell_type == "code"}


def outputs_of(cell):
    """What a reader sees: printed text and the value of the last line."""
    texts = []
    for output in cell.outputs:
        assert output.output_type != "error", output
        texts.append(output.text if output.output_type == "stream" else output.data["text/plain"])
    return "".join(texts)


@pytest.fixture(scope="module")
def outputs():
    return run(nbformat.read(NOTEBOOK, as_version=4))


def output(outputs, start):
    found = [text for source, text in outputs.items() if source.startswith(start)]
    assert len(found) == 1, f"{len(found)} cells start with {start!r}"
    return found[0]


def test_every_cell_shows_what_the_document_shows(outputs):
    assert output(outputs, "rjit.start_server").startswith("staring rpc.thrift server: ")
    assert output(outputs, "rjit.start_server").strip().endswith("rbc.thrift")
    assert output(outputs, "print('\\n'.join") == "float64(float64, float64)\nint64(int64, int64)\n"
    assert output(outputs, "prev_target") == ""
    assert output(outputs, "add(1, 2)") == "3"
    assert output(outputs, "add(1.5, 2.0)") == "3.5"
    assert output(outputs, "try:") == (
        "could not find matching function to given argument types: `complex128, int64`\n")
    assert output(outputs, "# add support") == ""
    assert output(outputs, "add(1j, 2)  # now") == "(2+1j)"
    assert output(outputs, "rjit.stop_server") == "... stopping rpc.thrift server\n"


def test_the_printed_ir_is_ir_with_a_function_for_each_signature(outputs):
    import llvmlite.binding as llvm

    text = output(outputs, "print(add.get_IR())")
    assert "; ModuleID = 'add'" in text
    module = llvm.parse_assembly(text)
    names = [function.name for function in module.functions if not function.is_declaration]
    assert set(names) >= {"add_daddA", "add_lallA", "add_DaDDA"}


MANNERS = """
import numpy as np, rbc
rjit = rbc.RemoteJIT()
rjit.start_server(background=True, port=0)
---
@rjit('int64(int64)')
def spin(n):
    x = n
    for i in range(n):
        x = x * 6364136223846793005 + i
        if x == 12345:
            x += 1
    return x
---
spin
---
%timeit -n 5 -r 2 spin(1)
---
n = 2 * 10**9
import time
started = time.monotonic()
while time.monotonic() - started < 1.5:
    started = time.monotonic()
    spin(n)
    n *= 2
---
@rjit('int64(int64)')
def outside(n):
    return np.empty(1, np.int64)[n]
---
outside(10**12)
---
@rjit('int64(int64)')
def wrong(x):
    return x.nothing_like_this
---
wrong(1)
---
@rjit('int64(int64)')
def inverse(x):
    return 1 // x
---
inverse(0)
---
(spin(0), inverse(1))
"""


def test_manners_in_a_kernel():
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source.strip()) for source in MANNERS.split("---\n")]
    NotebookClient(notebook, timeout=120, kernel_name="python3", allow_errors=True).execute()
    cells = {cell.source.splitlines()[0]: cell.outputs for cell in notebook.cells}

    def shown(start):
        (error,) = [output for output in cells[start] if output.output_type == "error"]
        return re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(error.traceback)), error.ename

    assert "int64(int64)" in cells["spin"][0].data["text/html"]
    assert "per loop" in cells["%timeit -n 5 -r 2 spin(1)"][-1].text
    assert any(re.search(r"waiting for the farm \([1-9]\d* s\)", output.text) for output in cells["n = 2 * 10**9"])
    text, name = shown("outside(10**12)")
    assert name == "RemoteCrash" and "'outside_lalA' ended its worker: invalid memory access" in text
    text, name = shown("wrong(1)")
    assert name == "TypingError" and text.count("return x.nothing_like_this") == 1
    assert "caller.py" not in text and len(text.splitlines()) < 10, text
    text, name = shown("inverse(0)")
    assert name == "ZeroDivisionError" and "---->" in text and "return 1 // x" in text
    (last,) = cells["(spin(0), inverse(1))"]
    assert last.data["text/plain"] == "(0, 1)"


# The document's own cells, in their order and as they stand.
DOCUMENT = """
import rbc
---
rjit = rbc.RemoteJIT(host='localhost')
---
rjit.start_server(background=True)
---
@rjit('f64(f64,f64)')
def add(a: int, b: int) -> int:
    return a + b
---
print('\\n'.join(map(str, add._signatures)))  # to view the currently defined signatures
---
prev_target = add.target('host')
---
add(1, 2)      # int inputs
---
add(1.5, 2.0)  # float inputs
---
try:             # complex inputs
    add(1j, 2)   # expect a failure
except Exception as msg:
    print(msg)
---
# add support for complex inputs:
add.add_signature('complex128(complex128, complex128)')
---
add(1j, 2)  # now it works
---
print(add.get_IR())
---
rjit.stop_server()
"""


def test_the_document_runs_beside_another_notebook(outputs):
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(source.strip()) for source in DOCUMENT.split("---\n")]
    with rbc.RemoteJIT().start_server(background=True):  # somebody else's farm has the default port
        shown = run(notebook)
    assert output(shown, "rjit.start_server").count("\n") == 1
    for source, text in outputs.items():
        if source.startswith(("add(", "try:", "print(", "rjit.stop")):
            assert shown[source] == text
