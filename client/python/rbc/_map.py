"""Maps: a function for each row of NumPy arrays.

SPDX-License-Identifier: Apache-2.0
"""

import numpy

from . import _core
from ._convert import dtype_text
from ._errors import InvalidArgument, NoMatch
from .typesystem import Type

_KINDS = {"bool": "?", "int": "i", "uint": "u", "float": "f", "complex": "c"}


def _dtype_of(text):
    kind, bits, _, _, _, _ = _core.describe_type(text)
    if kind not in _KINDS or bits not in (0, 8, 16, 32, 64, 128):
        raise InvalidArgument(f"`{text}` cannot be a column of a map; numbers and bool can")
    return numpy.dtype("?" if kind == "bool" else f"{_KINDS[kind]}{bits // 8}")


def run(caller, columns):
    arrays = [column if isinstance(column, numpy.ndarray) and column.ndim else None for column in columns]
    lengths = {array.shape for array in arrays if array is not None}
    if not lengths:
        raise InvalidArgument("a map needs at least one array; call the function instead")
    if len(lengths) > 1:
        raise InvalidArgument(f"the arrays of a map are of one shape; these are {', '.join(map(str, sorted(lengths)))}")
    shape = lengths.pop()
    index = _signature(caller, columns, arrays)
    signature = Type.fromstring(caller._signature_texts()[index])
    given, rows = [], int(numpy.prod(shape))
    for column, array, parameter in zip(columns, arrays, signature[1]):
        dtype = _dtype_of(parameter.tostring())
        if array is None:
            value = numpy.asarray(column, dtype=dtype)
            given.append((parameter.tostring(), value.reshape(1), 0))
        else:
            given.append((parameter.tostring(), numpy.ascontiguousarray(array, dtype=dtype).reshape(rows), dtype.itemsize))
    caller._prepare_if_needed(index)
    result = caller._get(index).map(rows, given)
    if result["output"]:
        caller._print(result["output"])
    if result["status"] != 0:
        error = caller._exception(result["status"], index)
        error.rbc_row = result["row"]
        if hasattr(error, "add_note"):
            error.add_note(f"row {result['row']} of the map")
        raise error
    if signature[0].is_void:
        return None
    return numpy.frombuffer(result["data"], dtype=_dtype_of(signature[0].tostring())).reshape(shape).copy()


def _signature(caller, columns, arrays):
    """The signature with the lowest penalty that narrows no column."""
    types = [Type.fromvalue(column) if array is None else Type.fromstring(dtype_text(array.dtype))
             for column, array in zip(columns, arrays)]
    if caller._infers:
        for i, text in enumerate(caller._signature_texts()):
            if list(Type.fromstring(text)[1]) == types:
                return i
        values = [column if array is None else array.dtype.type(array.flat[0] if array.size else 0)
                  for column, array in zip(columns, arrays)]
        return caller._infer(tuple(values))
    best = None
    for i, text in enumerate(caller._signature_texts()):
        parameters = Type.fromstring(text)[1]
        if len(parameters) != len(types):
            continue
        total = 0
        for parameter, given, array in zip(parameters, types, arrays):
            penalty = parameter.match(given)
            if penalty is None or (array is not None and 0 < penalty < 1000):
                break  # another sign or fewer bits: some row may not fit
            total += penalty
        else:
            if best is None or total < best[0]:
                best = (total, i)
    if best is None:
        raise NoMatch(f"could not find matching function to given argument types: `{', '.join(map(str, types))}`")
    return best[1]
