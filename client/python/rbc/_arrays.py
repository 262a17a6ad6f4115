"""Functions of numbers over arrays, by NumPy's rules: f(x, y, out=, where=), f.reduce, f.accumulate.

SPDX-License-Identifier: Apache-2.0
"""

import numbers

import numpy

from ._convert import dtype_text
from ._dtypes import dtype_of
from ._errors import InvalidArgument, NoMatch
from .buffers import DeviceArray, empty
from .typesystem import Type

_WIDENS = 1000  # penalties from here on: to a kind that holds more; below: some values may not fit
_MISMATCH = "could not find matching function to given argument types: `{}`"


# ---- types -----------------------------------------------------------------------------------------------------------


def _penalty(parameter, value):
    """How badly a parameter takes the elements of an array, or a number; None: not at all. Arrays are never narrowed.
    Python's own numbers have no width: they take that of the arrays, as in NumPy."""
    wanted = dtype_of(parameter)
    if wanted is None or wanted.kind == "V":
        return None
    if isinstance(value, numbers.Number) and not isinstance(value, numpy.generic):
        return _penalty_of_number(wanted, value)
    given = value.dtype
    if given == wanted:
        return 0
    penalty = parameter.match(Type.fromstring(dtype_text(given)))
    if penalty is None or 0 < penalty < _WIDENS:
        return _WIDENS if numpy.can_cast(given, wanted, "safe") else None
    return penalty + 1


_RANKS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}


def _penalty_of_number(wanted, value):
    rank = 0 if isinstance(value, bool) else 1 if isinstance(value, int) else 3 if isinstance(value, complex) else 2
    if rank == 1 and wanted.kind in "iu":
        limits = numpy.iinfo(wanted)
        return 0 if limits.min <= value <= limits.max else None
    distance = _RANKS[wanted.kind] - rank
    return None if distance < 0 else distance * _WIDENS


def choose(caller, values):
    """The number of the signature that takes these arrays and numbers."""
    if caller._infers:
        given = [Type.fromvalue(value) if isinstance(value, numbers.Number) else Type.fromstring(dtype_text(value.dtype))
                 for value in values]
        for i, signature in enumerate(caller._signatures):
            if list(signature[1]) == given:
                return i
        return caller._infer(tuple(value if isinstance(value, numbers.Number) else value.dtype.type(0) for value in values))
    best = None
    for i, signature in enumerate(caller._signatures):
        if len(signature[1]) != len(values):
            continue
        penalties = [_penalty(parameter, value) for parameter, value in zip(signature[1], values)]
        if None not in penalties and (best is None or sum(penalties) < best[0]):
            best = sum(penalties), i
    if best is None:
        raise NoMatch(_MISMATCH.format(", ".join(_described(value) for value in values)))
    return best[1]


def _described(value):
    return str(Type.fromvalue(value)) if isinstance(value, numbers.Number) else dtype_text(value.dtype)


# ---- arguments -------------------------------------------------------------------------------------------------------


def takes(caller, args):
    """Whether these arguments, which no signature takes as they are, are arrays for a function of numbers."""
    if caller._infers or not any(isinstance(arg, (numpy.ndarray, DeviceArray, list)) for arg in args):
        return False
    return any(all(dtype_of(parameter) is not None and not parameter.is_struct for parameter in signature[1])
               for signature in caller._signatures)


def _value(arg):
    """An array, or a number as it is."""
    if isinstance(arg, numbers.Number):
        return arg
    array = numpy.asarray(arg)
    if array.dtype.kind not in "biufc" or array.dtype == numpy.longdouble or array.dtype == numpy.clongdouble:
        raise InvalidArgument(f"an array of {array.dtype} cannot be an argument; numbers and bool can")
    return array


