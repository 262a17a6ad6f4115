"""Kernels: functions that every thread of a grid runs.

SPDX-License-Identifier: Apache-2.0
"""

from ._errors import InvalidArgument
from .caller import Caller


class Kernel(Caller):
    """A kernel: k[blocks, threads](arguments) runs it, with both as a number or up to three. Memory that it writes is
    there when the launch returns. Made by rjit.kernel(signature)."""

    _abi = "kernel"

    def __init__(self, rjit, py_func, signatures, annotated=(), options=None, target=None):
        super().__init__(rjit, py_func, signatures, annotated, options, target)
        for signature in self.signatures:
            if not signature[0].is_void:
                raise InvalidArgument(f"a kernel has no result; `{signature}` has one")

    def __getitem__(self, grid):
        if not isinstance(grid, tuple) or len(grid) not in (2, 3):
            raise InvalidArgument("a launch is k[blocks, threads](...) or k[blocks, threads, shared_bytes](...)")
        blocks, threads = (list(n) if isinstance(n, (tuple, list)) else [n] for n in grid[:2])
        shared_bytes = grid[2] if len(grid) == 3 else 0

        def launch(*args, **kwargs):
            args = self._bind(args, kwargs)
            index = self._match(args)
            self._prepare_if_needed(index)
            output = self._get(index).launch(blocks, threads, shared_bytes, args)
            if output:
                self._print(output)

        return launch

    def __call__(self, *args, **kwargs):
        raise InvalidArgument(f"{self.__name__} is a kernel; launch it with {self.__name__}[blocks, threads](...)")
