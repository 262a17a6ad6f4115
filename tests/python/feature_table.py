"""The table "what works where" of docs/python.md: each line is tried. `python feature_table.py --write` renews the page.

SPDX-License-Identifier: Apache-2.0
"""

import cmath  # noqa: F401 the features use it
import contextlib
import io
import math  # noqa: F401
import os
import sys

import numpy as np  # noqa: F401

BEGIN, END = "<!-- begin: what works where, by tests/python/feature_table.py -->", "<!-- end: what works where -->"

# Section, what, signature, function, arguments.
FEATURES = [
    ("language", "arithmetic, comparisons, `if`, `while`, `for`, `break`", "int64(int64)", """
def f(n):
    total = 0
    for i in range(n):
        if i % 3 == 0 and i != 6:
            continue
        total += i * i - i // 2
        if total > 1000:
            break
    while total > 10:
        total >>= 1
    return total
""", (50,)),
    ("language", "tuples, unpacking, `enumerate`, `zip`, `min`, `max`, `abs`, `divmod`, `round`", "float64(int64, float64)", """
def f(n, x):
    a, (b, c) = n, (x, n + 1)
    q, r = divmod(c, 3)
    s = 0.0
    for i, (u, v) in enumerate(zip(range(4), range(2, 6))):
        s += i * u + v
    return max(a, b) + min(q, r) + abs(-c) + s + round(b, 1)
""", (7, 2.345)),
    ("language", "recursion", "int64(int64)", "def f(n):\n    return 1 if n < 2 else n * f(n - 1)\n", (12,)),
    ("language", "closures over constants, inner functions", "float64(float64)", """
def f(x):
    k = 3.0
    g = lambda y: y * k + 1.0
    return g(x) + g(k)
""", (2.0,)),
    ("language", "calls of plain, `numba.njit` and other rbc functions", "float64(float64)", """
def h(x):
    return x * x
def f(x):
    return h(x) + h(x + 1)
""", (2.0,)),
    ("language", "`raise`, `assert`, `try`/`except`", "int64(int64)", """
def f(n):
    total = 0
    for i in range(3):
        try:
            if i == n:
                raise ValueError("no")
            total += 1
        except Exception:
            total += 100
    return total
""", (1,)),
    ("language", "`raise` with values known at run time", "int64(int64)", """
def f(n):
    if n > 1000:
        raise ValueError(n)
    return n
""", (1,)),
    ("language", "text: `len`, `==`, `+`, `*`, indexing", "int64(string)", """
def f(s):
    t = s + s[0] * 3
    return len(t) + (1 if t == s + "aaa" else 0)
""", ("abc",)),
    ("language", "text: `upper`, `isalpha` and their like", "int64(string)", "def f(s):\n    return len(s.upper())\n", ("a",)),
    ("language", "`str(int)`, f-strings of ints", "int64(int64)", "def f(n):\n    return len(str(n)) + len(f'{n}!')\n", (123,)),
    ("language", "lists and list comprehensions", "int64(int64)", """
def f(n):
    squares = [i * i for i in range(n)]
    squares.append(7)
    squares.sort()
    return sum(squares) + squares[-1] + len(squares)
""", (10,)),
    ("language", "dictionaries", "int64(int64)", "def f(n):\n    d = {1: n}\n    return d[1]\n", (10,)),
    ("language", "sets", "int64(int64)", """
def f(n):
    s = set()
    for i in range(n):
        s.add(i % 3)
    return len(s)
""", (10,)),
    ("language", "generators", "int64(int64)", """
def g(n):
    for i in range(n):
        yield i * 2
def f(n):
    total = 0
    for i in g(n):
        total += i
    return total
""", (5,)),
    ("math", "`math`: trigonometric, hyperbolic, `exp`, `log`, `sqrt`, `pow`, `hypot`, `floor`, `ceil`", "float64(float64)", """
def f(x):
    return (math.sin(x) + math.cos(x) + math.tan(x) + math.asin(x) + math.acos(x) + math.atan2(x, 2.0) + math.sinh(x)
            + math.tanh(x) + math.asinh(x) + math.atanh(x) + math.exp(x) + math.expm1(x) + math.log(x) + math.log10(x)
            + math.log1p(x) + math.log2(x) + math.sqrt(x) + math.pow(x, 2.5) + math.hypot(x, 3.0) + math.floor(x)
            + math.ceil(x) + math.copysign(1.0, -x) + math.trunc(x) + math.degrees(x))
""", (0.7,)),
    ("math", "`math`: `erf`, `erfc`, `gamma`, `lgamma`", "float64(float64)", "def f(x):\n    return math.erf(x) + math.erfc(x) + math.gamma(x) + math.lgamma(x)\n", (2.5,)),
    ("math", "`math`: `frexp`, `ldexp`, `isnan`, `isinf`, `gcd`", "float64(float64)", """
def f(x):
    m, e = math.frexp(x)
    return m + e + math.ldexp(x, 3) + (1 if math.isnan(x) or math.isinf(x) else 0) + math.gcd(12, 18)
""", (2.5,)),
    ("math", "`cmath` and complex powers", "complex128(complex128)", "def f(z):\n    return cmath.exp(z) + cmath.sqrt(z) + cmath.log(z) + cmath.sin(z) + z ** 1.5 + abs(z) + cmath.phase(z)\n", (1 + 2j,)),
    ("math", "integer powers, shifts, bit operations", "int64(int64)", "def f(n):\n    return n ** 5 + (n << 3) + (n >> 1) + (n & 6) + (n | 9) + (n ^ 3) + ~n\n", (11,)),
    ("NumPy", "scalar functions (`np.sin`, `np.exp`, `np.hypot`, `np.logaddexp`, `np.cbrt`, ...)", "float64(float64)", """
def f(x):
    return (np.sin(x) + np.exp(x) + np.hypot(x, 2.0) + np.logaddexp(x, 1.0) + np.cbrt(x) + np.exp2(x) + np.log2(x)
            + np.sign(x) + np.floor(x) + np.arctan2(x, 2.0) + np.nextafter(x, 2.0) + np.spacing(x) + np.maximum(x, 0.1))
""", (0.7,)),
    ("NumPy", "casts (`np.int32(x)`, `np.float32(x)`)", "float64(float64)", "def f(x):\n    return np.int32(x * 100) + np.float64(np.float32(x))\n", (0.5,)),
    ("allocation", "`np.empty`, `np.zeros`, `np.arange`, `np.linspace`, indexing, slices", "float64(int64)", """
def f(n):
    a = np.empty((n, 2))
    for i in range(n):
        a[i, 0] = i
        a[i, 1] = -i
    return a.sum() + np.zeros(n).sum() + np.arange(n)[1:].sum() + np.linspace(0.0, 1.0, n)[::2].sum()
""", (9,)),
    ("allocation", "`sum`, `mean`, `max`, `sort`, `cumsum`, `reshape`, array expressions", "float64(int64)", """
def f(n):
    a = np.arange(2 * n) * 0.5
    b = a.reshape(2, n)
    return (a * a + np.sqrt(a)).sum() + b[1].mean() + a.max() + np.sort(-a)[0] + np.cumsum(a)[-1]
""", (9,)),
    ("allocation", "`np.dot`, `np.linalg`", "float64(int64)", "def f(n):\n    return np.dot(np.ones(n), np.ones(n))\n", (4,)),
    ("random", "`random.random`, `np.random`", "float64()", "def f():\n    return np.random.random() * 0.0\n", ()),
    ("random", "a generator of your own, seeded by an argument", "float64(int64)", """
def f(seed):
    s = seed
    total = 0.0
    for _ in range(10):
        s = (s * 6364136223846793 + 1442695040888963) & 0x7FFFFFFFFFFFF
        total += s / 2251799813685248.0
    return total
""", (7,)),
    ("print", "`print` of numbers, booleans, complex, tuples, text", "void(int64, float64)", """
def f(n, x):
    print("n =", n, x, n > 3, complex(n, x), (n, x))
""", (7, 0.5)),
    ("print", "`print(..., sep=, end=)`", "void(int64)", "def f(n):\n    print(n, n, sep=', ', end='.\\n')\n", (7,)),
    ("arguments", "scalars, complex, bool, text, bytes, tuples, dataclasses, records, memory behind pointers", "float64({int32, float64}, float64*)", """
def f(t, p):
    p[0] += t[0]
    return p[0] * t[1]
""", ((3, 0.5), "memory")),
    ("arguments", "NumPy arrays as `float64[:]`, read and written", "float64(float64[:])", """
def f(a):
    a[0] *= 2
    return a.sum() + a[::-1][0] + len(a)
""", ("array",)),
    ("arguments", "results that are arrays", "float64[:](float64[:])", "def f(a):\n    return a * 2 + 1\n", ("array",)),
    ("arguments", "results that are views of an argument", "float64[:](float64[:])", "def f(a):\n    return a[1:]\n", ("array",)),
    ("arguments", "results that are tuples with arrays", "{float64[:], int64}(float64[:])", "def f(a):\n    return a * 2, len(a)\n", ("array",)),
    ("arguments", "results that are text or bytes", "char8*(int64)", "def f(n):\n    return b'seven'[:n]\n", (3,)),
]


