"""numba's types and type texts.

SPDX-License-Identifier: Apache-2.0
"""

from numba.core import types
from numba.core.typing.templates import Signature

from . import _core, _fields
from ._errors import TypingError

_ATOMS = {
    "void": types.none, "bool": types.boolean, "int8": types.int8, "int16": types.int16, "int32": types.int32,
    "int64": types.int64, "uint8": types.uint8, "uint16": types.uint16, "uint32": types.uint32,
    "uint64": types.uint64, "float32": types.float32, "float64": types.float64, "complex64": types.complex64,
    "complex128": types.complex128, "char8": types.uint8, "char16": types.uint16, "char32": types.uint32,
    "string": types.unicode_type,
}


BYTES = "char8*"  # what bytes are as a result


def type_of(description):
    """numba's type for what rbc._core.describe_type gives. A struct whose members have names is a named tuple, but as a
    result, which may be made as any tuple."""
    kind, _, rank, _, children, text = description
    if kind == "function":
        return type_of(_core.describe_type(children[0][5]))(*[type_of(child) for child in children[1:]])
    if kind == "pointer":
        return types.voidptr if children[0][0] == "void" else types.CPointer(type_of(children[0]))
    if kind == "struct":
        named = _fields.named_tuple(tuple(child[3] for child in children))
        return types.BaseTuple.from_types([type_of(child) for child in children], named)
    if kind == "array":
        return types.Array(type_of(children[0]), rank, "C" if text.endswith("::1]") else "A")
    if text in _ATOMS:
        return _ATOMS[text]
    raise TypingError(f"numba has no type like `{text}`; choose one that it has, or bring the IR yourself")


def text_of(numba_type):
    """The text of a numba type or signature. ValueError: there is none."""
    if isinstance(numba_type, Signature):
        return f"{text_of(numba_type.return_type)}({', '.join(text_of(a) for a in numba_type.args)})"
    numba_type = types.unliteral(numba_type)
    if isinstance(numba_type, (types.NoneType,)) or numba_type == types.void:
        return "void"
    if isinstance(numba_type, types.Boolean):
        return "bool"
    if isinstance(numba_type, types.Integer):
        return f"{'int' if numba_type.signed else 'uint'}{numba_type.bitwidth}"
    if isinstance(numba_type, types.Float):
        return f"float{numba_type.bitwidth}"
    if isinstance(numba_type, types.Complex):
        return f"complex{numba_type.bitwidth}"
    if isinstance(numba_type, types.UnicodeType):
        return "string"
    if isinstance(numba_type, types.Optional):
        return text_of(numba_type.type)
    if isinstance(numba_type, types.CPointer):
        return text_of(numba_type.dtype) + "*"
    if numba_type == types.voidptr:
        return "void*"
    if isinstance(numba_type, types.BaseTuple):
        return "{" + ", ".join(text_of(t) for t in numba_type.types) + "}"
    if isinstance(numba_type, types.Bytes):
        return BYTES
    if isinstance(numba_type, types.Array):
        last = "::1" if numba_type.layout == "C" else ":"
        return text_of(numba_type.dtype) + "[" + ",".join([":"] * (numba_type.ndim - 1) + [last]) + "]"
    if isinstance(numba_type, types.FunctionType):
        return text_of(numba_type.signature)
    raise ValueError(f"no type of a farm is like numba's {numba_type}; numbers, text, tuples and NumPy arrays can travel")
