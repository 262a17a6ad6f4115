"""The NumPy functions that docs/python.md names as working on arrays inside functions, each with a line that uses it.
`python numpy_functions.py --write` renews the page.

SPDX-License-Identifier: Apache-2.0
"""

import os
import re
import sys

BEGIN, END = "<!-- begin: NumPy functions, by tests/python/numpy_functions.py -->", "<!-- end: NumPy functions -->"

# name: an expression of x and y, float64[::1] of 12 numbers, m, float64[:,::1] of 3 by 4, and n, int64[::1] of 12.
FUNCTIONS = {
    "abs": "np.abs(x)",
    "all": "np.all(x > -100)",
    "allclose": "np.allclose(x, x + 1e-12)",
    "any": "np.any(x > 1.0)",
    "arange": "np.arange(2.0, 5.0, 0.5)",
    "argmax": "np.argmax(x)",
    "argmin": "np.argmin(x)",
    "argsort": "np.argsort(x)",
    "array_equal": "np.array_equal(x, y)",
    "atleast_2d": "np.atleast_2d(x)",
    "bincount": "np.bincount(n)",
    "broadcast_to": "np.broadcast_to(x, (2, 12))",
    "ceil": "np.ceil(x)",
    "clip": "np.clip(x, -0.5, 0.5)",
    "column_stack": "np.column_stack((x, y))",
    "concatenate": "np.concatenate((x, y))",
    "copy": "np.copy(x)",
    "cos": "np.cos(x)",
    "count_nonzero": "np.count_nonzero(n)",
    "cumprod": "np.cumprod(x)",
    "cumsum": "np.cumsum(x)",
    "delete": "np.delete(x, 3)",
    "diag": "np.diag(x)",
    "diff": "np.diff(x)",
    "digitize": "np.digitize(x, np.linspace(-1.0, 1.0, 5))",
    "empty_like": "np.empty_like(x) * 0 + 1",
    "exp": "np.exp(x)",
    "expand_dims": "np.expand_dims(x, 0)",
    "eye": "np.eye(4)",
    "flatnonzero": "np.flatnonzero(n)",
    "flip": "np.flip(m)",
    "fliplr": "np.fliplr(m)",
    "floor": "np.floor(x)",
    "full": "np.full((2, 3), 1.5)",
    "full_like": "np.full_like(x, 2.5)",
    "geomspace": "np.geomspace(1.0, 100.0, 5)",
    "hstack": "np.hstack((m, m))",
    "hypot": "np.hypot(x, y)",
    "identity": "np.identity(3)",
    "interp": "np.interp(x, np.linspace(-2.0, 2.0, 12), y)",
    "isclose": "np.isclose(x, y)",
    "isfinite": "np.isfinite(x)",
    "isnan": "np.isnan(x)",
    "kron": "np.kron(m, m)",
    "linspace": "np.linspace(0.0, 1.0, 7)",
    "log": "np.log(y * y + 1)",
    "logical_and": "np.logical_and(x > 0, y > 0)",
    "logspace": "np.logspace(0.0, 2.0, 5)",
    "max": "np.max(x)",
    "maximum": "np.maximum(x, y)",
    "mean": "np.mean(x)",
    "median": "np.median(x)",
    "min": "np.min(x)",
    "minimum": "np.minimum(x, y)",
    "nan_to_num": "np.nan_to_num(x)",
    "nanmax": "np.nanmax(x)",
    "nanmean": "np.nanmean(x)",
    "nanmin": "np.nanmin(x)",
    "nansum": "np.nansum(x)",
    "ones": "np.ones((2, 3))",
    "ones_like": "np.ones_like(m)",
    "outer": "np.outer(x, y)",
    "partition": "np.sort(np.partition(x, 4)[:4])",
    "percentile": "np.percentile(x, 30.0)",
    "power": "np.power(y * y, x)",
    "prod": "np.prod(x)",
    "ptp": "np.ptp(x)",
    "quantile": "np.quantile(x, 0.3)",
    "ravel": "np.ravel(m)",
    "repeat": "np.repeat(x, 3)",
    "reshape": "np.reshape(x, (3, 4))",
    "roll": "np.roll(x, 5)",
    "rot90": "np.rot90(m)",
    "searchsorted": "np.searchsorted(np.sort(x), y)",
    "sign": "np.sign(x)",
    "sin": "np.sin(x)",
    "sort": "np.sort(x)",
    "sqrt": "np.sqrt(np.abs(x))",
    "stack": "np.stack((m, m))",
    "std": "np.std(x)",
    "sum": "np.sum(m, axis=0)",
    "take": "np.take(x, n)",
    "tanh": "np.tanh(x)",
    "trace": "np.trace(m)",
    "transpose": "np.transpose(m)",
    "tri": "np.tri(3, 4, 0)",
    "tril": "np.tril(m)",
    "triu": "np.triu(m)",
    "unique": "np.unique(n)",
    "vander": "np.vander(x[:4], 3)",
    "var": "np.var(x)",
    "vstack": "np.vstack((m, m))",
    "where": "np.where(x > 0, x, y)",
    "zeros": "np.zeros(5)",
    "zeros_like": "np.zeros_like(n)",
}

# What numba has, but only with a library that the farm has not; name: expression.
REFUSED = {
    "dot": "np.dot(x, y)",
    "linalg.inv": "np.linalg.inv(np.eye(3))",
    "linalg.solve": "np.linalg.solve(np.eye(3), np.ones(3))",
}


def page():
    root = os.environ.get("RBC_SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
    return os.path.join(root, "docs", "python.md")


def text():
    names = ", ".join(f"`{name}`" for name in sorted(FUNCTIONS))
    lines, line = [], ""
    for word in names.split(" "):
        if len(line) + len(word) > 118:
            lines.append(line.rstrip())
            line = ""
        line += word + " "
    return "\n".join([*lines, line.rstrip()])


def written():
    with open(page(), encoding="utf-8") as file:
        found = re.search(re.escape(BEGIN) + r"\n(.*?)\n?" + re.escape(END), file.read(), re.S)
    return found.group(1).strip()


if __name__ == "__main__" and "--write" in sys.argv:
    with open(page(), encoding="utf-8") as source:
        before = source.read()
    after = before[:before.index(BEGIN)] + f"{BEGIN}\n{text()}\n" + before[before.index(END):]
    with open(page(), "w", encoding="utf-8") as out:
        out.write(after)
