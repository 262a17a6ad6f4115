"""Where the time of calls goes.

SPDX-License-Identifier: Apache-2.0
"""

import html
import threading
import time

from . import _core

PARTS = ("queue_s", "upload_s", "kernel_s", "download_s", "wire_s")

_lock = threading.Lock()
_active = []


class Row:
    """One call, or the calls of one batch or map. Seconds: lower_s and compile_s are what it waited for its code, call_s
    is the call itself. The farm tells the parts: queue_s, upload_s, kernel_s, download_s, and wire_s is the rest, this
    client's own work included; they are None for batches. bytes_out and bytes_in are those of
    arguments and results. cached: whether the farm had the code; None: it was ready here."""

    def __init__(self, function, signature, calls, lower_s, compile_s, call_s, cached, phases, parts):
        self.function, self.signature, self.calls = function, signature, calls
        self.lower_s, self.compile_s, self.call_s = lower_s, compile_s, call_s
        self.cached, self.phases = cached, phases
        for name in PARTS:
            setattr(self, name, parts.get(name))
        self.bytes_out, self.bytes_in = parts.get("bytes_out"), parts.get("bytes_in")
        if self.kernel_s is not None:
            self.wire_s = max(0.0, call_s - self.queue_s - self.upload_s - self.kernel_s - self.download_s)

    def __repr__(self):
        return f"<rbc profile of {self.function}, {self.signature}: {self.calls} calls, {self.call_s * 1e6:.1f} us>"


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
        if prepared > called:
            return (f"{prepared / (prepared + called):.0%} of the time is the first call of each signature; it is paid "
                    "once, and f.compile() pays it beforehand")
        told = [row for row in self.rows if row.kernel_s is not None]
        if sum(row.call_s for row in told) < called / 2:
            calls = sum(row.calls for row in self.rows)
            return f"{called / calls * 1e6:.2f} us a call; most went into batches, which share one round trip"
        return _advice_on(told)

    def _table(self):
        grouped = {}
        for row in self.rows:
            grouped.setdefault((row.function, row.signature), []).append(row)
        header = ("function", "signature", "calls", "lower ms", "compile ms", "cached", "queue us", "upload us",
                  "kernel us", "download us", "wire us", "us/call", "bytes/call")
        return [header, *(_line(*key, rows) for key, rows in grouped.items())]

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


def _line(function, signature, rows):
    calls = sum(row.calls for row in rows)
    told = [row for row in rows if row.kernel_s is not None]
    known = [row.cached for row in rows if row.cached is not None]
    parts = [f"{sum(getattr(row, name) for row in told) / len(told) * 1e6:.1f}" if told else "" for name in PARTS]
    travelled = f"{sum(row.bytes_out + row.bytes_in for row in told) / len(told):.0f}" if told else ""
    return (function, signature, str(calls), f"{sum(row.lower_s for row in rows) * 1e3:.1f}",
            f"{sum(row.compile_s for row in rows) * 1e3:.1f}", "" if not known else "yes" if known[-1] else "no", *parts,
            f"{sum(row.call_s for row in rows) / calls * 1e6:.1f}", travelled)


def _advice_on(rows):
    """What the largest part of the calls' time asks for."""
    called = sum(row.call_s for row in rows)
    shares = {name: sum(getattr(row, name) for row in rows) / called for name in PARTS}
    largest = max(shares, key=shares.get)
    mean_us = called / len(rows) * 1e6
    start = f"{mean_us:.1f} us a call, {shares[largest]:.0%} of it "
    if largest == "queue_s":
        return start + "in the farm's queue: its workers are busy or just starting; rjit.status() shows them"
    if largest in ("upload_s", "download_s"):
        return start + "copies to and from the device: do more with what is there, or run it on 'host'"
    if largest == "kernel_s":
        return start + "the function's own: opt=3, fastmath=True or a better algorithm can help, the way to it cannot"
    size = sum(row.bytes_out + row.bytes_in for row in rows) / len(rows)
    if size > 64 * 1024:
        return start + f"moving {size / 1e6:.1f} MB: pass less, or do more with it in one call"
    if len(rows) > 1:
        return start + "the way there and back: f.batch(rows), f.map(arrays) or a loop in the function saves it"
    return start + "the way there and back"


def timed(caller, signature_index, calls, work):
    """work(), a batch or a map, whose signature is known after it (signature_index()). It may tell its parts."""
    from .typesystem import Type

    started = time.perf_counter()
    parts = {}
    try:
        done = work()
        if isinstance(done, dict):
            parts = done.get("parts", parts)
        return done
    finally:
        ended = time.perf_counter()
        index = signature_index()
        text = str(Type.fromstring(caller._signature_texts()[index])) if index is not None else ""
        compile_s = parts.get("compile_s", 0.0)
        _add(caller, Row(caller.__name__, text, calls, 0.0, compile_s, ended - started - compile_s, None, {}, parts))


def queued(caller, text, step, started):
    """A step of a queue: a row once it is over, for the profiles that are on now."""
    profiles = caller._rjit._profiles

    def over():
        parts = step.times()
        row = Row(caller.__name__, text, 1, 0.0, parts.pop("compile_s"), 0.0, None, {}, {})
        for name, value in parts.items():
            setattr(row, name, value)
        # Its way there and back is that of all that travelled with it.
        row.call_s = row.queue_s + row.upload_s + row.kernel_s + row.download_s
        row.wire_s = 0.0
        for profile in profiles:
            profile.rows.append(row)

    step.then(over, False)


def _add(caller, row):
    for profile in caller._rjit._profiles:
        profile.rows.append(row)


def profiled_call(caller, args, kwargs):
    """A call whose parts are timed one by one."""
    from .typesystem import Type

    if any(name in (kwargs or {}) and name not in caller._parameters for name in ("out", "where")):
        return caller._over_arrays(args, kwargs)
    positional = caller._bind(args, kwargs)
    started = time.perf_counter()
    try:
        index = caller._match(positional)
    except Exception as error:
        if not caller._takes_arrays(positional):
            caller._explain(error)
            raise
        return caller._over_arrays(positional, None)
    prepared_before = caller._get(index) is not None
    caller._function(index)
    lowered = time.perf_counter()
    compiled = {"cached": None, "timings_us": {}}
    if not prepared_before:
        compiled = caller._function(index).compile()
    ready = time.perf_counter()
    parts = {}
    try:
        return caller._call_timed(positional, parts)
    finally:
        ended = time.perf_counter()
        _add(caller, Row(caller.__name__, str(Type.fromstring(caller._signature_texts()[index])), 1,
                         0.0 if prepared_before else lowered - started, 0.0 if prepared_before else ready - lowered,
                         ended - ready, compiled["cached"], compiled["timings_us"], parts))
