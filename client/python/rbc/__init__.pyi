# Types of the package.
# SPDX-License-Identifier: Apache-2.0
from . import cuda as cuda
from ._errors import (
    BufferLost as BufferLost, Busy as Busy, Cancelled as Cancelled, CertificateError as CertificateError,
    CompileCrash as CompileCrash, CompileError as CompileError, ConnectionLost as ConnectionLost,
    DeadlineExceeded as DeadlineExceeded, Error as Error, InternalError as InternalError,
    InvalidArgument as InvalidArgument, InvalidModule as InvalidModule, MissingSymbol as MissingSymbol,
    NoMatch as NoMatch, PermissionDenied as PermissionDenied, ProtocolMismatch as ProtocolMismatch,
    Quarantined as Quarantined, RemoteCrash as RemoteCrash, RemoteException as RemoteException,
    ResourceExhausted as ResourceExhausted, StateLost as StateLost, TypingError as TypingError,
    Unavailable as Unavailable, UnknownName as UnknownName, UnknownSession as UnknownSession,
    UnknownTarget as UnknownTarget, UnsupportedFeature as UnsupportedFeature, WorkerLost as WorkerLost,
)
from .buffers import DeviceArray as DeviceArray
from .caller import Caller as Caller
from .queue import gather as gather
from .remotejit import (
    RemoteJIT as RemoteJIT, Signature as Signature, Target as Target, connect as connect, default_farm as default_farm,
    set_default_farm as set_default_farm,
)
from .typesystem import Type as Type

__all__ = [
    "BufferLost", "Busy", "Caller", "Cancelled", "CertificateError", "CompileCrash", "CompileError", "ConnectionLost",
    "DeadlineExceeded", "DeviceArray", "Error", "InternalError", "InvalidArgument", "InvalidModule", "MissingSymbol",
    "NoMatch", "PermissionDenied",
    "ProtocolMismatch", "Quarantined", "RemoteCrash", "RemoteException", "RemoteJIT", "ResourceExhausted", "Signature",
    "StateLost", "Target", "Type", "TypingError", "Unavailable", "UnknownName", "UnknownSession", "UnknownTarget",
    "UnsupportedFeature", "WorkerLost", "__version__", "connect", "default_farm", "gather", "set_default_farm",
]

__version__: str
