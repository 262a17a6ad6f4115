"""Arrays that stay on the farm.

SPDX-License-Identifier: Apache-2.0
"""

import html
import operator

import numpy

from . import _core
from ._convert import dtype_text
from ._dtypes import dtype_of
from ._errors import InvalidArgument
from ._interchange import is_foreign, to_arrow, to_numpy
from .typesystem import Type

__all__ = ["DeviceArray"]


def _dtype(text):
    return dtype_of(Type.fromstring(text))


class DeviceArray(_core.Lender):
    """An array in the memory of the farm's session, or a view of one. Made by rjit.to_device() and rjit.empty(), and given
    by functions whose arguments are such arrays. It is freed with its last view, with the session, or by free().

    np.asarray(a)   as a NumPy array: the same memory where the farm is on this machine and shares it, else a copy
    memoryview(a)   the same memory, where the farm shares it
    a.get()         a copy as a NumPy array
    a[1:5, ::-1]    a view; nothing is copied. a[...] = x writes
    a.copy()        a new array on the farm with the same elements
    float(a[2])     an array of one element as a Python number; a[2].item() the same
    """

    __rbc_array__ = True

    __array_priority__ = 1000
    __array_ufunc__ = None  # NumPy's functions are not the farm's: np.add(a, b) is refused, f(a, b) runs there

    def __init__(self, buffer, dtype, shape, strides, offset=0):
        self._buffer = buffer
        self.dtype, self.shape, self.strides, self.offset = dtype, tuple(shape), tuple(strides), offset

    @classmethod
    def _whole(cls, buffer):
        return cls(buffer, _dtype(buffer.dtype), buffer.shape, buffer.strides)

    @classmethod
    def _members(cls, buffer):
        """Of an array of structs one array a member, over the same memory, which goes with the last of them."""
        return tuple(cls._member(*member) for member in buffer.members())

    @classmethod
    def _member(cls, member, offset):
        return cls(member, _dtype(member.dtype), member.shape, member.strides, offset)

    # ---- what it is --------------------------------------------------------------------------------------------------

    @property
    def ndim(self):
        return len(self.shape)

    @property
    def size(self):
        return int(numpy.prod(self.shape, dtype=numpy.int64))

    @property
    def nbytes(self):
        return self.size * self.dtype.itemsize

    @property
    def name(self):
        return self._buffer.name

    @property
    def target(self):
        """The device in whose memory it lies; "host": the farm's own."""
        return self._buffer.target or "host"

    @property
    def buffer_id(self):
        return self._buffer.id

    @property
    def is_shared(self):
        """Whether its memory is this process's too."""
        return self._buffer.is_shared

    def __len__(self):
        if not self.shape:
            raise TypeError("len() of a 0-d array")
        return self.shape[0]

    def __repr__(self):
        where = "shared" if self.is_shared else "remote" if self.target == "host" else f"on {self.target}"
        return f"<rbc array: {self.dtype} {self.shape}, {where}>"

    def _repr_html_(self):
        return f"<code>{html.escape(repr(self)[1:-1])}</code>"

    # ---- views -------------------------------------------------------------------------------------------------------

    def _outline(self):
        """A NumPy array laid out as this one, over memory that is never looked at: NumPy works out the views."""
        return numpy.lib.stride_tricks.as_strided(numpy.empty(1, self.dtype), self.shape, self.strides, writeable=False)

    def _view(self, make):
        before = self._outline()
        after = make(before)
        moved = after.__array_interface__["data"][0] - before.__array_interface__["data"][0]
        return DeviceArray(self._buffer, self.dtype, after.shape, after.strides, self.offset + moved)

    def __getitem__(self, key):
        keys = key if isinstance(key, tuple) else (key,)
        for part in keys:
            if not (part is None or part is Ellipsis or isinstance(part, slice) or
                    (isinstance(part, (int, numpy.integer)) and not isinstance(part, bool))):
                raise InvalidArgument("a view takes numbers, slices, ... and None; get() the array for more")
        if not any(part is Ellipsis for part in keys):
            keys = (*keys, Ellipsis)  # so that it is a view, also of one element
        return self._view(lambda outline: outline[keys])

    @property
    def T(self):
        return self._view(lambda outline: outline.T)

    def reshape(self, *shape):
        """The same elements in another shape, where that needs no copy."""
        shape = shape[0] if len(shape) == 1 and isinstance(shape[0], tuple) else shape

        def make(outline):
            view = outline.view()
            try:
                view.shape = shape
            except AttributeError:
                raise InvalidArgument(f"an array of strides {self.strides} has no view of shape {shape}; get() it first"
                                      ) from None
            return view

        return self._view(make)

    # ---- its elements ------------------------------------------------------------------------------------------------

    def _over(self, memory):
        if 0 in self.shape:  # NumPy wants strides within the memory all the same
            return numpy.ndarray(self.shape, self.dtype, memory)
        return numpy.ndarray(self.shape, self.dtype, memory, self.offset, self.strides)

    def __array__(self, dtype=None, copy=None):
        if self.is_shared:
            array = self._over(self._buffer)
        elif copy is False:
            raise ValueError("the array is in memory of another machine or device; it cannot be had without a copy")
        else:
            return self.get().astype(dtype or self.dtype, copy=False)
        return numpy.array(array, dtype=dtype, copy=True) if copy or (dtype and dtype != self.dtype) else array

    def _lent(self):
        """What its buffer (memoryview(a), pyarrow.py_buffer(a)) is; for rbc._core."""
        if not self.is_shared:
            raise BufferError("the array is in memory of another machine or device; get() copies it")
        return self._over(self._buffer)

    def _there(self):
        """These elements and no others, for requests."""
        return self._buffer.view(self.shape, self.strides, self.offset)

    def get(self, out=None):
        """A copy as a NumPy array, or into `out`. Of a view on another machine or device only its elements travel, and
        what lies between them."""
        if self.is_shared:
            array = self._over(self._buffer)
        elif _order(self._outline()) == "F":
            array = self.T.get().T
        else:
            array = numpy.empty(self.shape, self.dtype)
            self._there().read(array)
        if out is None:
            return array.copy(order="K") if self.is_shared else array
        out[...] = array
        return out

    def copy(self):
        """A new array on the same target with the same elements, which do not travel here."""
        return DeviceArray._whole(self._there().copy_to(self._buffer.target))

    def item(self):
        """The element of an array of one, as a Python number."""
        if self.size != 1:
            raise ValueError(f"an array of {self.size} elements is no number; get() it first")
        return self.get().item()

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __complex__(self):
        return complex(self.item())

    def __bool__(self):
        return bool(self.item())

    def set(self, value):
        """Writes `value`, which may stretch to the shape. Only what is written travels; of an array of the same session,
        type and shape nothing does."""
        if is_foreign(type(value)):
            value = to_numpy(value)
        if isinstance(value, DeviceArray) and self._takes_there(value):
            self._there().copy_from(value._there())
        elif self.is_shared:
            self._over(self._buffer)[...] = value
        elif _order(self._outline()) == "F":
            self.T.set(numpy.broadcast_to(value, self.shape).T)
        else:
            array = numpy.empty(self.shape, self.dtype)
            array[...] = value
            self._there().write(array)

    def _takes_there(self, other):
        """Whether the farm can copy `other` here: the same session, type and shape, and not the same memory, where the two
        may overlap."""
        return (other._buffer.is_beside(self._buffer) and other.buffer_id != self.buffer_id and
                (other.dtype, other.shape) == (self.dtype, self.shape))

    def __setitem__(self, key, value):
        self[key].set(value)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __dlpack__(self, **options):
        if options.get("copy") is False and not self.is_shared:
            raise BufferError("the array is in memory of another machine or device; it cannot be had without a copy")
        return numpy.asarray(self).__dlpack__(**options)

    def __dlpack_device__(self):
        return 1, 0  # memory of a processor

    def __arrow_array__(self, type=None):
        return to_arrow(numpy.asarray(self), type)

    def free(self):
        """Ends it now, for all its views."""
        self._buffer.free()

    def __reduce__(self):
        raise InvalidArgument("an array of a farm cannot be pickled: it belongs to this session; get() it first")


