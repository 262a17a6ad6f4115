"""rbc.typesystem.Type: tuples that name types.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes
import pickle
import typing

import numpy as np
import pytest

import rbc
from rbc.typesystem import Type

of = Type.fromstring


def test_fromstring():
    assert of("void") == of("none") == of("") == of("  ") == Type()
    assert of("i") == of("int") == Type("int32") and of(" i64 ") == Type("int64")
    assert of("i*") == Type(Type("int32"), "*")
    assert of("*") == of("void*") == Type(Type(), "*") and of("void**") == Type(Type(Type(), "*"), "*")
    assert of("{i, d}") == Type(Type("int32"), Type("float64")) and of("{i}") == Type(Type("int32"))
    assert of("()") == Type(Type(), ()) and of("f()") == of(" f ( void ) ") == Type(Type("float32"), ())
    assert of("f(d)(f(d,d))") == Type(
        Type(Type("float32"), (Type("float64"),)), (Type(Type("float32"), (Type("float64"), Type("float64"))),))
    assert of("{i, f(d, {i}*)}*").tostring() == "{int32, float32(float64, {int32}*)}*"
    assert of("float64[:]") == of("d[ : ]") == Type(Type("float64"), "[:]")
    assert of("double[]") == of("d[::1]") == Type(Type("float64"), "[::1]") != of("d[:]")
    assert of("d[:,:]") == Type(Type("float64"), "[:,:]") and of("foo") == Type("foo")
    assert Type("i") == Type("int") == Type("int32") and Type("double") == of("d") and Type("void") == Type() == Type("")
    assert of("int5") == Type("int5") and of("unsigned long long") == Type("uint64")
    for text in ("a)", "(", "{i", "i}", "f(i", "f)i(", "i,j", "[", "d[:", "{void}", "f(void, i)"):
        with pytest.raises(ValueError):
            of(text)


@pytest.mark.parametrize("text, wanted", [
    ("c", "complex64"), ("complex", "complex64"), ("d", "float64"), ("double", "float64"), ("float", "float32"),
    ("byte", "int8"), ("ubyte", "uint8"), ("uchar", "uint8"), ("short", "int16"), ("long", "int64"),
    ("size_t", "uint64"), ("ssize_t", "int64"), ("char", "char8"), ("wchar", "char32"), ("str", "string"),
    ("_Bool", "bool"), ("longlong", "int64"), ("ulonglong", "uint64"), ("b", "bool"), ("uint", "uint32"), ("long double", "float128"), ("int32_t", "int32")])
def test_spellings(text, wanted):
    assert of(text).tostring() == wanted and of(of(text).tostring()) == of(text)


def test_names_stay_beside_the_type():
    named = of("int64 add(int64 a, float64 b)")
    assert named == of("int64(int64, float64)") and named.name == "add"
    assert [p.name for p in named[1]] == ["a", "b"]
    assert named.declaration() == "int64 add(int64 a, float64 b)" and str(named) == "int64(int64, float64)"


def test_kinds():
    def kinds(text):
        t = of(text)
        return {name for name in dir(Type) if name.startswith("is_") and getattr(t, name)}

    assert kinds("void") == {"is_void", "is_complete"}
    assert kinds("i") == {"is_atomic", "is_int", "is_complete"} and kinds("u8") == {"is_atomic", "is_uint", "is_complete"}
    assert kinds("d") == {"is_atomic", "is_float", "is_complete"}
    assert kinds("c128") == {"is_atomic", "is_complex", "is_complete"}
    assert kinds("bool") == {"is_atomic", "is_bool", "is_complete"}
    assert kinds("char") == {"is_atomic", "is_char", "is_complete"}
    assert kinds("str") == {"is_atomic", "is_string", "is_complete"}
    assert kinds("foo") == {"is_atomic", "is_unknown"} and kinds("foo*") == {"is_pointer"}
    assert kinds("{i, d}") == {"is_struct", "is_complete"} and kinds("{i}") == {"is_struct", "is_complete"}
    assert kinds("i(d)") == {"is_function", "is_complete"} and kinds("i()") == {"is_function", "is_complete"}
    assert kinds("d[:]") == {"is_array", "is_complete"} and of("i(d, d)").arity == 2 and of("i16").bits == 16


def test_fromobject():
    assert Type.fromobject(int) == "int64" and Type.fromobject(float) == "float64"
    assert Type.fromobject(complex) == "complex128" and Type.fromobject(str) == "string"
    assert Type.fromobject(bytes) == "char8*" and Type.fromobject(bool) == "bool" and Type.fromobject(None) == "void"
    assert Type.fromobject("int") == "int32" and Type.fromobject(of("d")) == "float64"
    assert Type.fromobject(np.float32) == "float32" and Type.fromobject(np.dtype("u2")) == "uint16"
    assert Type.fromobject(np.dtype([("a", "i4"), ("b", "f8")])) == "{int32, float64}"
    assert Type.fromobject(np.dtype(">i4")) == "int32"
    assert Type.fromobject(tuple[int, np.float32]) == Type.fromobject(typing.Tuple[int, np.float32]) == "{int64, float32}"
    for unknown in (object(), 3, b"", list, tuple, tuple[int, ...], np.ndarray, np.number, np.void, np.dtype("U3"),
                    np.dtype("M8[s]"), np.dtype(("f8", (2,)))):
        with pytest.raises(ValueError, match="no type of a farm is like"):
            Type.fromobject(unknown)


def test_fromvalue():
    for value, text in ((1, "int64"), (2**63, "uint64"), (-2**64, "int128"), (True, "bool"), (1.5, "float64"),
                        (1j, "complex128"), ("a", "string"), (b"a", "char8*"), (np.float32(1), "float32"),
                        (np.int8(1), "int8"), (np.bool_(True), "bool"), (np.complex64(1), "complex64"),
                        ((1, 2.5), "{int64, float64}"), (ctypes.c_uint16(1), "uint16"),
                        (np.str_("a"), "string"), (np.bytes_(b"a"), "char8*"), (bytearray(b"a"), "char8*"),
                        (ctypes.c_char_p(b"a"), "char8*"), (ctypes.pointer(ctypes.c_int(1)), "int32*"),
                        (np.zeros((2, 3), np.int32), "int32[:,:]"), (None, "void*")):
        assert Type.fromvalue(value) == text, value
    for unknown in ({}, range(3), np.datetime64("now"), np.array(["a"]), np.array([None])):
        with pytest.raises(ValueError, match="no type of a farm is like"):
            Type.fromvalue(unknown)


def test_fromcallable():
    def typed(a: int, b: "float", c: np.uint8) -> complex:
        pass

    assert Type.fromcallable(typed).declaration() == "complex128 typed(int64 a, float32 b, uint8 c)"

    def half(a: int, b) -> int:
        pass

    with pytest.raises(ValueError, match="'b'"):
        Type.fromcallable(half)
    def without_result(a: "int", b: "np.float32", c: "typing.Tuple[int, float]"):
        pass

    assert Type.fromcallable(without_result) == "void(int32, float32, {int64, float64})"
    with pytest.raises(ValueError, match="lambda"):
        Type.fromcallable(lambda: 5)

    def several(*args: int) -> int:
        pass

    def keyword(*, key: int) -> int:
        pass

    for function in (several, keyword):
        with pytest.raises(ValueError, match="fixed number of positional parameters"):
            Type.fromcallable(function)

    def odd(a: int, b: list) -> int:
        pass

    with pytest.raises(ValueError, match="parameter 'b' of odd: no type of a farm is like <class 'list'>"):
        Type.fromcallable(odd)


def test_annotations_that_the_future_makes_text():
    space = {"np": np}
    exec("from __future__ import annotations\n"
         "def f(a: int, b: float, c: np.int8) -> tuple[int, np.complex64]: pass", space)
    assert Type.fromcallable(space["f"]) == "{int64, complex64}(int64, float64, int8)"


ATOMS = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float32", "float64"]


@pytest.mark.parametrize("text", ATOMS + ["complex64", "complex128", "string", "void", "int32*", "float64(int32, int64)",
                                          "{int32, float64}", "float64[:]", "float32[:,:]", "void*"])
def test_numba_and_back(text):
    assert Type.fromnumba(of(text).tonumba()) == of(text)


@pytest.mark.parametrize("text", ATOMS + ["float128", "char8", "char8*", "char32*", "void", "void*", "int32*",
                                          "float64(int32, int64)", "void()", "{int32, float64*}"])
def test_ctypes_and_back(text):
    assert Type.fromctypes(of(text).toctypes()) == of(text)


def test_characters_of_ctypes():
    assert of("char*").toctypes() is of("string").toctypes() is ctypes.c_char_p
    assert of("wchar*").toctypes() is ctypes.c_wchar_p
    assert Type.fromctypes(ctypes.c_char_p) == "char*"  # which is bytes in Python
    with pytest.raises(ValueError, match="complex128"):
        of("complex128").toctypes()


def test_mangling():
    assert of("int64(int64,int64)").mangle() == "_lallA" and of("{i,d}").mangle() == "_idK"
    assert of("foo").mangle() == "V3Vfoo" and of("f64()").mangle() == "_davA"
    for text in ("i", "void*", "{i, {d, foo}}*", "i(d*, {i}, f(d))", "d[:,:]", "i5", "()", "string(char8*)"):
        assert Type.demangle(of(text).mangle()) == of(text)
    for text in ("", "_", "_ia", "V3Vfo", "?", "_i", "ii"):
        with pytest.raises(rbc.Error):
            Type.demangle(text)


def test_match():
    def penalty(parameter, argument):
        return of(parameter).match(of(argument))

    assert penalty("i64", "i32") == 0 == penalty("i32", "i32") and penalty("i32", "i64") == 32
    assert penalty("u32", "i32") == 10 and penalty("f64", "i32") == 1000 == penalty("c128", "f32")
    assert penalty("i32", "f64") is None and penalty("f64", "c64") is None and penalty("string", "i32") is None
    assert of("f(i64, d)").match((of("i32"), of("i32"))) == 1000 and of("f(i64)").match((of("d"),)) is None


def test_values_of_types():
    t = of("int32 f(float64 x)")
    again = pickle.loads(pickle.dumps(t))
    assert again == t and again.declaration() == t.declaration() and hash(again) == hash(t)
    assert eval(repr(t)) == t and isinstance(t, tuple) and t == "i32(f64)" and t != "i32(f32)"
    for text in ("i*", "{i}", "i(i)", "d[:]"):
        with pytest.raises(ValueError, match="fromstring"):
            Type(text)
    with pytest.raises(ValueError):
        Type(1)
    with pytest.raises(ValueError):
        Type("int32", "int32")
