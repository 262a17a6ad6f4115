"""Where the time of calls goes.

SPDX-License-Identifier: Apache-2.0
"""

import html
import threading
import time

from . import _core

_lock = threading.Lock()
_active = []


class Row:
    """One call: seconds of lowering and compiling it waited for, and of the call itself, wire included."""

    def __init__(self, function, signature, lower_s, compile_s, call_s, cached, phases):
        self.function, self.signature = function, signature
        self.lower_s, self.compile_s, self.call_s = lower_s, compile_s, call_s
        self.cached, self.phases = cached, phases


class Profile:
    """The calls that were made through one RemoteJIT while it was on.

    rows     a Row each
    advice   one line: what would make it faster
    """

    def __init__(self, rjit):
        self._rjit = rjit
        self.rows = []

    def __enter__(self):
        with _lock:
            _active.append(self)
            _core.set_profiling(True)
        self._rjit._profiles = [*self._rjit._profiles, self]
        return self

    def __exit__(self, *exc):
        self._rjit._profiles = [p for p in self._rjit._profiles if p is not self]
        with _lock:
            _active.remove(self)
            _core.set_profiling(bool(_active))

    @property
    def advice(self):
        if not self.rows:
            return "nothing was called"
        called = sum(row.call_s for row in self.rows)
        prepared = sum(row.lower_s + row.compile_s for row in self.rows)
        mean_us = called / len(self.rows) * 1e6
        if prepared > called:
            return (f"{prepared / (prepared + called):.0%} of the time is the first call of each signature; it is paid "
                    "once, and f.compile() pays it beforehand")
        if len(self.rows) >= 100 and mean_us < 1000:
            return (f"{len(self.rows)} calls of {mean_us:.0f} us each; f.batch(rows) makes them in one round trip, or "
                    "move the loop into the function")
        return f"{mean_us:.0f} us for a call; most of it is the function's own time" if mean_us > 1000 else \
            f"{mean_us:.0f} us for a call"

    def _table(self):
        grouped = {}
        for row in self.rows:
            entry = grouped.setdefault((row.function, row.signature), [0, 0.0, 0.0, 0.0, None])
            entry[0] += 1
            entry[1] += row.lower_s
            entry[2] += row.compile_s
            entry[3] += row.call_s
            if row.cached is not None:
                entry[4] = row.cached
        header = ("function", "signature", "calls", "lower ms", "compile ms", "cached", "us/call")
        body = [(f, s, str(n), f"{lo * 1e3:.1f}", f"{co * 1e3:.1f}", {None: "", True: "yes", False: "no"}[cached],
                 f"{ca / n * 1e6:.1f}") for (f, s), (n, lo, co, ca, cached) in grouped.items()]
        return [header, *body]

    def __str__(self):
        table = self._table()
        widths = [max(len(row[i]) for row in table) for i in range(len(table[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in table]
        return "\n".join([*lines, self.advice])

    __repr__ = __str__

    def _repr_html_(self):
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
                       for row in self._table())
        return f"<table>{rows}</table><p>{html.escape(self.advice)}</p>"


def profiled_call(caller, args, kwargs):
    """A call whose parts are timed one by one."""
    from .typesystem import Type

    rjit = caller._rjit
    positional = caller._bind(args, kwargs)
    started = time.perf_counter()
    index = caller._match(positional)
    prepared_before = caller._get(index) is not None
    caller._prepare_if_needed(index)
    lowered = time.perf_counter()
    compiled = {"cached": None, "timings_us": {}}
    if not prepared_before:
        compiled = caller._get(index).compile()
    ready = time.perf_counter()
    try:
        return caller._call(positional)
    finally:
        ended = time.perf_counter()
        row = Row(caller.__name__, str(Type.fromstring(caller._signature_texts()[index])),
                  0.0 if prepared_before else lowered - started, 0.0 if prepared_before else ready - lowered,
                  ended - ready, compiled["cached"], compiled["timings_us"])
        for profile in rjit._profiles:
            profile.rows.append(row)