def empty(rjit, shape, dtype, order, name, target=None):
    dtype = numpy.dtype(dtype)
    shape = (shape,) if isinstance(shape, (int, numpy.integer)) else tuple(shape)
    if dtype.kind not in "biufc" or not dtype.isnative or dtype.itemsize > 16 or dtype == numpy.longdouble:
        raise InvalidArgument(f"a farm has no arrays of {dtype}; numbers and bool can be")
    if order not in ("C", "F"):
        raise InvalidArgument(f"order is {order!r}; 'C' or 'F'")
    return DeviceArray._whole(
        rjit._farm.empty(dtype_text(dtype), [operator.index(n) for n in shape], order == "F", name or "", target or ""))


def to_device(rjit, value, name, target=None):
    if isinstance(value, DeviceArray):
        return value if target in (None, value.target) else _elsewhere(rjit, value, name, target)
    array = to_numpy(value)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    made = empty(rjit, array.shape, array.dtype, _order(array), name, target)
    if array.size:
        made.set(array)
    return made


def _order(array):
    return "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"


def _elsewhere(rjit, array, name, target):
    """A copy on another target; nothing travels to this machine."""
    made = empty(rjit, array.shape, array.dtype, _order(array._outline()), name, target)
    if array.size:
        made._buffer.copy_from(array._there())
    return made