def call(caller, args, out=None, where=True, **others):
    """The function for each element of arrays that stretch to one shape."""
    if others:
        raise TypeError(f"{caller.__name__}() got an unexpected keyword argument '{next(iter(others))}'")
    if where is True and any(isinstance(arg, DeviceArray) for arg in args):
        there = _resident(caller, args, out)
        if there is not None:
            return there
    values = [_value(arg) for arg in args]
    if not any(isinstance(value, numpy.ndarray) for value in values):
        raise InvalidArgument("a map needs at least one array; call the function instead")
    index = choose(caller, values)
    signature = caller._signatures[index]
    columns = [numpy.asarray(value, dtype=dtype_of(parameter)) for value, parameter in zip(values, signature[1])]
    mask = None if where is True else numpy.asarray(where)
    if mask is not None and mask.dtype != bool:
        raise TypeError(f"where is an array of {mask.dtype}; give bool")
    outs = _outs(out, signature[0])
    shape = _shape(columns, mask, outs)
    flat = _run(caller, index, shape, columns, mask)
    if flat is None:
        return None
    stays = any(isinstance(arg, DeviceArray) for arg in args)
    is_scalar = all(column.ndim == 0 for column in columns) and mask is None and not stays
    arrays = [_deliver(part, shape, mask, outs[i] if outs is not None else None, is_scalar, caller._rjit if stays else None)
              for i, part in enumerate(_parts(flat, signature[0]))]
    return tuple(arrays) if signature[0].is_struct else arrays[0]


def _resident(caller, args, out):
    """The map where its arrays are, into an array that stays there; None: it cannot be had without moving elements."""
    values = [arg if isinstance(arg, DeviceArray) else _value(arg) for arg in args]
    index = choose(caller, values)
    result = dtype_of(caller._signatures[index][0])
    if result is None or result.kind == "V":
        return None
    columns = []
    for value, parameter in zip(values, caller._signatures[index][1]):
        wanted = dtype_of(parameter)
        if isinstance(value, DeviceArray) and value.dtype != wanted:
            return None
        columns.append(value if isinstance(value, DeviceArray) else numpy.ascontiguousarray(value, dtype=wanted))
    outs = _outs(out, caller._signatures[index][0])
    target = outs[0] if outs is not None else None
    if target is not None and not (isinstance(target, DeviceArray) and target.dtype == result):
        return None
    if sum(column.nbytes for column in columns if not isinstance(column, DeviceArray)) > PIECE_BYTES:
        return None
    shape = _shape(columns, None, outs)
    if target is None:
        target = empty(caller._rjit, shape, result, "C", None)
    caller._prepare_if_needed(index)
    given = [_reference(column) for column in columns]
    done = caller._profiled_work(max(target.size, 1), lambda: caller._get(index).map_arrays(given, _reference(target)))
    if done is None:
        return None
    if done["output"]:
        caller._print(done["output"])
    if done["status"] != 0:
        raise _failed(caller, done["status"], index, done["row"], shape)
    return target


def _reference(array):
    """An array as rbc._core takes it."""
    memory, offset = (array._buffer, array.offset) if isinstance(array, DeviceArray) else (array, 0)
    return dtype_text(array.dtype), memory, list(array.shape), list(array.strides), offset


def _outs(out, result):
    """The arrays to write into, one a result; None: new ones."""
    count = len(result) if result.is_struct else 0 if result.is_void else 1
    if out is None:
        return None
    outs = out if isinstance(out, tuple) else (out,)
    if len(outs) != count:
        raise InvalidArgument(f"out has {len(outs)} arrays and the function {count} results")
    for array in outs:
        if array is not None and not isinstance(array, (numpy.ndarray, DeviceArray)):
            raise TypeError("out must be an array, or a tuple of them")
    return outs


def _shape(columns, mask, outs):
    shapes = [column.shape for column in columns] + ([mask.shape] if mask is not None else [])
    try:
        shape = numpy.broadcast_shapes(*shapes)
    except ValueError:
        listed = " ".join(str(each).replace(" ", "") for each in shapes)
        raise InvalidArgument(f"operands could not be broadcast together with shapes {listed}") from None
    for array in outs or ():
        if array is None or array.shape == shape:
            continue
        try:
            stretches = numpy.broadcast_shapes(array.shape, shape) == array.shape
        except ValueError:
            stretches = False
        if not stretches:
            raise InvalidArgument(f"out has shape {array.shape} and the result {shape}")
        shape = array.shape
    return shape


