"""Types as Python values: parsed, printed, mangled and matched by the farm's own type system.

SPDX-License-Identifier: Apache-2.0
"""

import __future__
import ctypes
import functools
import inspect
import sys

from . import _core, _ctypes_types, _fields
from ._convert import dtype_text

__all__ = ["Type"]

_KNOWN = "give text such as 'float64(float64)', or a type of Python, NumPy, ctypes or numba"
_PYTHON_TYPES = {
    int: "int64", float: "float64", complex: "complex128", str: "string", bytes: "char8*", bool: "bool",
    type(None): "void", None: "void",
}


class Type(tuple):
    """A type.

    Type()                     void
    Type('int32')              an atom, by any of its spellings
    Type(T, '*')               a pointer to T
    Type(T1, T2, ...)          a struct
    Type(R, (P1, P2, ...))     a function with result R
    Type(T, '[:,:]')           an array of T; Type(T, '[:,::1]') one whose elements lie side by side in C order

    Equal types are equal tuples. A C-style name (of a function or its parameters) is kept beside the tuple, in `.name`.
    """

    name = ""
    _normal = None

    def __new__(cls, *parts, name=""):
        if len(parts) == 1 and isinstance(parts[0], str):
            parts = _atom(parts[0])
        self = tuple.__new__(cls, parts)
        if name:
            self.name = name
        if not self._is_well_formed():
            raise ValueError(f"Type{parts!r} is no type; see help(rbc.typesystem.Type)")
        return self

    def _is_well_formed(self):
        if not self:
            return True
        if isinstance(self[0], str):
            return len(self) == 1
        if not isinstance(self[0], Type):
            return False
        if len(self) == 2 and isinstance(self[1], tuple) and not isinstance(self[1], Type):
            return all(isinstance(part, Type) for part in self[1])
        if len(self) == 2 and isinstance(self[1], str):
            return self[1] == "*" or (self[1].startswith("[") and self[1].endswith("]"))
        return all(isinstance(part, Type) for part in self)

    # ---- made from something -------------------------------------------------------------------------------------

    @classmethod
    def _described(cls, description):
        kind, _, rank, name, children, text = description
        parts = [cls._described(child) for child in children]
        if kind == "void":
            return cls(name=name)
        if kind == "pointer":
            return cls(parts[0], "*", name=name)
        if kind == "struct":
            return cls(*parts, name=name)
        if kind == "function":
            return cls(parts[0], tuple(parts[1:]), name=name)
        if kind == "array":
            return cls(parts[0], text[text.rindex("["):], name=name)
        return cls(text, name=name)

    @classmethod
    def fromstring(cls, text):
        """Of a text such as 'f64(f64, i32*)'. ValueError: it is malformed."""
        return cls._described(_core.describe_type(text))

    @classmethod
    def fromobject(cls, obj):
        """Of anything that names a type: a Type, text, a Python, NumPy, ctypes or numba type, tuple[...] of such, a
        dataclass or NamedTuple, an annotated function."""
        if isinstance(obj, Type):
            return obj
        if isinstance(obj, str):
            return cls.fromstring(obj)
        try:
            if obj in _PYTHON_TYPES:
                return cls.fromstring(_PYTHON_TYPES[obj])
        except TypeError:
            pass  # not hashable
        if isinstance(obj, type) and issubclass(
                obj, (ctypes._SimpleCData, ctypes._CFuncPtr, ctypes._Pointer, ctypes.Structure)):
            return cls.fromctypes(obj)
        if getattr(obj, "__origin__", None) is tuple and obj.__args__ and ... not in obj.__args__:
            return cls(*[cls.fromobject(member) for member in obj.__args__])
        fields = _fields.fields_of(obj)
        if fields is not None:
            return cls._of_fields(obj, fields)
        numpy_type = _numpy_type(obj)
        if numpy_type is not None:
            return cls.fromstring(numpy_type)
        if type(obj).__module__.split(".")[0] == "numba":
            return cls.fromnumba(obj)
        if inspect.isfunction(obj):
            return cls.fromcallable(obj)
        raise ValueError(f"no type of a farm is like {obj!r}; {_KNOWN}")

    @classmethod
    def fromvalue(cls, value):
        """Of a value: 1 is int64, 1.5 float64, 1j complex128, 'a' string, b'a' char8*, numpy.float32(1) float32."""
        if isinstance(value, bool):
            return cls.fromstring("bool")
        numpy = sys.modules.get("numpy")
        if numpy is not None:
            if isinstance(value, numpy.ndarray):
                if not value.ndim:
                    return cls.fromstring(dtype_text(value.dtype))
                return cls.fromstring(dtype_text(value.dtype) + "[" + ",".join(":" * value.ndim) + "]")
            if hasattr(type(value), "buffer_id"):  # an array of a farm
                return cls.fromstring(dtype_text(value.dtype) + "[" + ",".join(":" * max(value.ndim, 1)) + "]")
            if isinstance(value, numpy.void):
                return cls.fromobject(value.dtype)
            if isinstance(value, numpy.generic) and not isinstance(value, (str, bytes)):
                return cls.fromstring(dtype_text(value.dtype))
        for python, text in ((int, "int64"), (float, "float64"), (complex, "complex128"), (str, "string"),
                             (bytes, "char8*"), (bytearray, "char8*")):
            if isinstance(value, python):
                if python is int and not -2**63 <= value < 2**63:
                    text = "uint64" if 0 <= value < 2**64 else "int128" if -2**127 <= value < 2**127 else "uint128"
                return cls.fromstring(text)
        if value is None:
            return cls.fromstring("void*")
        if isinstance(value, (ctypes._SimpleCData, ctypes._Pointer, ctypes.Structure)):
            return cls.fromctypes(type(value))
        if isinstance(value, (tuple, list)):
            return cls(*[cls.fromvalue(item) for item in value])
        if hasattr(type(value), "__dataclass_fields__"):
            return cls(*[cls.fromvalue(getattr(value, name)) for name in type(value).__dataclass_fields__])
        if callable(value):
            return cls.fromcallable(value)
        raise ValueError(f"no type of a farm is like the value {value!r}; give numbers, text, bytes, tuples, dataclasses or "
                         "arrays of numbers")

    @classmethod
    def fromcallable(cls, func):
        """Of a function whose parameters are all annotated; the names are kept. Without an annotation of its result it
        has none: void."""
        signature = inspect.signature(func)
        if func.__name__ == "<lambda>":
            raise ValueError("a lambda has no annotations to take a type from; write a def, or give its signature")
        parameters = []
        for parameter in signature.parameters.values():
            if parameter.kind not in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
                raise ValueError(f"parameter '{parameter.name}' of {func.__name__} has no place in a signature; "
                                 "functions of a farm have a fixed number of positional parameters")
            if parameter.annotation is inspect.Parameter.empty:
                raise ValueError(f"parameter '{parameter.name}' of {func.__name__} has no annotation")
            type_ = cls._annotation(parameter.annotation, func, f"parameter '{parameter.name}'")
            parameters.append(type_.renamed(parameter.name))
        result = cls()
        if signature.return_annotation is not inspect.Signature.empty:
            result = cls._annotation(signature.return_annotation, func, "the result")
        return cls(result, tuple(parameters), name=func.__name__)

    @classmethod
    def _annotation(cls, annotation, func, whose):
        try:
            return cls.fromobject(_named_by(annotation, func) if isinstance(annotation, str) else annotation)
        except ValueError as error:
            raise ValueError(f"the annotation of {whose} of {func.__name__}: {error}") from None

    @classmethod
    def _of_fields(cls, owner, fields):
        members = []
        for name, annotation in fields:
            try:
                members.append(cls.fromobject(annotation).renamed(name))
            except RecursionError:
                raise ValueError(f"{owner.__name__} holds itself, in its field '{name}'") from None
            except ValueError as error:
                raise ValueError(f"field '{name}' of {owner.__name__}: {error}") from None
        return cls(*members)

    @classmethod
    def fromctypes(cls, ctypes_type):
        return cls.fromstring(_ctypes_types.text_of(ctypes_type))

    @classmethod
    def fromnumba(cls, numba_type):
        from . import _numba_types

        return cls.fromstring(_numba_types.text_of(numba_type))

    @classmethod
    def demangle(cls, text):
        return cls.fromstring(_core.demangle_type(text))

    # ---- turned into something -----------------------------------------------------------------------------------

    def tostring(self):
        """The normal form without names: 'float64(float64, int32*)'."""
        if self._normal is None:
            self._normal = _core.normalize_type(self._text())
        return self._normal

    def _text(self):
        if self.is_void:
            return "void"
        if self.is_atomic:
            return self[0]
        if self.is_pointer or self.is_array:
            return self[0]._text() + self[1]
        if self.is_function:
            return f"{self[0]._text()}({', '.join(p._text() for p in self[1])})"
        return "{" + ", ".join(member._text() for member in self) + "}"

    def declaration(self):
        """With the names: 'int64 add(int64 a, int64 b)'."""
        suffix = f" {self.name}" if self.name else ""
        if self.is_function:
            return f"{self[0]._with_names()}{suffix}({', '.join(p.declaration() for p in self[1])})"
        return self._with_names() + suffix

    def _with_names(self):
        """With those of what it is made of, and not its own."""
        if self.is_struct:
            return "{" + ", ".join(member.declaration() for member in self) + "}"
        if self.is_pointer or self.is_array:
            return self[0]._with_names() + self[1]
        return self.tostring()

    def mangle(self):
        return _core.mangle_type(self._text())

    def tonumba(self):
        from . import _numba_types

        return _numba_types.type_of(self._description())

    def toctypes(self):
        return _ctypes_types.ctypes_of(self._description())

    def match(self, argument):
        """The penalty for passing `argument` (a Type or what names one) to a parameter of this type; None: no match. Of
        a function type: for passing a tuple of types to its parameters."""
        if self.is_function and isinstance(argument, tuple) and not isinstance(argument, Type):
            if len(argument) != len(self[1]):
                return None
            penalties = [parameter.match(given) for parameter, given in zip(self[1], argument)]
            return None if None in penalties else sum(penalties)
        return _core.penalty(self._text(), Type.fromobject(argument)._text())

    def renamed(self, name):
        return Type(*self, name=name)

    def _description(self):
        return _core.describe_type(self._text())

    # ---- what it is ----------------------------------------------------------------------------------------------

    @property
    def is_void(self):
        return len(self) == 0

    @property
    def is_atomic(self):
        return len(self) == 1 and isinstance(self[0], str)

    @property
    def is_pointer(self):
        return len(self) == 2 and self[1] == "*"

    @property
    def is_array(self):
        return len(self) == 2 and isinstance(self[1], str) and self[1] != "*"

    @property
    def is_function(self):
        return len(self) == 2 and isinstance(self[1], tuple) and not isinstance(self[1], Type)

    @property
    def is_struct(self):
        return len(self) > 0 and all(isinstance(part, Type) for part in self)

    def _is_kind(self, *kinds):
        return self.is_atomic and self._description()[0] in kinds

    @property
    def is_bool(self):
        return self._is_kind("bool")

    @property
    def is_char(self):
        return self._is_kind("char")

    @property
    def is_int(self):
        return self._is_kind("int")

    @property
    def is_uint(self):
        return self._is_kind("uint")

    @property
    def is_float(self):
        return self._is_kind("float")

    @property
    def is_complex(self):
        return self._is_kind("complex")

    @property
    def is_string(self):
        return self._is_kind("string")

    @property
    def is_unknown(self):
        return self._is_kind("unknown")

    @property
    def is_complete(self):
        """No unknown atom in it."""
        if self.is_atomic:
            return not self.is_unknown
        parts = (self[0], *self[1]) if self.is_function else tuple(p for p in self if isinstance(p, Type))
        return all(part.is_complete for part in parts)

    @property
    def bits(self):
        return self._description()[1]

    @property
    def arity(self):
        """Of a function: its number of parameters."""
        return len(self[1])

    def __str__(self):
        return self.tostring()

    def __repr__(self):
        return f"Type.fromstring({self.declaration()!r})"

    def __reduce__(self):
        return Type.fromstring, (self.declaration(),)

    __hash__ = tuple.__hash__

    def __eq__(self, other):
        if isinstance(other, str):
            try:
                other = Type.fromstring(other)
            except ValueError:
                return False
        return tuple.__eq__(self, other)

    def __ne__(self, other):
        return not self == other


