"""Kernels: functions that every thread of a grid runs.

SPDX-License-Identifier: Apache-2.0
"""

import operator

import numpy as np

from ._errors import InvalidArgument, RemoteException
from .caller import Caller, _type_for_lowering
from .typesystem import Type

STATUS_WORDS = 7  # of the first exception: its status, block x y z, thread x y z


def _whole(what, number):
    try:
        return operator.index(number)
    except TypeError:
        raise InvalidArgument(f"{what} is {number!r}; give a whole number") from None


def _lengths(what, given):
    """The dimensions of a grid or block, given as a number or as up to three."""
    lengths = given if isinstance(given, (tuple, list)) else (given,)
    return [_whole(f"dimension {i + 1} of the {what}", length) for i, length in enumerate(lengths)]


class Kernel(Caller):
    """A kernel: k[blocks, threads](arguments) runs it, with both as a number or up to three. Memory that it writes is
    there when the launch returns. Made by rjit.kernel(signature), or by rjit.kernel alone: then each launch's arguments give
    the types."""

    _abi = "kernel"

    def __init__(self, rjit, py_func, signatures, annotated=(), options=None, target=None):
        super().__init__(rjit, py_func, signatures, annotated, options, target)
        for signature in self.signatures:
            if not signature[0].is_void:
                raise InvalidArgument(f"a kernel has no result; `{signature}` has one")

    def __getitem__(self, grid):
        if not isinstance(grid, tuple) or len(grid) not in (2, 3):
            raise InvalidArgument("a launch is k[blocks, threads](...) or k[blocks, threads, shared_bytes](...)")
        blocks, threads = _lengths("grid", grid[0]), _lengths("block", grid[1])
        return Launch(self, blocks, threads, _whole("shared_bytes", grid[2]) if len(grid) == 3 else 0)

    def _ready(self, args, kwargs):
        """(arguments in their order, number of the signature that takes them), with its code made."""
        args = self._bind(args, kwargs)
        index = self._infer(args) if self._infers else self._match(args)
        self._function(index)
        return args, index

    def _infer(self, args):
        """The number of the signature of these very types, for a kernel that was declared without one."""
        text = Type(Type.fromstring("void"), tuple(map(_type_for_lowering, args))).tostring()
        with self._lock:
            self._add(text)  # unless it is there
            return self._signature_texts().index(text)

    def _unnamed_exception(self, status):
        return RemoteException(f"{self.__name__} ended with status {status}, which no exception of it has: it wrote outside of "
                               "its arrays; compare cuda.grid() with their size, or try boundscheck=True",
                               function=self.__name__)

    def _exception_of_thread(self, words, index):
        error = self._exception(words[0], index)
        error.rbc_block, error.rbc_thread = tuple(words[1:4]), tuple(words[4:7])
        if hasattr(error, "add_note"):
            error.add_note(f"in block {error.rbc_block}, thread {error.rbc_thread}; other threads may have failed too")
        return error

    def _declared_text(self, index):
        """Behind the kernel's own parameters comes the memory for an exception, see _numba."""
        text = super()._declared_text(index)
        parameters = text[text.index("(") + 1:-1]
        return "void(int64*)" if parameters in ("", "void") else f"void({parameters}, int64*)"

    def __call__(self, *args, **kwargs):
        raise InvalidArgument(f"{self.__name__} is a kernel; launch it with {self.__name__}[blocks, threads](...)")


class Launch:
    """k[blocks, threads]: a kernel with its grid, to be called, or queued by rjit.queue()."""

    def __init__(self, kernel, blocks, threads, shared_bytes):
        self.kernel, self.blocks, self.threads, self.shared_bytes = kernel, blocks, threads, shared_bytes

    def __repr__(self):
        return f"<rbc launch of {self.kernel.__name__}: blocks {self.blocks}, threads {self.threads}>"

    def __call__(self, *args, **kwargs):
        args, index = self.kernel._ready(args, kwargs)
        status = np.zeros(STATUS_WORDS, np.int64)
        output = self.kernel._function(index).launch(self.blocks, self.threads, self.shared_bytes, (*args, status))
        if output:
            self.kernel._print(output)
        if status[0] != 0:
            raise self.kernel._exception_of_thread(status.tolist(), index)
