"""Calls: what goes in, what comes out, what is refused.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import concurrent.futures
import ctypes
import dataclasses
import inspect
import math
import pydoc
import threading

import numpy as np
import pytest

import rbc


def test_the_notebook_s_function(rjit):
    @rjit("f64(f64,f64)")
    def add(a: int, b: int) -> int:
        return a + b

    assert list(map(str, add._signatures)) == ["float64(float64, float64)", "int64(int64, int64)"]
    assert add.target("host") == "host"
    result = add(1, 2)
    assert result == 3 and type(result) is int
    result = add(1.5, 2.0)
    assert result == 3.5 and type(result) is float
    with pytest.raises(rbc.NoMatch) as caught:
        add(1j, 2)
    assert str(caught.value) == "could not find matching function to given argument types: `complex128, int64`"
    if hasattr(caught.value, "__notes__"):  # Python 3.11 on: shown below the message
        assert "float64(float64, float64); int64(int64, int64)" in caught.value.__notes__[0]
    add.add_signature("complex128(complex128, complex128)")
    assert add(1j, 2) == 2 + 1j
    assert "add_daddA" in add.get_IR() and "add_DaDDA" in add.get_IR()


@pytest.mark.parametrize("text, value", [
    ("bool", True), ("bool", False), ("int8", -128), ("int16", 32767), ("int32", -2**31), ("int64", 2**63 - 1),
    ("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1), ("uint64", 2**64 - 1), ("float32", 0.5),
    ("float64", math.pi), ("complex64", 0.5 - 2j), ("complex128", 1e300 + 1e-300j)])
def test_every_scalar_goes_there_and_back(rjit, text, value):
    same = rjit(f"{text}({text})")(lambda x: x)
    result = same(value)
    assert result == value and type(result) is type(value)
    second = rjit(f"{text}(int32, {text})")(lambda i, x: x)
    assert second(7, value) == value


def test_bool_inside_and_out(rjit):
    less = rjit("bool(int64, int64)")(lambda a, b: a < b)
    assert less(1, 2) is True and less(2, 1) is False
    both = rjit("bool(bool, bool)")(lambda a, b: a and not b)
    assert [both(a, b) for a in (False, True) for b in (False, True)] == [False, False, True, False]


def test_complex64_by_value(rjit):
    multiply = rjit("complex64(complex64, float32, complex64)")(lambda a, f, b: a * b * f)
    assert multiply(1 + 2j, 0.5, 3 - 1j) == (1 + 2j) * (3 - 1j) * 0.5


def test_struct_then_pointer(rjit):
    @rjit("float64({int32, float64}, float64*, int32)")
    def dot(s, p, n):
        total = s[0] * s[1]
        for i in range(n):
            total += p[i]
            p[i] = -p[i]
        return total

    values = np.array([1.0, 2.0, 3.5])
    assert dot((3, 0.5), values, 3) == 8.0
    assert values.tolist() == [-1.0, -2.0, -3.5]


def test_tuples_dataclasses_and_records_are_structs(rjit):
    @rjit("{int32, float64}({int32, float64}, float64)")
    def scale(point, factor):
        return np.int32(point[0] * 2), point[1] * factor

    @dataclasses.dataclass
    class Point:
        n: int
        x: float

    record = np.array([(3, 1.5)], dtype=[("n", np.int32), ("x", np.float64)])[0]
    for point in ((3, 1.5), [3, 1.5], Point(3, 1.5), record):
        assert scale(point, 4.0) == (6, 6.0)
    nested = rjit("{int64, {float64, int64}}({{int64, float64}, int64})")(lambda t: (t[1], (t[0][1], t[0][0])))
    assert nested(((1, 2.5), 3)) == (3, (2.5, 1))
    same_kind = rjit("{int64, int64, int64}({int64, int64, int64})")(lambda t: (t[2], t[1], t[0]))
    assert same_kind((1, 2, 3)) == (3, 2, 1)


def test_bytes_are_results(rjit):
    @rjit("char8*(int64)")
    def word(n):
        if n < 0:
            return None
        return b"abcdef"[:n] if n < 9 else b"\x01\xff"

    assert word(3) == b"abc" and word(0) == b"" and word(9) == b"\x01\xff" and word(-1) is None
    inferred = rjit(lambda: b"constant")
    assert inferred() == b"constant" and inferred.signatures[0][0].tostring() == "char8*"
    assert rjit("char8*(char8*)")(lambda p: p)(b"through") == b"through"
    with pytest.raises(ValueError, match="uint8"):  # bytes end at a NUL on their way
        rjit("char8*()")(lambda: b"a\0b")()
    assert bytes(rjit("uint8[:](uint8[:])")(lambda a: a[::-1])(np.frombuffer(b"a\0b", np.uint8))) == b"b\0a"
    with pytest.raises(rbc.TypingError, match="return bytes"):
        rjit("char8*()")(lambda: 1.5)()


def test_zero_arguments(rjit):
    assert rjit("int64()")(lambda: 42)() == 42
    assert rjit(lambda: 2.5)() == 2.5


def test_no_result(rjit):
    @rjit("void(int64*)")
    def count(p):
        p[0] += 1

    values = np.array([41])
    assert count(values) is None and values[0] == 42


def test_a_function_called_like_one_of_libm(rjit):
    @rjit("float64(float64)")
    def trunc(x):
        return x + 100

    @rjit("float64(float64)")
    def sin(x):
        return trunc(x) + math.trunc(x) + math.sin(0.0)

    assert trunc(1.5) == 101.5 and sin(1.5) == 102.5


def test_recursion(rjit):
    @rjit("int64(int64)")
    def fibonacci(n):
        if n < 2:
            return n
        return fibonacci(n - 1) + fibonacci(n - 2)

    assert fibonacci(15) == 610


def test_mutual_recursion_of_callers(rjit):
    from plain_functions import is_even, is_odd  # noqa: F401 a module, as numba resolves globals

    even = rjit("bool(int64)")(is_even)
    assert even(10) is True and even(7) is False


def test_the_same_name_from_two_clients(rjit, farm):
    host, port = farm.address.rsplit(":", 1)
    other = rbc.RemoteJIT(host, int(port))
    one = rjit("int64(int64)")(_named("f", lambda x: x + 1))
    two = other("int64(int64)")(_named("f", lambda x: x + 2))
    assert [one(1), two(1), one(1), two(1)] == [2, 3, 2, 3]
    other.close()


def test_redefinition(rjit):
    first = rjit("int64(int64)")(_named("f", lambda x: x + 1))
    assert first(1) == 2
    second = rjit("int64(int64)")(_named("f", lambda x: x * 10))
    assert second(5) == 50 and first(5) == 6


def test_a_value_that_does_not_fit_is_refused_before_anything_is_sent(rjit):
    narrow = rjit("int32(int32)")(lambda x: x)
    with pytest.raises(rbc.InvalidArgument, match="1099511627776 does not fit type `int32`"):
        narrow(2**40)
    assert narrow(2**31 - 1) == 2**31 - 1
    with pytest.raises(rbc.InvalidArgument, match="-1 does not fit"):
        rjit("uint8(uint8)")(lambda x: x)(-1)
    with pytest.raises(OverflowError, match="128 bits"):
        narrow(2**200)


def test_keywords_and_defaults(rjit):
    @rjit("int64(int64, int64, int64)")
    def f(a, b=10, c=100):
        return a + 2 * b + 3 * c

    assert f(1) == 321 and f(1, 2) == 305 and f(1, c=2) == 27 and f(c=1, b=2, a=3) == 10
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        f(b=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'd'"):
        f(1, d=2)
    with pytest.raises(TypeError, match="too many positional arguments"):
        f(1, 2, 3, 4)


def test_numpy_and_ctypes_scalars_choose_by_their_type(rjit):
    f = rjit("int32(int32)", "float32(float32)", "float64(float64)")(lambda x: x)
    assert type(f(np.int32(3))) is int

    class Impedance(complex):
        pass

    assert rjit("complex128(complex128)")(lambda z: z * 2)(Impedance(1, 2)) == 2 + 4j
    assert f(np.float32(0.1)) == float(np.float32(0.1))
    assert f(np.float64(0.1)) == 0.1
    assert f(ctypes.c_int32(-5)) == -5 and f(ctypes.c_double(2.5)) == 2.5
    with pytest.raises(rbc.NoMatch, match="`complex64`"):
        f(np.complex64(1))
    flag = rjit("bool(bool)")(lambda x: not x)
    assert flag(np.True_) is False and flag(ctypes.c_bool(False)) is True


def test_signatures_by_every_spelling(rjit):
    import numba

    def add(a, b):
        return a + b

    for signature in ("int64(int64, int64)", numba.int64(numba.int64, numba.int64),
                      ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64, ctypes.c_int64),
                      rbc.Type.fromstring("i64(i64, i64)"), rjit("i64(i64,i64)")):
        f = rjit(signature)(add)
        assert list(map(str, f.signatures)) == ["int64(int64, int64)"] and f(2, 3) == 5
    assert rjit(add, "f64(f64,f64)")(2, 3) == 5.0
    first = rjit(ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_char_p))(lambda text: text[0])
    assert first(b"abc") == 97 and first(ctypes.c_char_p(b"abc")) == 97


def test_a_signature_decorates_many_functions_and_can_be_longer(rjit):
    both = rjit("i32(i32)")("f64(f64)")
    assert list(map(str, both)) == ["int32(int32)", "float64(float64)"]
    one, two = both(lambda x: x + 1), both(lambda x: x * 2)
    assert one(1) == 2 and two(1.5) == 3.0
    assert len(rjit(both, "f32(f32)")) == 3 and len(both) == 2


def test_stacked_decorators_inner_first(rjit):
    @rjit("f32(f32)")
    @rjit("i32(i32)")
    def f(x: float) -> float:
        return x

    assert list(map(str, f._signatures)) == ["int32(int32)", "float32(float32)", "float64(float64)"]


def test_templates(rjit):
    f = rjit("T(T, T)", T=["int32", "float64"])(lambda a, b: a + b)
    assert list(map(str, f.signatures)) == ["int32(int32, int32)", "float64(float64, float64)"]
    assert f(1, 2) == 3 and f(1.5, 2) == 3.5
    nested = rjit("T(U)", T=["U", "float64"], U=["int32", "int64"])
    assert len(set(map(str, nested))) == 4
    with pytest.raises(rbc.InvalidArgument, match="T"):
        rjit("T(T)", T=["U"], U=["T"])
    with pytest.raises(rbc.InvalidArgument, match="options are"):
        rjit(lambda x: x, Q=["int32"])


def test_misspelt_and_wrong_options_are_refused(rjit):
    for misspelt in ({"boundcheck": True}, {"targt": "cuda"}, {"T": "int32"}):
        with pytest.raises(rbc.InvalidArgument, match=f"no option '{next(iter(misspelt))}'.* options are boundscheck"):
            rjit("int64(int64)", **misspelt)
    for wrong in ({"opt": 4}, {"opt": "3"}, {"timeout": "x"}, {"timeout": -1}, {"accuracy": "poor"}, {"error_model": "c"},
                  {"target": 3}):
        with pytest.raises(rbc.InvalidArgument, match=f"{next(iter(wrong))} is .*; give "):
            rjit("int64(int64)", **wrong)
    for thing in (len, rjit.close, np.sin):
        with pytest.raises(rbc.InvalidArgument, match="no Python function"):
            rjit(thing)
    with pytest.raises(rbc.UnknownTarget, match="no target '3'; it has 'host'"):
        rjit("int64(int64)")(lambda x: x).target(3)


def test_annotations_give_the_last_signature_where_they_are_whole(rjit):
    @rjit
    def parts(a: int, b: float) -> tuple[float, int]:
        return b, a

    @rjit
    def halves(a: int, b: int):  # no result: as without annotations
        return a / b

    assert parts(1, 2.5) == (2.5, 1) and str(parts.signatures[0]) == "{float64, int64}(int64, float64)"
    assert halves.signatures == [] and halves(1, 2) == 0.5

    def odd(a: list) -> int:
        return 0

    with pytest.raises(ValueError, match="parameter 'a' of odd: no type of a farm is like <class 'list'>"):
        rjit(odd)
    assert rjit("int64(int64)")(odd)(1) == 0


def test_no_signature_types_follow_the_arguments(rjit):
    @rjit
    def twice(x):
        return x + x

    assert twice(2) == 4 and twice(1.5) == 3.0 and twice(1j) == 2j
    assert type(twice(np.float32(1.5))) is float
    assert [str(s) for s in twice.signatures] == [
        "int64(int64)", "float64(float64)", "complex128(complex128)", "float32(float32)"]


def test_njit_functions_unchanged(rjit):
    import numba

    @numba.njit
    def square(x):
        return x * x

    f = rjit(square)
    assert f(3) == 9 and f(1.5) == 2.25
    assert square(4) == 16  # still numba's own
    g = rjit("float64(float64)")(lambda x: square(x) + 1)
    assert g(2.0) == 5.0


def test_wrong_signatures_are_refused(rjit):
    with pytest.raises(rbc.InvalidArgument) as caught:
        rjit("float64(float64)")(lambda a, b: a)
    assert str(caught.value) == "mismatch of the number of arguments: function 2, signature 1 (`float64(float64)`)"
    with pytest.raises(rbc.InvalidArgument) as caught:
        rjit("int64")
    assert str(caught.value) == "expected signature with function kind, got `int64`"
    with pytest.raises(rbc.InvalidArgument):
        rjit("int64(")
    with pytest.warns(UserWarning, match="declared"):
        rjit("i32(i32)")(lambda x: x).add_signature("int32(int32)")


def test_a_submitted_call_that_runs_can_be_cancelled(becomes_busy):
    server = rbc.RemoteJIT()
    with server.start_server(background=True, port=0):
        @server("int64(int64)")
        def forever(x):
            while x == 1:
                pass
            return x

        assert forever(0) == 0
        future = forever.submit(1)
        assert becomes_busy(server)
        assert future.cancel()
        with pytest.raises(concurrent.futures.CancelledError):
            future.result(60)
        assert becomes_busy(server, False), "the farm has stopped it"
        assert forever.submit(5).result() == 5

        async def main():
            await asyncio.wait_for(forever.submit(1), 1)

        with pytest.raises((asyncio.TimeoutError, TimeoutError)):
            asyncio.run(main())
        assert becomes_busy(server, False), "the awaiting task's end stops it too"
        over = forever.submit(2)
        assert over.result() == 2 and not over.cancel() and not over.cancelled()


def test_submit_and_await(rjit):
    f = rjit("int64(int64)")(lambda x: x * x)
    futures = [f.submit(i) for i in range(50)]
    assert [future.result() for future in futures] == [i * i for i in range(50)]
    assert all(isinstance(future, concurrent.futures.Future) for future in futures)

    async def main():
        return await asyncio.gather(*[_await(f.submit(i)) for i in range(10)])

    async def _await(future):
        return await future

    assert asyncio.run(main()) == [i * i for i in range(10)]
    failing = f.submit("text")
    with pytest.raises(rbc.NoMatch):
        failing.result()


def test_batch(rjit):
    f = rjit("int64(int64, int64)", "float64(float64, float64)")(lambda a, b: a // b)
    assert f.batch([(7, 2), (7.0, 2.0), (9, 3)]) == [3, 3.0, 3]
    results = f.batch([(7, 2), (7, 0), (8, 2)], return_exceptions=True)
    assert results[0] == 3 and results[2] == 4 and isinstance(results[1], ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        f.batch([(1, 0)])
    assert f.batch([]) == []


def test_a_large_batch(rjit, capsys):
    @rjit("int64(int64)")
    def f(n):
        if n % 10000 == 0:
            print("at", n)
        return 100 // (n - 7)

    count = 70000  # more than one message of Thrift's may list, and more than a worker is given at a time
    results = f.batch([(n,) for n in range(count)], return_exceptions=True)
    assert isinstance(results[7], ZeroDivisionError)
    assert all(results[n] == 100 // (n - 7) for n in range(count) if n != 7)
    assert capsys.readouterr().out == "".join(f"at {n}\n" for n in range(0, count, 10000))


def test_a_crash_in_a_batch_is_that_of_one_row(rjit):
    @rjit("int64(int64, int64)")
    def deep(n, step):
        if n == 0:
            return 0
        return deep(n - step, step) * 3 % 7 + n

    assert deep.local(10, 1) == deep(10, 1)
    rows = [(n, 0 if n in (3, 6) else 1) for n in range(1, 10)]
    results = deep.batch(rows, return_exceptions=True)
    for (n, step), result in zip(rows, results):
        if step:
            assert result == deep.local(n, step)
        else:
            assert isinstance(result, rbc.RemoteCrash) and result.function.startswith("deep"), result
    with pytest.raises(rbc.RemoteCrash):
        deep.batch(rows)


def test_threads(rjit):
    f = rjit("int64(int64, int64)", "float64(float64, float64)")(lambda a, b: a * b)
    wrong = []

    def work(n):
        for i in range(200):
            if f(n, i) != n * i or f(n + 0.5, i) != (n + 0.5) * i:
                wrong.append((n, i))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_another_thread_changes_the_target(rjit):
    """Also between the moment when the code for the one is made and that when it is used."""
    f = rjit("int64(int64)")(lambda x: x + 1)
    prepare, moments = f._prepare, []

    def interrupted(index):
        error = prepare(index)
        if moments:
            moments.pop()
            f._reset()  # as target() does
        return error

    f._prepare = interrupted
    for call in (lambda: f(41), lambda: f.batch([(41,)])[0], lambda: f.map([41])[0], lambda: len(f.compile()) + 41):
        f._reset()
        moments.extend("ab")
        assert call() == 42 and not moments


def test_local_help_and_signature(rjit):
    @rjit("int64(int64, int64)")
    def power(base, exponent=2):
        """base to the exponent."""
        return base**exponent

    assert power.local(3) == 9
    assert str(inspect.signature(power)) == "(base, exponent=2)"
    assert inspect.getdoc(power) == "base to the exponent." and power.__name__ == "power"
    assert "base to the exponent." in pydoc.render_doc(power)
    undocumented = pydoc.render_doc(rjit(lambda a, b=1: a + b))
    assert "(a, b=1), which runs on a farm" in undocumented and "add_signature" not in undocumented
    assert "int64(int64, int64)" in repr(power) and "int64(int64, int64)" in power._repr_html_()
    assert "int64" in repr(rjit("int64()")) and "int64" in rjit("int64()")._repr_html_()


def test_targets(rjit):
    assert "host" in rjit.targets
    host = rjit.targets["host"]
    assert host.pointer_bits == 64 and "x86_64" in host.triple and host.data_layout.startswith("e-")
    assert "host" in repr(host) and "host" in host._repr_html_()
    f = rjit("int64()")(lambda: 1)
    with pytest.raises(rbc.UnknownTarget, match="no target 'abacus'; it has .*'host'"):
        f.target("abacus")
    assert f.target() == "host" and f() == 1
    if "cuda" not in rjit.targets:
        with pytest.raises(rbc.UnknownTarget):
            f.target("cuda")
    elif not rjit.targets["cuda"].devices:
        assert f.target("cuda") == "host"
        with pytest.raises(rbc.Unavailable):
            f()
        assert f.target("host") == "cuda" and f() == 1


def test_published_functions(rjit, farm):
    f = rjit("float64(float64, float64)")(_named("hypotenuse", lambda a, b: math.sqrt(a * a + b * b)))
    f.publish("hypotenuse")
    host, port = farm.address.rsplit(":", 1)
    found = rbc.connect("hypotenuse", host=host, port=int(port))
    assert found(3, 4) == 5.0
    assert "hypotenuse" in found.get_IR()
    with pytest.raises(rbc.UnknownName):
        rjit.connect("nobody")
    with pytest.raises(rbc.UnknownName, match="team"):
        rbc.connect("hypotenuse", host=host, port=int(port), namespace="team")
    team = rbc.RemoteJIT(host, int(port), namespace="team")
    team("float64(float64)")(_named("hypotenuse", lambda a: a * 10)).publish()
    assert rbc.connect("hypotenuse", host=host, port=int(port), namespace="team")(2) == 20.0 and found(3, 4) == 5.0
    team.withdraw("hypotenuse")
    team.close()
    rjit.withdraw("hypotenuse")
    with pytest.raises(rbc.UnknownName):
        rjit.connect("hypotenuse")


def _named(name, function):
    function.__name__ = function.__qualname__ = name
    return function


def test_text_and_bytes(rjit):
    length = rjit("int64(string)")(lambda s: len(s))
    assert [length(s) for s in ("", "abc", "grüße", "日本語", "a😀b")] == [0, 3, 5, 3, 3]
    shout = rjit("string(string, int64)")(lambda s, n: (s + ".") * n + "!")
    assert shout("ab", 2) == "ab.ab.!" and shout("grün", 1) == "grün.!" and shout("日本", 2) == "日本.日本.!"
    with pytest.raises(rbc.TypingError, match="upper"):
        rjit("string(string)")(lambda s: s.upper())("a")
    same = rjit("string(string)")(lambda s: s)
    assert same("a😀b") == "a😀b" and same("") == ""
    assert rjit("bool(string, string)")(lambda a, b: a + "x" == b)("ä", "äx") is True
    with pytest.raises(rbc.InvalidArgument, match="NUL"):
        length("a\0b")
    with pytest.raises(TypeError, match="None"):
        length(None)
    add = rjit("int64(char8*, int64)")(lambda b, n: b[0] + b[n - 1])
    assert add(b"az", 2) == ord("a") + ord("z") and add(bytearray(b"az"), 2) == ord("a") + ord("z")


def test_text_with_numbers_and_exceptions(rjit):
    @rjit("float64(complex128, string, bool)")
    def f(c, s, flag):
        if not flag:
            raise ValueError("flag")
        return c.real + len(s)

    assert f(1.5 + 2j, "ö", True) == 2.5
    with pytest.raises(ValueError, match="flag"):
        f(1j, "a", False)


def test_memory_inside(rjit):
    @rjit("float64(int64)")
    def f(n):
        values = np.empty((n, 2))
        for i in range(n):
            values[i, 0] = i
            values[i, 1] = -0.5
        squares = [int(x) ** 2 for x in values[:, 0]]
        squares.append(1)
        return values.sum() + sum(squares) + np.arange(2 * n).reshape(2, n)[1].sum()

    assert f(100) == f.local(100)
    for _ in range(300):
        f(20_000)
    assert f(3) == f.local(3)
