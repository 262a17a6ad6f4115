# Types of kernels.
# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable, Iterable
from typing import Any

from .caller import Caller
from .remotejit import RemoteJIT

STATUS_WORDS: int

class Kernel(Caller):
    def __init__(self, rjit: RemoteJIT, py_func: Callable[..., Any], signatures: Iterable[Any],
                 annotated: Iterable[Any] = (), options: dict[str, Any] | None = None,
                 target: str | None = None) -> None: ...
    def __getitem__(self, grid: Any) -> Launch: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

class Launch:
    kernel: Kernel
    blocks: list[int]
    threads: list[int]
    shared_bytes: int
    def __init__(self, kernel: Kernel, blocks: list[int], threads: list[int], shared_bytes: int) -> None: ...
    def __call__(self, *args: Any, **kwargs: Any) -> None: ...
