"""ctypes and type texts. The one file that knows the sizes of C's types on this machine.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes

_SIGNED = "bhilq"
_UNSIGNED = "BHILQ"
_FIXED = {
    "?": "bool", "f": "float32", "d": "float64", "g": "float128", "c": "char8", "z": "char8*",
    "P": "void*", "Z": f"char{ctypes.sizeof(ctypes.c_wchar) * 8}*",
}


def text_of(cls):
    """"int32" of ctypes.c_int32, "float64(int32)" of a CFUNCTYPE, "int32*" of a POINTER."""
    if cls is None:
        return "void"
    if issubclass(cls, ctypes._CFuncPtr):
        arguments = ", ".join(text_of(a) for a in (cls._argtypes_ or ()))
        return f"{text_of(cls._restype_)}({arguments})"
    if issubclass(cls, ctypes._Pointer):
        return text_of(cls._type_) + "*"
    if issubclass(cls, ctypes.Structure):
        return "{" + ", ".join(f"{text_of(field[1])} {field[0]}" for field in cls._fields_) + "}"
    if not issubclass(cls, ctypes._SimpleCData):
        raise ValueError(f"no type of a farm is like {cls!r}")
    code = cls._type_
    if code in _SIGNED:
        return f"int{ctypes.sizeof(cls) * 8}"
    if code in _UNSIGNED:
        return f"uint{ctypes.sizeof(cls) * 8}"
    if code == "u":
        return f"char{ctypes.sizeof(cls) * 8}"
    if code in _FIXED:
        return _FIXED[code]
    raise ValueError(f"no type of a farm is like {cls!r}")


_ATOMS = {
    "void": None, "bool": ctypes.c_bool, "int8": ctypes.c_int8, "int16": ctypes.c_int16, "int32": ctypes.c_int32,
    "int64": ctypes.c_int64, "uint8": ctypes.c_uint8, "uint16": ctypes.c_uint16, "uint32": ctypes.c_uint32,
    "uint64": ctypes.c_uint64, "float32": ctypes.c_float, "float64": ctypes.c_double, "float128": ctypes.c_longdouble,
    "char8": ctypes.c_char, f"char{ctypes.sizeof(ctypes.c_wchar) * 8}": ctypes.c_wchar, "string": ctypes.c_char_p,
}
_TEXTS = {ctypes.c_char: ctypes.c_char_p, ctypes.c_wchar: ctypes.c_wchar_p}  # ctypes has its own pointers to characters


def ctypes_of(description):
    """The ctypes type for what rbc._core.describe_type gives."""
    kind, _, _, _, children, text = description
    if kind == "pointer":
        inner = children[0]
        if inner[0] == "void":
            return ctypes.c_void_p
        pointed = ctypes_of(inner)
        return _TEXTS.get(pointed) or ctypes.POINTER(pointed)
    if kind == "function":
        return ctypes.CFUNCTYPE(*[ctypes_of(child) for child in children])
    if kind == "struct":
        fields = [(f"f{i}", ctypes_of(child)) for i, child in enumerate(children)]
        return type(f"Struct{len(fields)}", (ctypes.Structure,), {"_fields_": fields})
    if text in _ATOMS:
        return _ATOMS[text]
    raise ValueError(f"ctypes has no type like `{text}`")
