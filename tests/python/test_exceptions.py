"""Exceptions of functions, crashes, errors of the farm, print.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import traceback

import numpy as np
import pytest

import rbc
from plain_functions import CustomError, checked_root


def test_division_by_zero_says_function_and_line(rjit):
    @rjit("int64(int64, int64)")
    def divide(a, b):
        return a // b

    with pytest.raises(ZeroDivisionError) as caught:
        divide(7, 0)
    assert "divi" in str(caught.value)
    function, path, line = caught.value.rbc_location
    assert function == "divide" and path == __file__
    last = traceback.extract_tb(caught.value.__traceback__)[-1]
    assert last.name == "divide" and last.line == "return a // b" and last.lineno == line
    assert any("divide" in note and "host" in note for note in caught.value.__notes__)
    assert divide(7, 2) == 3


def test_asserts_custom_classes_and_nested_raises(rjit):
    @rjit("float64(float64)")
    def outer(x):
        if x == 50:
            raise ValueError
        return checked_root(x) + 1

    assert outer(4.0) == 3.0
    with pytest.raises(AssertionError, match="too much") as caught:
        outer(200.0)
    assert caught.value.rbc_location[0] == "checked_root"
    with pytest.raises(CustomError) as caught:
        outer(-1.0)
    assert caught.value.args == ("negative", 17)
    with pytest.raises(ValueError) as caught:
        outer(50.0)
    assert caught.value.rbc_location[0] == "outer"


def test_the_function_is_the_one_around_the_line(rjit):
    def outer(x):
        def inner(y):
            if y == 7:
                raise ValueError("inner")
            return 100 // y

        if x < 0:
            raise ValueError("outer")
        return inner(x)

    f = rjit("int64(int64)")(outer)
    first = outer.__code__.co_firstlineno
    assert f(5) == 20
    for x, name, line in ((-1, "outer", 7), (7, "inner", 3), (0, "inner", 4)):
        with pytest.raises((ValueError, ZeroDivisionError)) as caught:
            f(x)
        assert caught.value.rbc_location == (name, __file__, first + line)


def test_try_except_inside(rjit):
    def risky(x):
        if x == 0:
            raise ValueError("zero")
        return 10 // x

    @rjit("int64(int64)")
    def careful(x):
        total = 0
        try:
            total = risky(x)
            if total == 5:
                raise CustomError("five")
        except Exception:
            total = -1
        return total

    assert [careful(x) for x in (0, 1, 2, 3)] == [-1, 10, -1, 3]

    @rjit("int64(int64)")
    def nested(x):
        result = 0
        for i in range(3):
            try:
                try:
                    result += risky(x - i)
                except Exception:
                    result += 1000
                    if x == 1:
                        raise CustomError("again")
            except Exception:
                result += 100000
        return result

    assert nested.local(2) == nested(2) and nested.local(1) == nested(1) and nested.local(10) == nested(10)


def test_arguments_that_are_known_at_run_time(rjit, capsys):
    @rjit("int64(int64, float64, string)")
    def f(n, x, s):
        print("before")
        if n == 1:
            raise ValueError("bad", n, x)
        if n == 2:
            raise KeyError(s)
        if n == 3:
            raise CustomError((n, x), "and", s, 1j * x)
        if n == 4:
            raise ValueError(f"{s} is {n}")
        return n

    def raised(*args):
        try:
            f(*args)
        except Exception as error:
            assert capsys.readouterr().out == "before\n"
            return type(error), error.args
        return None

    assert raised(1, 0.1, "") == (ValueError, ("bad", 1, 0.1))
    assert raised(2, 0.5, "k'\"ö") == (KeyError, ("k'\"ö",))
    assert raised(3, 0.5, "s") == (CustomError, ((3, 0.5), "and", "s", 0.5j))
    assert raised(4, 0.5, "four") == (ValueError, ("four is 4",))
    assert raised(5, 0.5, "") is None and f(5, 0.5, "") == 5


def test_bounds_are_checked_where_asked(rjit):
    def at(i):
        values = np.array([1.0, 2.0, 3.0])
        return values[i]

    checked = rjit("float64(int64)", boundscheck=True)(at)
    assert checked(2) == 3.0
    with pytest.raises(IndexError):
        checked(3)


def test_float_division_python_and_numpy(rjit):
    divide = rjit("float64(float64, float64)")(lambda a, b: a / b)
    with pytest.raises(ZeroDivisionError):
        divide(1, 0)
    numpy_like = rjit("float64(float64, float64)", error_model="numpy")(lambda a, b: a / b)
    assert numpy_like(1, 0) == math.inf


def test_none_results(rjit):
    import numba

    @rjit
    def positive(x):
        if x > 0:
            return x
        return None

    assert positive(3) == 3 and positive(-3) is None


def test_a_crash_is_an_exception_and_the_next_call_works(rjit):
    @rjit("int64(int64*)")
    def peek(p):
        return p[0]

    @rjit("int64(int64)")
    def fine(x):
        return x + 1

    assert fine(1) == 2
    with pytest.raises(rbc.RemoteCrash) as caught:
        peek(None)
    assert caught.value.signal == signal.SIGSEGV and "peek" in str(caught.value) + caught.value.function
    assert fine(2) == 3

    @rjit("int64(int64)")
    def deep(n):
        if n < 0:
            return 0
        return 1 + deep(n + 1) * 2

    with pytest.raises(rbc.RemoteCrash):
        deep(0)
    assert fine(3) == 4


def test_a_call_that_takes_too_long(rjit):
    @rjit("int64(int64)", timeout=2)
    def forever(x):
        while x == 1:
            pass
        return x

    started = time.monotonic()
    with pytest.raises(rbc.DeadlineExceeded):
        forever(1)
    assert time.monotonic() - started < 15 and forever(0) == 0


def test_typing_errors_are_short_and_show_the_line(rjit):
    @rjit("int64(int64)")
    def wrong(x):
        y = x + 1
        return y.nothing_like_this

    with pytest.raises(rbc.TypingError) as caught:
        wrong(1)
    text = str(caught.value)
    assert "nothing_like_this" in text and "return y.nothing_like_this" in text and len(text.splitlines()) < 8, text
    assert len(caught.value.details) > len(text) // 2 and isinstance(caught.value, rbc.Error)

    @rjit("int64(int64)")
    def unknown(x):
        return not_defined_anywhere(x)  # noqa: F821

    with pytest.raises(rbc.TypingError, match="not_defined_anywhere"):
        unknown(1)
    with pytest.raises(rbc.TypingError, match="it returns none, and its signature says float64\n"):
        rjit("float64(float64)")(lambda x: None)(1.0)


def test_what_the_farm_cannot_have_is_refused_by_name(rjit):
    @rjit("float64()")
    def roll():
        return np.random.random()

    with pytest.raises(rbc.TypingError, match="random numbers .* seeded by an argument, as examples/python/monte_carlo.py"):
        roll()

    @rjit("int64(int64)")
    def table(x):
        return {1: 2}[x]

    with pytest.raises(rbc.Error):
        table(1)


def test_print(rjit, capsys):
    @rjit("int64(int64, float64)")
    def say(n, x):
        print("n is", n, "and x", x)
        print(True, n > 3, 1.5, 0.1, 1e16, 1e-5, 123456789.0, 100000.0)
        print(complex(n, x), 2j, None)
        print((n, x), ("a", 1))
        print()
        return n

    def expected(n, x):
        say.local(n, x)
        return capsys.readouterr().out

    for n, x in ((3, 0.5), (-7, 1 / 3), (2**62, 1e300), (0, -0.0), (5, math.inf), (5, 5e-324)):
        want = expected(n, x)
        assert say(n, x) == n
        assert capsys.readouterr().out == want


def test_print_keywords(rjit, capsys):
    @rjit("void(int64, float64)")
    def say(n, x):
        print(n, x, sep=", ")
        print(n, x, (n, x), sep="", end=";\n%d")
        print("a", "b", end="")
        print(sep="-")
        print("c", 1.5, True, None, sep=None, end=None, flush=True)
        print(x, n, sep=" \\ 'ö' ")

    say.local(3, 0.5)
    wanted = capsys.readouterr().out
    say(3, 0.5)
    assert capsys.readouterr().out == wanted
    with pytest.raises(rbc.TypingError, match="run time"):
        rjit("void(string)")(lambda s: print(1, sep=s))("x")
    with pytest.raises(rbc.TypingError, match="file"):
        rjit("void(int64)")(lambda n: print(n, file=None))(1)


def test_floats_print_as_python_prints_them(rjit, capsys):
    import random

    @rjit("void(float64)")
    def show(x):
        print(x)

    rng = random.Random(5)
    values = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-20, 20) for _ in range(200)]
    values += [float(rng.randint(0, 2**53)) for _ in range(50)] + [1e15, 1e16, 9007199254740993.0, 1e22, 123e-7, 0.0001]
    show.batch([(value,) for value in values])
    assert capsys.readouterr().out.split() == [repr(value) for value in values]


def test_what_a_crashing_function_printed_is_shown(rjit, capsys):
    @rjit("int64(int64*)")
    def last_words(p):
        print("before")
        return p[0]

    with pytest.raises(rbc.RemoteCrash):
        last_words(None)
    assert capsys.readouterr().out == "before\n"


def test_no_farm_is_an_error_that_says_what_to_do():
    nobody = rbc.RemoteJIT("localhost", 1, connect_timeout=1)
    f = nobody("int64()")(lambda: 1)
    with pytest.raises(rbc.ConnectionLost, match="start_server"):
        f()
    with pytest.raises(rbc.InvalidArgument):
        rbc.RemoteJIT(timeout=-1)


def test_ctrl_c_cancels_the_call_and_leaves_the_connection(rjit, interrupted_when_busy):
    @rjit("int64(int64)")
    def forever(x):
        while x == 1:
            pass
        return x

    assert forever(0) == 0
    with interrupted_when_busy():
        forever(1)
    assert forever(0) == 0


def test_ctrl_c_ends_a_batch(rjit, interrupted_when_busy):
    @rjit("int64(int64)")
    def forever(x):
        while x == 1:
            pass
        return x

    assert forever.batch([(0,), (2,)]) == [0, 2]
    with interrupted_when_busy():
        forever.batch([(0,), (1,), (2,), (1,)])
    assert forever.batch([(0,), (2,)]) == [0, 2]


@pytest.mark.parametrize("kind", ["takes no connection", "says nothing"])
def test_ctrl_c_while_connecting_ends_at_once(kind):
    import socket

    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, contextlib.ExitStack() as stack:
        if kind == "takes no connection":
            for _ in range(4):  # more than the backlog holds: further ones are not answered
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
        client = rbc.RemoteJIT("127.0.0.1", listener.getsockname()[1], connect_timeout=60)
        timer = threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT))
        started = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            timer.start()
            client.targets
        assert time.monotonic() - started < 30


def test_a_host_that_nobody_knows_is_an_error_that_says_what_to_do():
    nobody = rbc.RemoteJIT("no-such-host.invalid", connect_timeout=30)
    with pytest.raises(rbc.ConnectionLost, match="is not known.*ping") as caught:
        nobody.targets
    assert "start_server" not in str(caught.value)


def test_exceptions_of_published_functions(rjit, farm, capsys):
    @rjit("int64(int64, int64)")
    def share(a, b):
        if a == 1:
            raise CustomError("one", (2, 3.5))
        if a == 2:
            raise KeyError("missing \"key\" \\ ö")
        if a == 3:
            raise ValueError("at run time", b, b * 0.5)
        return a // b

    share.publish("share")
    try:
        host, port = farm.address.rsplit(":", 1)
        code = textwrap.dedent("""
            import json, sys, rbc
            share = rbc.connect("share", host=sys.argv[1], port=int(sys.argv[2]))
            out = []
            for args in ((7, 0), (1, 0), (2, 0), (3, 8)):
                try:
                    share(*args)
                except Exception as error:
                    out.append([type(error).__name__, getattr(error, "class_name", ""), list(map(repr, error.args)),
                                error.rbc_location])
            print(json.dumps([share(7, 2), out, "numba" in sys.modules]))
        """)
        done = subprocess.run([sys.executable, "-c", code, host, port], capture_output=True, text=True, check=True)
        result, raised, has_numba = json.loads(done.stdout)
    finally:
        rjit.withdraw("share")
    assert result == 3 and not has_numba
    assert [kind for kind, *_ in raised] == ["ZeroDivisionError", "RemoteException", "KeyError", "ValueError"]
    assert raised[1][1].endswith("CustomError") and raised[1][2] == [repr(raised[1][1] + ": one, (2, 3.5)")]
    assert raised[2][2] == [repr("missing \"key\" \\ ö")] and raised[3][2] == ["'at run time'", "8", "4.0"]
    first = share.py_func.__code__.co_firstlineno
    assert [where for *_, where in raised] == [["share", "<published share>", first + line] for line in (8, 3, 5, 7)]
    assert __file__ not in share.get_IR()


def test_values_that_a_function_prints_are_never_run(rjit):
    from rbc import _exceptions

    text, values = _exceptions.take_raised(
        "x\x1b]rbc-raise;\x1fv__import__('os').getpid()\x1fv(1, -inf)\x1fv(nan+2j)\x1fv" + "(" * 500 + "\x07y")
    assert text == "xy" and values[0] == "__import__('os').getpid()" and values[1] == (1, -math.inf)
    assert math.isnan(values[2].real) and values[2].imag == 2 and values[3] == "(" * 500
    table = "!rbc.exceptions = !{!0}\n" + '!0 = !{!"[2000, \\22builtins\\22, \\22SystemExit\\22, [], \\22f\\22, 1]"}\n'
    assert _exceptions.read_table(table)[2000][1] is None


def test_errors_pickle(rjit):
    import pickle

    error = pickle.loads(pickle.dumps(rbc.RemoteCrash("it crashed", signal=11, function="f")))
    assert isinstance(error, rbc.RemoteCrash) and error.signal == 11 and str(error) == "it crashed"
