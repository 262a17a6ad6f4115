"""The door to a farm, and signatures that decorate functions.

SPDX-License-Identifier: Apache-2.0
"""

import concurrent.futures
import ctypes
import html
import inspect
import itertools
import json
import os
import threading
import types as pytypes
import warnings
import weakref

from . import _core
from ._errors import InvalidArgument, UnknownTarget
from .caller import Caller
from .typesystem import Type

__all__ = ["RemoteJIT", "Signature", "Target", "connect", "default_farm", "set_default_farm"]

_OPTIONS = ("boundscheck", "fastmath", "error_model", "inline", "opt", "debug", "target", "timeout", "accuracy",
            "precise")


_IS_OPTION = {  # what an option may be, and how to say so
    "opt": (lambda value: type(value) is int and 0 <= value <= 3, "0, 1, 2 or 3"),
    "timeout": (lambda value: value is None or isinstance(value, (int, float)) and 0 <= value < 10**7,
                "seconds, from 0 (no limit of its own) to ten million"),
    "accuracy": (("fast", "accurate", "precise").__contains__, "'fast', 'accurate' or 'precise'"),
    "error_model": (("python", "numpy").__contains__, "'python' or 'numpy'"),
    "target": (lambda value: value is None or isinstance(value, str), "a target's name, such as 'host' or 'cuda'"),
}


class _Default(str):
    """A default that can be told from the same text given by a user."""


_LOCALHOST = _Default("localhost")


class Target:
    """A target of a farm: name, triple, data_layout, cpu, pointer_bits, devices, simulated, llvm_version."""

    def __init__(self, **properties):
        self.__dict__.update(properties)

    def __repr__(self):
        devices = f", {', '.join(self.devices)}" if self.devices else ""
        simulated = ", simulated" if self.simulated else ""
        return f"<rbc target {self.name}: {self.triple}, {self.cpu}{devices}{simulated}>"

    def _repr_html_(self):
        return f"<code>{html.escape(repr(self)[1:-1])}</code>"


class Signature:
    """Signatures on their way to functions. Decorates any number of them; calling it with further signatures gives the
    longer one."""

    def __init__(self, rjit, signatures=(), options=None):
        self.rjit = rjit
        self.signatures = tuple(signatures)
        self.options = dict(options or {})

    def __call__(self, *objects, **settings):
        return self.rjit._make(objects, settings, self)

    def __iter__(self):
        return iter(self.signatures)

    def __len__(self):
        return len(self.signatures)

    def __eq__(self, other):
        return isinstance(other, Signature) and self.signatures == other.signatures

    __hash__ = None

    def __str__(self):
        return "; ".join(map(str, self.signatures))

    def __repr__(self):
        return f"<rbc signature {self}>"

    def _repr_html_(self):
        return "<br>".join(f"<code>{html.escape(str(s))}</code>" for s in self.signatures)


