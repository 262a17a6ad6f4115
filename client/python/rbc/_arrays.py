"""Functions of numbers over arrays, by NumPy's rules: f(x, y, out=, where=), f.reduce, f.accumulate.

SPDX-License-Identifier: Apache-2.0
"""

import numbers

import numpy

from . import _plans
from ._convert import dtype_text
from ._dtypes import dtype_of
from ._errors import InvalidArgument, NoMatch
from ._interchange import is_foreign, is_memory, to_numpy
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
        error = NoMatch(_MISMATCH.format(", ".join(_described(value) for value in values)))
        _explain_narrowing(caller, values, error)
        caller._explain(error)
        raise error
    return best[1]


def _explain_narrowing(caller, values, error):
    """Notes where a signature would take these numbers, but not arrays of them."""
    for signature in caller._signatures:
        if signature.match(tuple(Type.fromstring(_described(value)) for value in values)) is None:
            continue
        for parameter, value in zip(signature[1], values):
            if not isinstance(value, numbers.Number) and _penalty(parameter, value) is None and hasattr(error, "add_note"):
                error.add_note(f"elements of arrays are not narrowed from {value.dtype} to {parameter}: "
                               f"pass x.astype('{dtype_of(parameter)}')")
                return


def _described(value):
    return str(Type.fromvalue(value)) if isinstance(value, numbers.Number) else dtype_text(value.dtype)


# ---- arguments -------------------------------------------------------------------------------------------------------


def takes(caller, args):
    """Whether these arguments, which no signature takes as they are, are arrays for a function of numbers."""
    if caller._infers or not any(isinstance(arg, (DeviceArray, list)) or is_foreign(type(arg)) or is_memory(arg)
                                 for arg in args):
        return False
    return any(all(dtype_of(parameter) is not None and not parameter.is_struct for parameter in signature[1])
               for signature in caller._signatures)


def _value(arg):
    """An array, here or on a farm, or a number as it is."""
    if isinstance(arg, (numbers.Number, DeviceArray)):
        return arg
    array = to_numpy(arg)
    if array.dtype.kind not in "biufc" or array.dtype == numpy.longdouble or array.dtype == numpy.clongdouble:
        raise InvalidArgument(f"an array of {array.dtype} cannot be an argument; numbers and bool can")
    return array


def _operand(function, value, dtype):
    """A value as the function takes it: an array of its own farm where it is, else NumPy's. Numbers of other types are
    converted on their way; what has no such conversion there is converted here."""
    if isinstance(value, DeviceArray):
        if value.dtype == dtype and function.has(value._buffer):
            return value
        value = numpy.asarray(value)
    if isinstance(value, numbers.Number) or not value.dtype.isnative or "b" in (value.dtype.kind, dtype.kind) or \
            numpy.float16 in (value.dtype, dtype):
        return numpy.asarray(value, dtype=dtype)
    return value


def _reference(array, text=None):
    """An array as rbc._core takes it."""
    memory, offset = (array._buffer, array.offset) if isinstance(array, DeviceArray) else (array, 0)
    return text or dtype_text(array.dtype), memory, array.shape, array.strides, offset


_ACCURACIES = ("fast", "accurate", "precise")


def _accuracy(caller, accuracy):
    accuracy = accuracy or caller._options.get("accuracy") or "fast"
    if accuracy not in _ACCURACIES:
        raise InvalidArgument(f"accuracy is {accuracy!r}; give one of {', '.join(map(repr, _ACCURACIES))}")
    return _ACCURACIES.index(accuracy)


# ---- the map ---------------------------------------------------------------------------------------------------------


def _again(caller, known, accuracy):
    """A map whose like was made before."""
    plan, operands, target, shape = known
    done = caller._function(plan.index).map_arrays(operands, (plan.text, target, None, None, 0), None,
                                              _accuracy(caller, accuracy))
    _finish(caller, done, plan.index, shape)
    return target


