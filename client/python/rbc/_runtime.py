"""What lowered code calls beside libm: numba's C helpers, from runtime.ll, and print.

SPDX-License-Identifier: Apache-2.0
"""

import ast
import functools
import os
import re

import llvmlite.binding as ll
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.core.imputils import Registry

from . import _exceptions

print_registry = Registry("rbc print")

_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_POINTER = _I8.as_pointer()
_DOUBLE = ir.DoubleType()
_REPR_BYTES = 40


# ---- helpers ---------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=None)
def _text():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "runtime.ll")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return re.sub(r"^(target|source_filename|; ModuleID|!llvm|attributes).*\n", "", re.sub(r" #\d+", "", text),
                  flags=re.M)


@functools.lru_cache(maxsize=None)
def _defined():
    return frozenset(re.findall(r"^define [^@]*@(\w+)\(", _text(), flags=re.M))


def module_for(names, triple, data_layout):
    """A parsed module that defines those of `names` that are ours, or None."""
    if not _defined().intersection(names):
        return None
    return ll.parse_assembly(f'target datalayout = "{data_layout}"\ntarget triple = "{triple}"\n{_text()}')


# Of numba's C helpers that are not ours: what the user asked for.
_REFUSED = (
    (r"numba_(rnd|get_np_random|get_py_random|random|poisson|binomial)|^(numba_)?(np|py)_random", "random numbers "
     "whose state lives in the interpreter; write the generator into the function, seeded by an argument, as "
     "examples/python/monte_carlo.py does"),
    (r"numba_dict|NRT_adapt|numba_unicode|numba_(hash|siphash)", "dictionaries, sets or hashes of text"),
    (r"numba_gettyperecord|PyUnicode", "Python's tables of characters, as upper() and isalpha() of text do"),
    (r"numba_(xx|ez|gesv|dgemm|cblas|raw)", "LAPACK or BLAS"),
    (r"numba_list|numba_test_list", "typed lists"),
    (r"^(Py|_Py|numba_(unpickle|recreate|raise|native|do_raise|gil))", "the Python interpreter"),
)


def refusal_of(name):
    """Why the farm cannot have this symbol, in the user's words; None: the farm decides."""
    for pattern, what in _REFUSED:
        if re.search(pattern, name):
            return f"it uses {what} ({name})"
    return None


# ---- print -----------------------------------------------------------------------------------------------------------


def _printf(context, builder, template, *values):
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_I32, [_POINTER], var_arg=True), "printf")
    builder.call(function, [context.insert_const_string(builder.module, template), *values])


def _literal(context, builder, text):
    _printf(context, builder, "%s", context.insert_const_string(builder.module, text))


def _print_double_on_device(context, builder, value, dot):
    """CUDA's printf alone has to do: whole numbers as Python prints them, others with all their digits."""
    floor = builder.module.declare_intrinsic("llvm.floor", [_DOUBLE])
    fabs = builder.module.declare_intrinsic("llvm.fabs", [_DOUBLE])
    is_whole = builder.and_(builder.fcmp_ordered("==", builder.call(floor, [value]), value),
                            builder.fcmp_ordered("<", builder.call(fabs, [value]), _DOUBLE(1e16)))
    with builder.if_else(is_whole) as (whole, other):
        with whole:
            _printf(context, builder, "%.1f" if dot else "%.0f", value)
        with other:
            _printf(context, builder, "%.17g", value)


def _print_double(context, builder, value, dot):
    if builder.module.triple.startswith("nvptx"):
        return _print_double_on_device(context, builder, value, dot)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [_POINTER, _DOUBLE, _I32]), "rbc_repr_double")
    text = cgutils.alloca_once(builder, _I8, size=_I32(_REPR_BYTES))
    builder.call(function, [text, value, _I32(dot)])
    _printf(context, builder, "%s", text)
    return text