class RemoteJIT:
    """A farm, for use as a decorator.

    host       'localhost' is loopback; 'unix:PATH', 'ssh://user@box', 'tls://box', another machine's name, or a farm's name in the
               user's rbc/client.toml. Not given: RBC_FARM, else client.toml's default, else loopback
    port       of the host
    unix       the path of a Unix socket, instead of a host
    tls        True: TLS, believing the system's CAs; the path of a CA's certificate: believing that one; a dict of
               ca, certificate and key (paths), where the farm asks for a certificate
    token      instead of the one in RBC_TOKEN or client.toml
    namespace  where published functions live
    timeout    seconds that a request may take, waiting included
    target     where functions run unless they say otherwise
    debug      compile functions with debug information
    direct     False: share no memory with a farm on this machine; all goes over the socket
    compress   arrays on their way to a farm on another machine: "auto" where the line is measured to be slow enough
               for it to gain, "on", "off"; "auto" takes the environment's RBC_COMPRESS

    Opens no connection. Thread-safe; a forked child starts with a session of its own.
    """

    def __init__(self, host=_LOCALHOST, port=11530, *, unix=None, tls=None, token=None, namespace=None, timeout=None,
                 connect_timeout=10.0, target="host", debug=False, direct=True, compress="auto"):
        self._settings = dict(token=token or "", namespace=namespace or "", compress=compress, **_tls_files(tls),
                              timeout_ms=_milliseconds("timeout", timeout or 0),
                              connect_timeout_ms=_milliseconds("connect_timeout", connect_timeout), direct=bool(direct))
        self.default_target = target
        self._debug = debug
        self._may_move = host is _LOCALHOST or (host == "localhost" and port == 11530)
        self._targets = None
        self._server = None
        self._pool = None
        self._profiles = []
        self._lock = threading.RLock()
        self._callers, self._callers_lock = weakref.WeakSet(), threading.Lock()
        self._connect_to(_address(host, port, unix, bool(tls)))
        _latest[0] = self

    def _connect_to(self, address):
        """From now on it means the farm there: what was compiled at another one is compiled anew."""
        self._farm = _core.Farm(address, **self._settings)
        self._targets = None
        with self._callers_lock:
            callers = list(self._callers)
        for caller in callers:
            caller._forget()

    def _knows(self, caller):
        with self._callers_lock:
            self._callers.add(caller)

    @property
    def address(self):
        return self._farm.address

    # ---- decorators --------------------------------------------------------------------------------------------------

    def __call__(self, *objects, **settings):
        """rjit('sig', ...), rjit(signature object, numba signature or CFUNCTYPE, ...): a Signature.
        rjit(function), rjit(function, 'sig', ...), rjit(numba.njit function): a Caller.
        Keywords are options (boundscheck, fastmath, error_model, inline, opt, debug, target, timeout, accuracy,
        precise) or templates:
        rjit('T(T, T)', T=['int32', 'float64'])."""
        return self._make(objects, settings, Signature(self))

    def kernel(self, *signatures, target="cuda", **options):
        """@rjit.kernel('void(float64*, int64)'): a kernel, see rbc.cuda; k[blocks, threads](arguments) launches it.
        @rjit.kernel alone: types are those of the arguments at each first launch."""
        from ._kernel import Kernel

        if signatures and _is_function(signatures[0]):
            return self.kernel(*signatures[1:], target=target, **options)(signatures[0])
        expanded = [s for signature in signatures for s in self._expand(signature, {})]

        def decorate(function):
            return Kernel(self, function, expanded, (), options, target)

        return decorate

    def _make(self, objects, settings, base):
        options, templates = dict(base.options), {}
        for name, value in settings.items():
            (options if name in _OPTIONS else templates)[name] = value
        if options.pop("precise", False):
            options["accuracy"] = "precise"
        _check_options(options)
        _check_templates(objects, templates)
        functions = [obj for obj in objects if _is_function(obj)]
        if len(functions) > 1 or (functions and objects[0] is not functions[0]):
            raise InvalidArgument("give one function, before its signatures")
        signatures = list(base.signatures)
        for obj in objects[len(functions):]:
            signatures.extend(self._expand(obj, templates))
        if not functions:
            return Signature(self, signatures, options)
        return self._decorate(functions[0], signatures, options)

    def _expand(self, obj, templates):
        if isinstance(obj, Signature):
            return list(obj.signatures)
        if templates and isinstance(obj, str):
            given = {}
            for name, value in templates.items():
                values = value if isinstance(value, (list, tuple)) and not isinstance(value, Type) else [value]
                given[name] = [v if isinstance(v, str) else Type.fromobject(v).tostring() for v in values]
            used = _reachable(obj, given)
            return [Type.fromstring(text) for text in
                    _core.expand_templates(obj, {k: v for k, v in given.items() if k in used})]
        try:
            signature = Type.fromobject(obj)
        except ValueError:
            if not callable(obj) or isinstance(obj, type):
                raise
            raise InvalidArgument(f"{obj!r} is no Python function; wrap it in one with def") from None
        _core.check_signature(signature._text(), None)
        return [signature]

    def _decorate(self, function, signatures, options):
        if isinstance(function, Caller):
            if function.py_func is None:
                raise InvalidArgument(f"{function.__name__} is somebody's published function; its signature is given")
            # Of stacked decorators the inner one's come first.
            return Caller(self, function.py_func, function._declared + signatures, function._annotated,
                          {**function._options, **options}, options.get("target", function._target))
        py_func = getattr(function, "py_func", function)  # of a numba.njit function
        if not inspect.isfunction(py_func):
            raise InvalidArgument(f"{function!r} is no Python function")
        if py_func is not function:
            options = {**_numba_options(function), **options}
        annotated = []
        annotations = {k: v for k, v in py_func.__annotations__.items()}
        if "return" in annotations:  # else the types follow the arguments
            try:
                annotated = [Type.fromcallable(py_func)]
            except ValueError:
                if not signatures and len(annotations) > len(inspect.signature(py_func).parameters):
                    raise
        if self._debug:
            options.setdefault("debug", True)
        before = len(signatures)
        unique = list(dict.fromkeys(signatures))
        if len(unique) != before:
            warnings.warn(f"a signature of {py_func.__name__} is declared twice", stacklevel=4)
        return Caller(self, py_func, unique, annotated, options, options.get("target"))

    # ---- the farm ------------------------------------------------------------------------------------------------------

    @property
    def targets(self):
        """The farm's targets, by name."""
        with self._lock:
            if self._targets is None:
                self._targets = {t["name"]: Target(**t) for t in self._farm.targets()}
            return dict(self._targets)

    def _target_named(self, name):
        targets = self._targets if self._targets is not None else self.targets
        base, _, device = str(name).partition(":")
        if base not in targets or (device and not device.isdigit()):
            listed = ", ".join(f"'{t}'" for t in targets)
            raise UnknownTarget(f"the farm at {self.address} has no target '{name}'; it has {listed}",
                                kind="UnknownTarget")
        return targets[base]  # "cuda:1" is cuda on one device

    def status(self):
        """Everything that the farm says about itself, as a dict."""
        return json.loads(self._farm.status())

    def connect(self, name):
        """A caller for the function that somebody has published under `name`."""
        function = self._farm.connect(name)
        caller = Caller(self, None, target=function.target)
        caller.__name__ = caller.__qualname__ = name
        caller.__doc__ = f"The function that is published as '{name}': {function.signature}"
        caller._add(function.signature)
        caller._set(0, function)
        return caller

    def withdraw(self, name):
        """Takes a published name back."""
        self._farm.withdraw(name)

    def close(self):
        """Ends the session: its modules and workers are released. The next call starts a new one."""
        self._farm.close()

    def _submit(self, caller, args, kwargs):
        with self._lock:
            if self._pool is None or self._pool.pid != os.getpid():
                self._pool = _Pool()
        return self._pool.submit(caller, args, kwargs)

    # ---- arrays that stay there ------------------------------------------------------------------------------------

    def empty(self, shape, dtype=float, order="C", name=None, target=None):
        """A new array in the farm's memory, a DeviceArray; its elements are what they happen to be. With a target ("cuda",
        "cuda:1") it lies in the memory of that device."""
        from . import buffers

        return buffers.empty(self, shape, dtype, order, name, target)

    def to_device(self, array, name=None, target=None):
        """The array, or what NumPy makes one of, in the farm's memory or, with a target ("cuda", "cuda:1"), in that of a
        device: a DeviceArray. One that lies elsewhere is copied there; "host" is the farm's own memory."""
        from . import buffers

        return buffers.to_device(self, array, name, target)

    @property
    def buffers(self):
        """The arrays that this session has on the farm: dicts of id, name, dtype, shape and bytes."""
        return self._farm.buffers()

    def free(self, name):
        """Frees the arrays with this name that this RemoteJIT has made, whoever holds them; how many these were."""
        return self._farm.free(name)

    # ---- a farm of one's own ---------------------------------------------------------------------------------------

    def start_server(self, background=False, port=None, simulate_gpu=False):
        """Starts rbc-farm on this machine and waits until it answers. background=False blocks until it is stopped.

        port=0 takes a free port; port='unix' a socket that only this user reaches. Where the default port is taken, in
        the background a free one is used. simulate_gpu=True plays a GPU on this machine's processor, for tests. As a context manager it gives this RemoteJIT, and stops the server at the end."""
        from . import _server

        with self._lock:
            if self._server is None or not self._server.running:
                # In the foreground only others call it, who know no other port.
                self._server = _server.start(self, port, simulate_gpu, self._may_move and background)
        if not background:
            self._server.wait()
        return _Started(self)

    def stop_server(self):
        """Stops the server that start_server has started, gracefully. Twice is harmless."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop_server()
        self.close()

    def queue(self, eager=False, timeout=None):
        """Calls and maps that wait for nothing: with rjit.queue() as q: y = q(f, x); rbc/queue.py. `timeout` in seconds, of
        what travels together."""
        from .queue import Queue

        return Queue(self, eager, timeout)

    def profile(self):
        """with rjit.profile() as p: ...; p is a table of the calls made meanwhile, with a line of advice."""
        from . import _profile

        return _profile.Profile(self)

    def __repr__(self):
        return f"<rbc farm at {self.address}>"

    def _repr_html_(self):
        return f"rbc farm at <code>{html.escape(self.address)}</code>"


class _Started:
    """with rjit.start_server(background=True) as rjit: ..."""

    def __init__(self, rjit):
        self._rjit = rjit

    def __enter__(self):
        return self._rjit

    def __exit__(self, *exc):
        self._rjit.stop_server()

    def __repr__(self):
        return f"<rbc server at {self._rjit.address}>"

    def _ipython_display_(self):
        """A notebook shows the line that was printed, no more."""


class _Future(concurrent.futures.Future):
    """A Future that can also be awaited, and cancelled while its call runs."""

    def __init__(self):
        super().__init__()
        self._token = _core.CancelToken()

    def cancel(self):
        """A call that runs is stopped by the farm, and result() raises CancelledError when it is. False: it is over."""
        if super().cancel():
            return True
        running = self.running()
        if running:
            self._token.cancel()
        return running

    def __await__(self):
        import asyncio

        return asyncio.wrap_future(self).__await__()


class _Pool:
    """Threads for submitted calls, as many as calls are under way, up to a bound; they end when idle."""

    def __init__(self, most=64):
        self.pid = os.getpid()
        self._executor = concurrent.futures.ThreadPoolExecutor(most, thread_name_prefix="rbc")

    def submit(self, caller, args, kwargs):
        future = _Future()

        def run():
            if not future.set_running_or_notify_cancel():
                return
            _core.set_cancel_token(future._token)
            try:
                future.set_result(caller(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)
            finally:
                _core.set_cancel_token(None)

        self._executor.submit(run)
        return future


_latest = [None]
_default = [None]


def set_default_farm(rjit):
    """The RemoteJIT that unpickled callers and rbc.connect() use in this process."""
    _default[0] = rjit


def default_farm():
    """What set_default_farm was given, else the RemoteJIT made last, else one for RBC_FARM, client.toml or loopback."""
    if _default[0] is not None:
        return _default[0]
    if _latest[0] is None:
        RemoteJIT()
    return _latest[0]


def connect(name, host=None, port=11530, **options):
    """A caller for the function that somebody has published under `name` in the farm's namespace."""
    if host is None and not options:
        return default_farm().connect(name)
    return RemoteJIT(_LOCALHOST if host is None else host, port, **options).connect(name)