# ---- the map ---------------------------------------------------------------------------------------------------------


def _run(caller, index, shape, columns, mask):
    """The results, flat in C order: of all elements, or of those where the mask is true. None: there are none."""
    signature = caller._signatures[index]
    chosen = None if mask is None else numpy.flatnonzero(numpy.broadcast_to(mask, shape))
    rows = int(numpy.prod(shape, dtype=numpy.int64)) if chosen is None else len(chosen)
    given = []
    for column, parameter in zip(columns, signature[1]):
        if column.size == 1:
            given.append((parameter.tostring(), column.reshape(1), 0))
            continue
        whole = numpy.broadcast_to(column, shape)
        flat = numpy.ascontiguousarray(whole).reshape(-1) if chosen is None else whole.reshape(-1)[chosen]
        given.append((parameter.tostring(), flat, flat.dtype.itemsize))
    caller._prepare_if_needed(index)
    pieces = []
    for start, count in _pieces(rows, given, dtype_of(signature[0])):
        part = [(text, flat if stride == 0 else flat[start:start + count], stride) for text, flat, stride in given]
        result = caller._profiled_work(max(count, 1), lambda: caller._get(index).map(count, part))
        if result["output"]:
            caller._print(result["output"])
        if result["status"] != 0:
            row = start + result["row"]
            raise _failed(caller, result["status"], index, row if chosen is None else int(chosen[row]), shape)
        pieces.append(result["data"])
    if signature[0].is_void:
        return None
    return numpy.frombuffer(pieces[0] if len(pieces) == 1 else b"".join(pieces), dtype=dtype_of(signature[0]))


PIECE_BYTES = 16 << 20  # of arguments or results, in a message