def _is_close(got, wanted):
    if isinstance(wanted, tuple):
        return len(got) == len(wanted) and all(map(_is_close, got, wanted))
    if isinstance(wanted, (str, bytes)):
        return got == wanted
    return np.array_equal(got, wanted) or np.allclose(got, wanted, rtol=1e-12, atol=0)


def attempt(rjit, target, signature, source, arguments):
    """"yes", or why not in a few words."""
    import linecache

    import rbc

    namespace = dict(math=math, cmath=cmath, np=np)
    path = f"<feature {abs(hash(source))}>"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    exec(compile(source, path, "exec"), namespace)
    plain = namespace["f"]

    def run(function):
        made = tuple(np.array([2.0]) if a == "memory" else np.array([1.0, 2.5]) if a == "array" else a
                     for a in (tuple(arguments) if arguments else ()))
        text = io.StringIO()
        with contextlib.redirect_stdout(text):
            result = function(*made)
        return result, text.getvalue()

    wanted = run(plain)
    try:
        got = run(rjit(plain, signature, target=target))
    except rbc.Error as error:
        return "no", str(error).splitlines()[0]
    close = _is_close(got[0], wanted[0])
    if not close or got[1] != wanted[1]:
        return "wrong", f"{got} instead of {wanted}"
    return "yes", ""