def _milliseconds(name, seconds):
    if not 0 <= seconds < 10**7:
        raise InvalidArgument(f"{name} is {seconds!r} seconds; give 0 (no limit of its own) to ten million")
    return int(round(seconds * 1000))


def _tls_files(tls):
    """What the library calls the files of tls=..."""
    if not tls or tls is True:
        return {}
    files = {name: os.fspath(path) for name, path in tls.items()} if isinstance(tls, dict) else {"ca": os.fspath(tls)}
    unknown = set(files) - {"ca", "certificate", "key"}
    if unknown:
        raise InvalidArgument(f"tls has no {', '.join(sorted(unknown))}; it takes ca, certificate and key")
    return files


def _host_and_port(host, port):
    name, _, number = host.rpartition(":")
    if number.isdigit() and (name.endswith("]") or ":" not in name):
        return host  # "box:11531", "[::1]:11531"
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def _tls_address(host, port, unix):
    if unix is not None or host.startswith(("unix:", "ssh://")):
        raise InvalidArgument("TLS is for TCP; leave tls out for a Unix socket and for ssh")
    if host is _LOCALHOST and port == 11530 and _is_configured():
        return ""
    return host if host.startswith("tls://") or _is_named_farm(host) else f"tls://{_host_and_port(host, port)}"


