# Types of what kernels use.
# SPDX-License-Identifier: Apache-2.0
from types import ModuleType
from typing import Any, Literal, overload

__all__ = ["atomic", "blockDim", "blockIdx", "grid", "gridDim", "gridsize", "shared", "syncthreads", "threadIdx"]

class _Dimensions:
    x: int
    y: int
    z: int
    def __init__(self, name: str, register: str) -> None: ...

threadIdx: _Dimensions
blockIdx: _Dimensions
blockDim: _Dimensions
gridDim: _Dimensions

@overload
def grid(ndim: Literal[1]) -> int: ...
@overload
def grid(ndim: Literal[2]) -> tuple[int, int]: ...
@overload
def grid(ndim: Literal[3]) -> tuple[int, int, int]: ...
@overload
def gridsize(ndim: Literal[1]) -> int: ...
@overload
def gridsize(ndim: Literal[2]) -> tuple[int, int]: ...
@overload
def gridsize(ndim: Literal[3]) -> tuple[int, int, int]: ...
def syncthreads() -> None: ...

registry: Any
typing_registry: Any
def register_of(builder: Any, name: str) -> Any: ...

shared: ModuleType
atomic: ModuleType
