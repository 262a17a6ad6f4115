"""What the package raises. Each class says by its kind what the caller does next (docs/errors.md).

SPDX-License-Identifier: Apache-2.0
"""


class Error(Exception):
    """Every failure of a farm or on the way to it. Exceptions that your function raises are not among them: they come
    back as themselves.

    kind            the farm's name for it, such as "RemoteCrash"
    role            who failed: "client", "daemon", "compile worker", "execution worker"
    function        the function that ran or was asked for
    cause, signal   of a crash
    may_have_run    the call may have had effects
    retry_safe      the same request may be sent again
    retry_after_ms  of Busy and Quarantined
    output          what the function printed before it ended (it has been printed already)
    diagnostics     the compiler's messages: dicts of severity, message, line, column and source_line
    """

    kind = "Internal"
    role = ""
    function = ""
    cause = ""
    signal = 0
    may_have_run = False
    retry_safe = False
    retry_after_ms = 0
    output = ""
    diagnostics = ()

    def __init__(self, message="", **fields):
        super().__init__(message)
        self.__dict__.update(fields)

    @property
    def message(self):
        return self.args[0] if self.args else ""

    def __reduce__(self):
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls, args, fields):
    error = cls(*args)
    error.__dict__.update(fields)
    return error


class TypingError(Error, TypeError):
    """The function cannot be lowered: numba does not know the types or an operation. `details` is all that numba says."""

    kind = "TypingError"
    details = ""


class UnsupportedFeature(Error):
    """Valid, but this farm or target cannot do it."""

    kind = "Unsupported"


class InvalidArgument(Error, ValueError):
    kind = "InvalidArgument"


class CompileError(Error):
    """The farm's compiler refused the module."""

    kind = "CompileFailed"


class CompileCrash(CompileError):
    kind = "CompileCrash"


class InvalidModule(CompileError):
    kind = "InvalidModule"


class MissingSymbol(CompileError):
    kind = "MissingSymbol"


class Quarantined(CompileError):
    kind = "Quarantined"


class DeadlineExceeded(Error, TimeoutError):
    kind = "DeadlineExceeded"


class RemoteCrash(Error):
    """The function itself crashed. The session goes on."""

    kind = "RemoteCrash"


class RemoteException(Error):
    """A published function raised something that is none of Python's own exceptions, or that this client cannot name.
    `class_name` is the class as its publisher calls it."""

    kind = "RemoteException"
    class_name = ""


class WorkerLost(Error):
    kind = "WorkerLost"


class StateLost(Error):
    kind = "StateLost"


class UnknownName(Error, LookupError):
    kind = "UnknownName"


class UnknownTarget(Error, LookupError):
    kind = "UnknownTarget"


class UnknownSession(Error):
    kind = "UnknownSession"


class Busy(Error):
    kind = "Busy"


class ResourceExhausted(Error):
    kind = "ResourceExhausted"


class ProtocolMismatch(Error):
    kind = "ProtocolMismatch"


class PermissionDenied(Error, PermissionError):
    kind = "PermissionDenied"


class Cancelled(Error):
    kind = "Cancelled"


class Unavailable(Error):
    kind = "Unavailable"


class ConnectionLost(Error, ConnectionError):
    kind = "ConnectionLost"


class CertificateError(ConnectionLost):
    """The farm's certificate, or this client's, is not accepted. The message says which file to name where."""

    cause = "wrong certificate"


class NoMatch(Error, TypeError):
    """No signature takes the arguments."""

    kind = "NoMatch"


class BufferLost(Error, LookupError):
    """The buffer was freed, or went with its session."""

    kind = "BufferLost"


class InternalError(Error):
    """A defect of the farm: report it."""

    kind = "Internal"


_CLASSES = {
    cls.kind: cls
    for cls in (
        InvalidArgument, UnsupportedFeature, CompileError, CompileCrash, InvalidModule, MissingSymbol, Quarantined,
        DeadlineExceeded, RemoteCrash, WorkerLost, StateLost, UnknownName, UnknownTarget, UnknownSession, Busy,
        ResourceExhausted, ProtocolMismatch, PermissionDenied, Cancelled, Unavailable, ConnectionLost, NoMatch,
        BufferLost, InternalError,
    )
}
_CLASSES["UnsupportedProducer"] = UnsupportedFeature
_CLASSES["UnknownModule"] = InternalError
_CLASSES["WrongFarm"] = ConnectionLost

# The next command to type, where there is one.
_ADVICE = {
    "ProtocolMismatch": "`pip install --upgrade rbc` here, or update the farm",
    "UnsupportedProducer": "update the farm, or install an older numba here",
}


# Of a ConnectionLost, by its cause.
_CONNECTION_ADVICE = {
    "no farm there": "start one with rjit.start_server(background=True), or with `rbc-farm` on that machine",
    "unknown host": "`ping` that name, or give rbc.RemoteJIT() the address in numbers",
}


def from_farm(kind, message, fields):
    """The exception for an error of the library; called by rbc._core."""
    cls = _CLASSES.get(kind, InternalError)
    if cls is ConnectionLost and fields["cause"] == CertificateError.cause:
        cls = CertificateError
    advice = _CONNECTION_ADVICE.get(fields["cause"]) if kind == "ConnectionLost" else _ADVICE.get(kind)
    if advice:
        message = f"{message} - {advice}"
    lines = [
        f"  {d['severity']}: {d['message']}" + (f" (line {d['line']})" if d["line"] else "") +
        (f"\n    {d['source_line']}" if d["source_line"] else "")
        for d in fields["diagnostics"]
    ]
    error = cls("\n".join([message, *lines]))
    error.__dict__.update(fields, kind=kind)
    return error