def call(caller, args, out=None, where=True, accuracy=None, **others):
    """The function for each element of arrays that stretch to one shape."""
    if others:
        raise TypeError(f"{caller.__name__}() got an unexpected keyword argument '{next(iter(others))}'")
    known = _plans.find(caller, args, out) if where is True else None
    if known is not None:
        return _again(caller, known, accuracy)
    values = [_value(arg) for arg in args]
    if out is None and all(isinstance(value, numbers.Number) for value in values):
        raise InvalidArgument("a map needs at least one array; call the function instead")
    index = choose(caller, values)
    signature = caller._signatures[index]
    function = caller._function(index)
    operands = [_operand(function, value, dtype_of(parameter)) for value, parameter in zip(values, signature[1])]
    mask = None if where is True else _mask(function, where)
    outs = _outs(out, signature[0])
    shape = _shape(operands, mask, outs)
    stays = any(isinstance(value, DeviceArray) for value in values)
    target = _target(caller, function, signature[0], outs, shape, mask, stays, _device(operands))
    _map(caller, index, operands, target, mask, shape, _accuracy(caller, accuracy))
    if mask is None:
        _plans.remember(caller, args, operands, index, signature[0])
    if target is None:
        return None
    if outs is not None and outs[0] is target:
        return target
    if isinstance(target, DeviceArray):
        return target
    if outs is None and not stays and not signature[0].is_struct:
        return target[()] if mask is None and all(operand.ndim == 0 for operand in operands) else target
    if mask is not None and signature[0].is_struct:
        mask = numpy.array(mask)  # the first result may be written over it
    parts = [target[name] for name in target.dtype.names] if signature[0].is_struct else [target]
    arrays = [_deliver(caller, part, mask, given, stays) for part, given in zip(parts, outs or [None] * len(parts))]
    return tuple(arrays) if signature[0].is_struct else arrays[0]


def _mask(function, where):
    if isinstance(where, DeviceArray):
        mask = where if function.has(where._buffer) else numpy.asarray(where)
    else:
        mask = to_numpy(where)
    if mask.dtype != bool:
        raise TypeError(f"where is an array of {mask.dtype}; give bool")
    return mask


def _device(arrays):
    """The device where the first of them lies; None: none lies on one."""
    return next((a.target for a in arrays if isinstance(a, DeviceArray) and a.target != "host"), None)


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
        if isinstance(array, numpy.ndarray) and not array.flags.writeable:
            raise ValueError("output array is read-only")
    return None if all(array is None for array in outs) else outs


def _shape(operands, mask, outs):
    shapes = [operand.shape for operand in operands] + ([mask.shape] if mask is not None else [])
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


def _target(caller, function, result, outs, shape, mask, stays, device=None):
    """The array that the farm writes into: the one given where it is of the result's type, else a new one."""
    if result.is_void:
        return None
    dtype = dtype_of(result)
    for given, name in zip(outs or (), dtype.names or [None]):
        if given is not None:
            _check_cast(dtype[name] if name else dtype, given)
    if outs is not None and not result.is_struct and _takes_result(function, outs[0], dtype):
        return outs[0]
    if outs is None and stays and mask is None and not result.is_struct:
        return empty(caller._rjit, shape, dtype, "C", None, device)
    return numpy.empty(shape, dtype) if mask is None else numpy.zeros(shape, dtype)


def _takes_result(function, array, dtype):
    """Whether the farm can write results into it as it is."""
    if array.dtype != dtype or any(step == 0 and n > 1 for n, step in zip(array.shape, array.strides)):
        return False
    return not isinstance(array, DeviceArray) or function.has(array._buffer)


def _map(caller, index, operands, target, mask, shape, accuracy):
    signature = caller._signatures[index]
    given = [_reference(operand) for operand in operands]
    into = None if target is None else _reference(target, signature[0].tostring())
    where = None if mask is None else _reference(mask)
    calls = int(numpy.prod(shape, dtype=numpy.int64))
    done = caller._profiled_work(max(calls, 1), lambda: caller._function(index).map_arrays(given, into, where, accuracy))
    _finish(caller, done, index, shape)


def _finish(caller, done, index, shape):
    if done["output"]:
        caller._print(done["output"])
    if done["status"] != 0:
        raise _failed(caller, done["status"], index, done["row"], shape)


def _failed(caller, status, index, row, shape):
    """The exception of the first element that raised."""
    error = caller._exception(status, index)
    error.rbc_row = row
    error.rbc_index = tuple(int(i) for i in numpy.unravel_index(row, shape)) if shape else ()
    if hasattr(error, "add_note"):
        error.add_note(f"element {error.rbc_index} of the map" if len(shape) > 1 else f"row {row} of the map")
    return error


