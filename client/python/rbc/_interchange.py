"""Other libraries' arrays as NumPy's, without a copy where their memory allows.

SPDX-License-Identifier: Apache-2.0
"""

import sys

import numpy

from ._errors import InvalidArgument


def is_foreign(cls):
    """Whether objects of a class are arrays of other libraries: by Arrow's interfaces, DLPack or NumPy's `__array__`, as a
    pandas.Series. A masked array is one too: not all of it is memory."""
    if issubclass(cls, numpy.generic) or getattr(cls, "__rbc_array__", False):
        return False
    if issubclass(cls, numpy.ndarray):
        return is_masked(cls)
    return (_is_pyarrow(cls) or hasattr(cls, "__arrow_c_array__") or hasattr(cls, "__dlpack__") or
            hasattr(cls, "__array__"))


def is_memory(value):
    """Whether an object lends its memory by the buffer protocol, with a dimension at least: an array of NumPy or ctypes, an
    mmap, a bytearray. Bytes are text."""
    if isinstance(value, (bytes, numpy.ndarray, numpy.generic)):
        return isinstance(value, numpy.ndarray)
    try:
        with memoryview(value) as memory:
            return memory.ndim != 0
    except (TypeError, BufferError):
        return False


def is_masked(cls):
    """Whether objects of a class are NumPy's masked arrays."""
    return "numpy.ma" in sys.modules and issubclass(cls, numpy.ma.MaskedArray)


def to_numpy(value):
    """Of an array of pyarrow, one with Arrow's C data interface or DLPack, or whatever NumPy takes."""
    cls = type(value)
    if is_masked(cls) and numpy.ma.is_masked(value):
        raise InvalidArgument(f"a masked array ({numpy.ma.count_masked(value)} of {value.size} masked) has no place on a farm; "
                              "fill it first: x.filled(0); or give x.data and where=~x.mask")
    if issubclass(cls, (numpy.ndarray, numpy.generic)):
        return numpy.asarray(value)
    if _is_pyarrow(cls):
        return _of_arrow(value)
    if hasattr(cls, "__arrow_c_array__"):
        import pyarrow

        return _of_arrow(pyarrow.array(value))
    if hasattr(cls, "__dlpack__"):
        return numpy.from_dlpack(value)
    return numpy.asarray(value)


def to_arrow(array, type=None):
    """A pyarrow array over a NumPy array of one dimension."""
    import pyarrow

    if array.ndim != 1:
        raise InvalidArgument(f"an Arrow array has one dimension, this one {array.ndim}; reshape it")
    return pyarrow.array(array, type=type)


def _is_pyarrow(cls):
    return "pyarrow" in sys.modules and any(base.__module__.split(".")[0] == "pyarrow" for base in cls.__mro__)


def _of_arrow(value):
    import pyarrow

    if isinstance(value, pyarrow.Tensor):
        return value.to_numpy()
    if isinstance(value, pyarrow.ChunkedArray):
        value = value.combine_chunks() if value.num_chunks != 1 else value.chunk(0)
    if not isinstance(value, pyarrow.Array):
        raise InvalidArgument(f"a pyarrow {type(value).__name__} is no array; give one of its columns")
    if value.null_count:
        raise InvalidArgument(f"an Arrow array with nulls ({value.null_count} of {len(value)}) has no place on a farm; fill "
                              "them first: pyarrow.compute.fill_null(array, 0)")
    kind = value.type
    if pyarrow.types.is_boolean(kind):  # bits there, bytes here
        return value.to_numpy(zero_copy_only=False)
    if pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind):
        return value.to_numpy(zero_copy_only=True)
    raise InvalidArgument(f"an Arrow array of {kind} cannot be an argument; numbers and bool can")
