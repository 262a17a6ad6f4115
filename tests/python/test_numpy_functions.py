"""Each NumPy function that the documents name, on arrays inside a function, against NumPy itself.

SPDX-License-Identifier: Apache-2.0
"""

import linecache

import numpy as np
import pytest

import numpy_functions
import rbc

X = np.array([0.3, -1.2, 2.5, 0.0, 1.1, -0.7, 3.25, -2.0, 0.9, 1.6, -0.1, 0.45])
Y = np.array([1.0, 0.5, -0.25, 2.0, -1.5, 0.75, 1.25, -3.0, 0.1, 0.0, 2.2, -0.6])
N = np.array([3, 0, 2, 2, 5, 1, 0, 4, 4, 4, 1, 9])


def made(expression):
    """A function (x, y, m, n) that gives the expression, with a source that messages can show."""
    source = f"def f(x, y, m, n):\n    return {expression}\n"
    path = f"<{expression}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    namespace = {"np": np}
    exec(compile(source, path, "exec"), namespace)
    return namespace["f"]


@pytest.mark.parametrize("name", numpy_functions.FUNCTIONS)
def test_function(rjit, name):
    expression = numpy_functions.FUNCTIONS[name]
    assert f"np.{name}(" in expression
    function = made(expression)
    arguments = X, Y, np.arange(12.0).reshape(3, 4) - 4, N
    want, got = function(*arguments), rjit(function)(*arguments)
    assert np.shape(got) == np.shape(want) and np.asarray(got).dtype.kind == np.asarray(want).dtype.kind
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", numpy_functions.REFUSED)
def test_what_needs_a_library_is_refused_by_name(rjit, name):
    with pytest.raises(rbc.TypingError, match="BLAS"):
        rjit(made(numpy_functions.REFUSED[name]))(X, Y, X.reshape(3, 4), N)


def test_what_numba_has_not_is_told_with_the_line(rjit):
    with pytest.raises(rbc.TypingError) as caught:
        rjit(made("np.fft.fft(x)"))(X, Y, X.reshape(3, 4), N)
    assert "return np.fft.fft(x)" in str(caught.value)


def test_the_page_names_them_all():
    assert len(numpy_functions.FUNCTIONS) >= 40
    assert numpy_functions.written() == numpy_functions.text()
