"""How objects of classes that Python itself does not know become arguments; asked once a class by rbc._core.

SPDX-License-Identifier: Apache-2.0
"""

import ctypes
import dataclasses
import sys

from . import _ctypes_types


def rule_of(cls):
    """(rule, type text): "item" calls .item(), "value" takes .value, "character" asks code_of, "fields" asks fields_of,
    "array" lends memory with its shape, "resident" is a rbc.DeviceArray, "queued" what a step of a queue makes, "foreign" asks array_of, "" leaves it to Python's
    own protocols."""
    if issubclass(cls, ctypes._SimpleCData):
        text = _ctypes_types.text_of(cls)
        return ("character" if text.startswith("char") and text[-1] != "*" else "value", text)
    if dataclasses.is_dataclass(cls) or issubclass(cls, ctypes.Structure):
        return "fields", ""
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if issubclass(cls, numpy.void):
            return "item", ""
        if issubclass(cls, numpy.generic):
            return _numpy_scalar(numpy, cls)
        if issubclass(cls, numpy.ndarray):
            from ._interchange import is_masked

            return "foreign" if is_masked(cls) else "array", ""
    buffers = sys.modules.get("rbc.buffers")
    if buffers is not None and issubclass(cls, buffers.DeviceArray):
        return "resident", ""
    queue = sys.modules.get("rbc.queue")
    if queue is not None and issubclass(cls, queue.Queued):
        return "queued", ""
    if "pyarrow" in sys.modules or any(hasattr(cls, way) for way in ("__dlpack__", "__arrow_c_array__", "__array__")):
        from ._interchange import is_foreign

        if is_foreign(cls):
            return "foreign", ""
    return "", ""


def array_of(value):
    """Another library's array as NumPy's, for rbc._core to lend."""
    from ._interchange import to_numpy

    return to_numpy(value)


def _numpy_scalar(numpy, cls):
    dtype = numpy.dtype(cls)
    if dtype.kind in "biufc":
        return "item", dtype_text(dtype)
    if dtype.kind in "US":
        return "item", ""
    raise TypeError(f"a {cls.__name__} cannot be an argument; convert it to a number first")


def dtype_text(dtype):
    """"int32" of numpy.dtype('int32')."""
    if dtype.kind == "b":
        return "bool"
    name = {"i": "int", "u": "uint", "f": "float", "c": "complex"}.get(dtype.kind)
    if name is None:
        raise ValueError(f"no type of a farm is like NumPy's {dtype}; numbers and bool have one")
    return f"{name}{dtype.itemsize * 8}"


def code_of(character):
    value = character.value
    return value[0] if isinstance(value, bytes) else ord(value)


def fields_of(record):
    """The members of a dataclass or a ctypes structure, in order."""
    if dataclasses.is_dataclass(record):
        return tuple(getattr(record, field.name) for field in dataclasses.fields(record))
    return tuple(getattr(record, name) for name, *_ in record._fields_)