def _print_complex(context, builder, ty, value):
    parts = context.make_complex(builder, ty, value=value)
    double = types.float64
    real = context.cast(builder, parts.real, ty.underlying_float, double)
    imag = context.cast(builder, parts.imag, ty.underlying_float, double)
    bits = builder.bitcast(real, _I64)
    with builder.if_else(builder.icmp_unsigned("==", bits, _I64(0))) as (alone, both):
        with alone:
            _print_double(context, builder, imag, 0)
            _literal(context, builder, "j")
        with both:
            _literal(context, builder, "(")
            _print_double(context, builder, real, 0)
            sign = builder.lshr(builder.bitcast(imag, _I64), _I64(63))
            is_nan = builder.fcmp_unordered("uno", imag, imag)
            plus = builder.or_(builder.icmp_unsigned("==", sign, _I64(0)), is_nan)
            with builder.if_then(plus):
                _literal(context, builder, "+")
            _print_double(context, builder, imag, 0)
            _literal(context, builder, "j)")


def _print_value(context, builder, ty, value, quoted=False):
    if isinstance(ty, types.Literal) and isinstance(ty.literal_value, (str, int, bool)):
        return _literal(context, builder, repr(ty.literal_value) if quoted else str(ty.literal_value))
    if isinstance(ty, types.NoneType):
        return _literal(context, builder, "None")
    if isinstance(ty, types.Boolean):
        texts = [context.insert_const_string(builder.module, text) for text in ("True", "False")]
        truth = builder.trunc(value, ir.IntType(1)) if value.type.width > 1 else value
        return _printf(context, builder, "%s", builder.select(truth, *texts))
    if isinstance(ty, types.Integer):
        wide = types.int64 if ty.signed else types.uint64
        return _printf(context, builder, "%lld" if ty.signed else "%llu", context.cast(builder, value, ty, wide))
    if isinstance(ty, types.Float):
        return _print_double(context, builder, context.cast(builder, value, ty, types.float64), 1)
    if isinstance(ty, types.Complex):
        return _print_complex(context, builder, ty, value)
    if isinstance(ty, types.UnicodeType):
        return _print_text(context, builder, ty, value, "'%s'" if quoted else "%s")
    if isinstance(ty, types.BaseTuple):
        _literal(context, builder, "(")
        for i, item in enumerate(ty.types):
            if i:
                _literal(context, builder, ", ")
            _print_value(context, builder, item, builder.extract_value(value, i), quoted=True)
        return _literal(context, builder, ",)" if len(ty.types) == 1 else ")")
    raise errors.UnsupportedError(f"print of a {ty}; print its numbers")


def _print_text(context, builder, ty, value, template):
    text = cgutils.create_struct_proxy(ty)(context, builder, value=value)
    convert = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_POINTER, [_POINTER, text.length.type, text.kind.type]), "rbc_text_to_utf8")
    release = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [_POINTER]), "NRT_Free")
    utf8 = builder.call(convert, [text.data, text.length, text.kind])
    _printf(context, builder, template, utf8)
    builder.call(release, [utf8])


def print_raised(context, builder, values):
    _literal(context, builder, _exceptions.RAISED_BEGIN)
    for ty, value in values:
        _literal(context, builder, "\x1fs" if isinstance(ty, types.UnicodeType) else "\x1fv")
        _print_value(context, builder, ty, value)
    _literal(context, builder, _exceptions.RAISED_END)


_KEYWORDS = "\x1brbc-print;"


def print_keywords(sep, end):
    """The constant that stands for print's keywords, before its arguments."""
    return _KEYWORDS + repr((" " if sep is None else sep, "\n" if end is None else end))


@print_registry.lower(print, types.VarArg(types.Any))
def _print(context, builder, sig, args):
    values, sep, end = list(zip(sig.args, args)), " ", "\n"
    first = values[0][0] if values else None
    if isinstance(first, types.StringLiteral) and first.literal_value.startswith(_KEYWORDS):
        sep, end = ast.literal_eval(first.literal_value[len(_KEYWORDS):])
        del values[0]
    for i, (ty, value) in enumerate(values):
        if i and sep:
            _literal(context, builder, sep)
        _print_value(context, builder, ty, value)
    if end:
        _literal(context, builder, end)
    return context.get_dummy_value()