@functools.lru_cache(maxsize=4096)
def _atom(text):
    """The parts of a Type by one of its spellings."""
    kind, _, _, _, _, normal = _core.describe_type(text)
    if kind in ("pointer", "struct", "function", "array"):
        raise ValueError(f"Type({text!r}) is no atom; Type.fromstring({text!r}) reads it")
    return () if kind == "void" else (normal,)


def _named_by(text, func):
    """What an annotation that is text means: under `from __future__ import annotations` a Python expression, else a type
    text, or a Python expression where the farm knows none of that spelling."""
    code = getattr(func, "__code__", None)
    is_type = not (code is not None and code.co_flags & __future__.annotations.compiler_flag)
    if is_type:
        try:
            if Type.fromstring(text).is_complete:
                return text
        except ValueError:
            pass
    try:
        return eval(text, getattr(func, "__globals__", {}))
    except Exception:
        return text


def _numpy_type(obj):
    numpy = sys.modules.get("numpy")
    if numpy is None:
        return None
    if isinstance(obj, type) and issubclass(obj, numpy.generic):
        try:
            made = numpy.dtype(obj)
            return dtype_text(made) if made.type is obj else None  # older NumPy makes numpy.number a float64
        except TypeError:  # an abstract one
            return None
    if isinstance(obj, numpy.dtype):
        if obj.names:
            return "{" + ", ".join(_numpy_type(obj[name]) + (f" {name}" if _fields.is_name(name) else "")
                                   for name in obj.names) + "}"
        return dtype_text(obj)
    return None
