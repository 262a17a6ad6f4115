"""Says so where something takes more than a second: a line on a terminal or in a notebook, gone when it is over.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import sys
import threading
import time

AFTER_S = 1.0
_EVERY_S = 0.5

_lock = threading.Lock()


def is_shown():
    """Whether there is somebody to see it."""
    stream = sys.stderr
    if stream is None:
        return False
    try:
        return stream.isatty() or "ipykernel" in sys.modules
    except (AttributeError, ValueError):
        return False


def show(text, seconds):
    """The line that stands there now."""
    with _lock:
        if is_shown():
            sys.stderr.write(f"\r\x1b[Krbc: {text} ({seconds:.0f} s)")
            sys.stderr.flush()


def clear():
    with _lock:
        if is_shown():
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


@contextlib.contextmanager
def of(text):
    """While the block takes more than a second, `text` is shown with the seconds it has taken."""
    if not is_shown():
        yield
        return
    over, started = threading.Event(), time.monotonic()

    def watch():
        wait = AFTER_S
        shown = False
        while not over.wait(wait):
            show(text, time.monotonic() - started)
            wait, shown = _EVERY_S, True
        if shown:
            clear()

    thread = threading.Thread(target=watch, name="rbc progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