def _address(host, port, unix, tls=False):
    if not isinstance(host, str):
        raise InvalidArgument(f"host is {host!r}; give a name, an address, 'unix:PATH' or 'ssh://user@box'")
    if tls:
        return _tls_address(host, port, unix)
    if unix is not None:
        return f"unix:{os.path.abspath(unix)}"
    if host is _LOCALHOST:
        # Nothing was asked for: the user's configuration decides, or a port on loopback.
        if port == 11530:
            return "" if _is_configured() else "127.0.0.1:11530"
        return f"127.0.0.1:{port}"
    if host == "localhost":
        return f"127.0.0.1:{port}"
    if host.startswith(("unix:", "ssh://", "tls://")) or _is_named_farm(host):
        return host
    return _host_and_port(host, port)


def _client_toml():
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(base, "rbc", "client.toml")


def _is_configured():
    return bool(os.environ.get("RBC_FARM")) or os.path.exists(_client_toml())


def _is_named_farm(host):
    """Whether client.toml knows a farm of that name; the library reads the rest of it."""
    try:
        with open(_client_toml(), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return False
    return f"{host}]" in text.replace('"', "")


def _is_function(obj):
    if isinstance(obj, (Caller, pytypes.FunctionType)):
        return True
    return not isinstance(obj, type) and hasattr(obj, "py_func") and hasattr(obj, "targetoptions")


def _numba_options(dispatcher):
    kept = ("fastmath", "error_model", "boundscheck")
    return {k: v for k, v in dispatcher.targetoptions.items() if k in kept and v is not None}


def _check_options(options):
    for name, (is_right, meant) in _IS_OPTION.items():
        if name in options and not is_right(options[name]):
            raise InvalidArgument(f"{name} is {options[name]!r}; give {meant}")


def _check_templates(objects, templates):
    """A keyword that no signature has a use for is a misspelt option."""
    import re

    values = [v for value in templates.values() for v in (value if isinstance(value, (list, tuple)) else (value,))]
    used = {word for text in (*objects, *values) if isinstance(text, str) for word in re.findall(r"[A-Za-z_]\w*", text)}
    for name in templates:
        if name not in used:
            raise InvalidArgument(f"there is no option '{name}', and no signature has a type of that name; "
                                  f"options are {', '.join(_OPTIONS)}")


def _reachable(text, templates):
    """The placeholders that a signature uses, over other placeholders too."""
    import re

    seen, todo = set(), [text]
    while todo:
        for word in re.findall(r"[A-Za-z_]\w*", todo.pop()):
            if word in templates and word not in seen:
                seen.add(word)
                todo.extend(templates[word])
    return seen
