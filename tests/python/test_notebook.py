"""The notebook of examples/, executed as a notebook, and the cells of the document that the project was asked for.

SPDX-License-Identifier: Apache-2.0
"""

import os

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
