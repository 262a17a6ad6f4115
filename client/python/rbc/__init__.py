"""rbc: Python functions compiled and run by a compile farm.

    import rbc
    rjit = rbc.RemoteJIT(host='localhost')
    rjit.start_server(background=True)

    @rjit('float64(float64, float64)')
    def add(a, b):
        return a + b

    add(1.5, 2.0)

docs/quickstart-python.md is the way in, docs/python.md the whole of it.

SPDX-License-Identifier: Apache-2.0
"""

from ._core import version as __version__
from ._errors import (  # noqa: F401
    BufferLost, Busy, Cancelled, CertificateError, CompileCrash, CompileError, ConnectionLost, DeadlineExceeded, Error,
    InternalError, InvalidArgument, InvalidModule, MissingSymbol, NoMatch, PermissionDenied, ProtocolMismatch, Quarantined,
    RemoteCrash, RemoteException, ResourceExhausted, StateLost, TypingError, Unavailable, UnknownName,
    UnknownSession, UnknownTarget, UnsupportedFeature, WorkerLost,
)
from .caller import Caller
from .remotejit import RemoteJIT, Signature, Target, connect, default_farm, set_default_farm
from .typesystem import Type


def __getattr__(name):
    if name == "cuda":  # brings numba along
        import importlib

        return importlib.import_module(".cuda", __name__)
    if name == "DeviceArray":  # brings NumPy along
        from .buffers import DeviceArray

        return DeviceArray
    if name == "gather":
        from .queue import gather

        return gather
    raise AttributeError(f"module 'rbc' has no attribute '{name}'")


__all__ = [
    "BufferLost", "Busy", "Caller", "Cancelled", "CertificateError", "CompileCrash", "CompileError", "ConnectionLost",
    "DeadlineExceeded", "DeviceArray", "Error", "InternalError", "InvalidArgument", "InvalidModule", "MissingSymbol",
    "NoMatch", "PermissionDenied",
    "ProtocolMismatch", "Quarantined", "RemoteCrash", "RemoteException", "RemoteJIT", "ResourceExhausted", "Signature",
    "StateLost", "Target", "Type", "TypingError", "Unavailable", "UnknownName", "UnknownSession", "UnknownTarget",
    "UnsupportedFeature", "WorkerLost", "__version__", "connect", "default_farm", "gather", "set_default_farm",
]