def make(rjit, gpu):
    """`gpu`: a farm with a GPU, simulated or not."""
    lines = ["| | what | host | cuda |", "|---|---|---|---|"]
    before = None
    for section, what, signature, source, arguments in FEATURES:
        host, _ = attempt(rjit, "host", signature, source, arguments)
        cuda = attempt(gpu, "cuda", signature, source, arguments)[0]
        lines.append(f"| {section if section != before else ''} | {what} | {host} | {cuda} |")
        before = section
    return "\n".join(lines)


def page():
    return os.path.join(os.environ.get("RBC_SOURCE") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", ".."),
                        "docs", "python.md")


def table_in(text):
    return text[text.index(BEGIN) + len(BEGIN):text.index(END)].strip()


def main():
    import rbc

    with rbc.RemoteJIT().start_server(background=True, port=0, simulate_gpu=True) as rjit:
        for section, what, signature, source, arguments in FEATURES:
            for target in ("host", "cuda"):
                answer = attempt(rjit, target, signature, source, arguments)
                if answer[0] != "yes":
                    print(f"{what} on {target}: {answer}")
        table = make(rjit, rjit)
    if "--write" in sys.argv:
        with open(page(), encoding="utf-8") as file:
            text = file.read()
        with open(page(), "w", encoding="utf-8") as file:
            file.write(text.replace(table_in(text), table) if table_in(text) else text.replace(BEGIN, f"{BEGIN}\n{table}\n"))
    else:
        print(table)


if __name__ == "__main__":
    main()