def _deliver(caller, part, mask, out, stays):
    """A result as the array that is asked for: a new one, on the farm if it stays there, or `out`."""
    if out is None:
        return caller._rjit.to_device(part) if stays else numpy.ascontiguousarray(part).reshape(part.shape)
    target = out if isinstance(out, numpy.ndarray) else numpy.asarray(out) if out.is_shared else out.get()
    numpy.copyto(target, part, casting="same_kind", where=True if mask is None else numpy.asarray(mask))
    if isinstance(out, DeviceArray) and not out.is_shared:
        out.set(target)
    return out


def _check_cast(result, target):
    if not numpy.can_cast(result, target.dtype, "same_kind"):
        raise TypeError(f"a result of {result} cannot be written into an array of {target.dtype}")


# ---- reductions and scans --------------------------------------------------------------------------------------------


def _combining(caller, array):
    """(number of the signature, dtype in which elements are combined): of a signature T(T, T)."""
    index = choose(caller, [array, array])
    signature = caller._signatures[index]
    if signature[1][0] != signature[0] or signature[1][1] != signature[0]:
        raise InvalidArgument(f"`{signature}` combines no elements: a reduction needs a function of two values of one type, "
                              "with a result of that type")
    caller._function(index)
    return index, dtype_of(signature[0])


def _axes(axis, ndim):
    if ndim == 0 and axis in (0, -1):
        return []
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


def _run(caller, index, elements, work):
    """A request of the farm that gives one array."""
    done = caller._profiled_work(max(elements, 1), work)
    if done["output"]:
        caller._print(done["output"])
    if done["status"] != 0:
        raise caller._exception(done["status"], index)


def reduce(caller, array, axis=0, initial=None, keepdims=False, out=None, ordered=False, accuracy=None):
    """The elements along the axes combined by an associative function."""
    array = _value(array)
    index, dtype = _combining(caller, array)
    function = caller._function(index)
    array = _operand(function, array, dtype)
    axes = _axes(axis, array.ndim)
    kept = [i for i in range(array.ndim) if i not in axes]
    shape = tuple(array.shape[i] for i in kept)
    count = int(numpy.prod([array.shape[i] for i in axes], dtype=numpy.int64))
    if count == 0 and initial is None and 0 not in shape:
        raise InvalidArgument(f"zero-size array to reduction operation {caller.__name__}, which has no identity; "
                              "give initial")
    final = tuple(1 if i in axes else n for i, n in enumerate(array.shape)) if keepdims else shape
    out = _check_out(out, final, dtype)
    result = numpy.empty(shape, dtype)
    if count == 0:
        result[...] = 0 if initial is None else initial
    elif not axes:
        result[...] = numpy.asarray(array)
    elif result.size:
        if kept and len(axes) > 1:  # the axes to combine become one, the last, in C order
            array = numpy.transpose(numpy.asarray(array), (*kept, *axes)).reshape(*shape, count)
            axes = [len(kept)]
        given, into = _reference(array), _reference(result)
        _run(caller, index, array.size, lambda: function.reduce_array(given, axes[0] if kept else None, into, ordered,
                                                                      _accuracy(caller, accuracy)))
    if initial is not None and count != 0 and result.size:
        result = numpy.asarray(call(caller, (dtype.type(initial), result)))
    return _written(result.reshape(final), out)


def accumulate(caller, array, axis=0, out=None, accuracy=None):
    """Element i of the result: elements 0 to i along the axis, combined in order."""
    array = _value(array)
    if array.ndim == 0:
        raise InvalidArgument("cannot accumulate on a scalar")
    index, dtype = _combining(caller, array)
    function = caller._function(index)
    array = _operand(function, array, dtype)
    axis, = _axes((axis,), array.ndim)
    out = _check_out(out, array.shape, dtype)
    result = numpy.empty(array.shape, dtype)
    if result.size:
        given, into = _reference(array), _reference(result)
        _run(caller, index, array.size, lambda: function.scan_array(given, axis, into, _accuracy(caller, accuracy)))
    return _written(result, out)


def _check_out(out, shape, dtype):
    """The array to write results of this shape and dtype into, which may come as a tuple of one; None: a new one."""
    if isinstance(out, tuple) and len(out) == 1:
        out, = out
    if out is None:
        return None
    if not isinstance(out, (numpy.ndarray, DeviceArray)):
        raise TypeError("out must be an array")
    if out.shape != shape:
        raise InvalidArgument(f"out has shape {out.shape} and the result {shape}")
    if isinstance(out, numpy.ndarray) and not out.flags.writeable:
        raise ValueError("output array is read-only")
    _check_cast(dtype, out)
    return out


def _written(result, out):
    if out is None:
        return result[()]
    out[...] = result
    return out