def _pieces(rows, columns, result):
    """(first row, rows) of each message."""
    row_bytes = max(sum(stride for _, _, stride in columns), result.itemsize if result is not None else 0, 1)
    step = max(PIECE_BYTES // row_bytes, 1)
    return [(start, min(step, rows - start)) for start in range(0, max(rows, 1), step)]


def _failed(caller, status, index, row, shape):
    """The exception of the first element that raised."""
    error = caller._exception(status, index)
    error.rbc_row = row
    error.rbc_index = tuple(int(i) for i in numpy.unravel_index(row, shape)) if shape else ()
    if hasattr(error, "add_note"):
        error.add_note(f"element {error.rbc_index} of the map" if len(shape) > 1 else f"row {row} of the map")
    return error


def _parts(flat, result):
    return [flat[name] for name in flat.dtype.names] if result.is_struct else [flat]


def _deliver(part, shape, mask, out, is_scalar, rjit):
    """Results in C order (of all elements, or of those where the mask is true) as the array that is asked for; `rjit`: a
    new one stays on that farm."""
    target = numpy.empty(shape, dtype=part.dtype) if out is None else _writable(out)
    _check_cast(part, target)
    if mask is None:
        target[...] = part.reshape(shape)
    else:
        target[numpy.broadcast_to(mask, shape)] = part
    if out is None:
        return rjit.to_device(target) if rjit is not None else target[()] if is_scalar else target
    if isinstance(out, DeviceArray) and not out.is_shared:
        out.set(target)
    return out


def _writable(out):
    """What writing into changes `out`, or a copy of it that can be written back."""
    if not isinstance(out, DeviceArray):
        return out
    return numpy.asarray(out) if out.is_shared else out.get()


def _check_cast(result, target):
    if not numpy.can_cast(result.dtype, target.dtype, "same_kind"):
        raise TypeError(f"a result of {result.dtype} cannot be written into an array of {target.dtype}")


# ---- reductions ------------------------------------------------------------------------------------------------------


def _combining(caller, array):
    """The dtype in which elements are combined: of a signature T(T, T)."""
    index = choose(caller, [array, array])
    signature = caller._signatures[index]
    if signature[1][0] != signature[0] or signature[1][1] != signature[0]:
        raise InvalidArgument(f"`{signature}` combines no elements: a reduction needs a function of two values of one type, "
                              "with a result of that type")
    return dtype_of(signature[0])


def _axes(axis, ndim):
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    out = []
    for each in axes:
        number = each + ndim if each < 0 else each
        if not 0 <= number < ndim:
            raise InvalidArgument(f"axis {each} is out of bounds for array of dimension {ndim}")
        if number in out:
            raise InvalidArgument(f"axis {each} is named twice")
        out.append(number)
    return sorted(out)


def reduce(caller, array, axis=0, initial=None, keepdims=False, out=None):
    """The elements along the axes combined in the order of the array, by an associative function: neighbours first."""
    if isinstance(array, DeviceArray) and initial is None and not keepdims:
        there = _reduce_there(caller, array, axis)
        if there is not None:
            return _written(there, out)
    array = numpy.asarray(_value(array))
    array = numpy.asarray(array, dtype=_combining(caller, array))
    axes = _axes(axis, array.ndim)
    # The axes to combine become one, the last, in C order.
    kept = [i for i in range(array.ndim) if i not in axes]
    shape = tuple(array.shape[i] for i in kept)
    count = int(numpy.prod([array.shape[i] for i in axes], dtype=numpy.int64))
    values = numpy.transpose(array, (*kept, *axes)).reshape(*shape, count)
    if count == 0 and initial is None and 0 not in shape:
        raise InvalidArgument(f"zero-size array to reduction operation {caller.__name__}, which has no identity; "
                              "give initial")
    if count == 0:
        result = numpy.full(shape, 0 if initial is None else initial, dtype=array.dtype)
    else:
        result = _combine(caller, values)
        if initial is not None and result.size:
            result = numpy.asarray(call(caller, (array.dtype.type(initial), result)))
    if keepdims:
        result = result.reshape([1 if i in axes else n for i, n in enumerate(array.shape)])
    return _written(result, out)


def _reduce_there(caller, array, axis):
    """The reduction of an array where it is; None: it has no elements or another type, or there are several axes."""
    if _combining(caller, array) != array.dtype or array.size == 0 or isinstance(axis, tuple):
        return None
    axes = _axes(axis, array.ndim)
    index = choose(caller, [array, array])
    caller._prepare_if_needed(index)
    done = caller._profiled_work(array.size, lambda: caller._get(index).reduce_array(
        _reference(array), None if axis is None else axes[0]))
    if done is None:
        return None
    if done["output"]:
        caller._print(done["output"])
    if done["status"] != 0:
        raise caller._exception(done["status"], index)
    return numpy.frombuffer(done["data"], dtype=array.dtype).reshape(done["shape"])


def _written(result, out):
    if out is None:
        return result[()]
    if out.shape != result.shape:
        raise InvalidArgument(f"out has shape {out.shape} and the result {result.shape}")
    _check_cast(result, out)
    out[...] = result
    return out


def _combine(caller, values):
    """Along the last axis, a level of the tree at a time."""
    while values.shape[-1] > 1:
        even = values.shape[-1] // 2 * 2
        paired = call(caller, (values[..., 0:even:2], values[..., 1:even:2])) if values.size else values[..., 0:even:2]
        values = numpy.concatenate([paired, values[..., even:]], axis=-1)
    return values[..., 0].copy()


def accumulate(caller, array, axis=0, out=None):
    """Element i of the result: elements 0 to i along the axis, combined in order."""
    array = numpy.asarray(_value(array))
    if array.ndim == 0:
        raise InvalidArgument("cannot accumulate on a scalar")
    result = numpy.array(array, dtype=_combining(caller, array))
    axis, = _axes((axis,), array.ndim)
    values = numpy.moveaxis(result, axis, -1)  # a view
    distance = 1
    while distance < values.shape[-1] and values.size:
        values[..., distance:] = call(caller, (values[..., :-distance].copy(), values[..., distance:].copy()))
        distance *= 2
    return _written(result, out)
