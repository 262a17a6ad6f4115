"""A small program as a user with a type checker has it: `mypy --strict` takes it, and it runs.

SPDX-License-Identifier: Apache-2.0
"""

import numpy as np
from numpy.typing import NDArray

import rbc


def sums(rjit: rbc.RemoteJIT) -> list[float]:
    @rjit("float64(float64, float64)")
    def add(x: float, y: float) -> float:
        return x + y

    @rjit
    def twice(x: int) -> int:
        return 2 * x

    there = rjit.to_device(np.arange(4.0))
    doubled: rbc.DeviceArray = add(there, there)
    here: NDArray[np.float64] = doubled.get()
    future = add.submit(1.5, 2.0)
    with rjit.queue() as queue:
        total = queue.reduce(add, queue(add, there, 1.0))
    return [add(1.0, 2.0), float(here.sum()), future.result(), float(total), float(twice(21))]


def names(rjit: rbc.RemoteJIT) -> list[str]:
    signature = rjit("T(T)", T=["int32", "float64"])
    identity: rbc.Caller = signature(lambda x: x)
    kinds = [each.tostring() for each in identity.signatures if not each.is_void]
    try:
        rjit.connect("nobody has published this")
    except rbc.UnknownName as error:
        kinds.append(error.kind)
    return [*kinds, *sorted(rjit.targets)]


def scaled(rjit: rbc.RemoteJIT) -> NDArray[np.float64]:
    from rbc import cuda

    @rjit.kernel("void(float64[:], float64)")
    def scale(x: NDArray[np.float64], k: float) -> None:
        i = cuda.grid(1)
        if i < len(x):
            x[i] *= k

    x = np.ones(10)
    scale[1, 32](x, 3.0)
    return x
