# Types of profiles.
# SPDX-License-Identifier: Apache-2.0
from typing import Any

from .remotejit import RemoteJIT

PARTS: tuple[str, ...]

class Row:
    function: str
    signature: str
    calls: int
    lower_s: float
    compile_s: float
    call_s: float
    cached: bool | None
    queue_s: float | None
    upload_s: float | None
    kernel_s: float | None
    download_s: float | None
    wire_s: float | None
    bytes_out: int | None
    bytes_in: int | None
    def __init__(self, function: str, signature: str, calls: int, lower_s: float, compile_s: float, call_s: float,
                 cached: bool | None, phases: dict[str, int], parts: dict[str, Any]) -> None: ...

class Profile:
    rows: list[Row]
    def __init__(self, rjit: RemoteJIT) -> None: ...
    def __enter__(self) -> Profile: ...
    def __exit__(self, *exc: object) -> None: ...
    @property
    def advice(self) -> str: ...

def timed(caller: Any, signature_index: Any, calls: int, work: Any) -> Any: ...
def queued(caller: Any, text: str, step: Any, started: float) -> None: ...
def profiled_call(caller: Any, args: Any, kwargs: Any) -> Any: ...
