"""Callers travel as the source of their function, their signatures and their target; never with an address or a token.
Where one arrives it runs on that process's own farm (rbc.default_farm).

A pickled caller is two lists, of functions and of callers, whose free names refer to each other by number: so functions
may call each other in circles. The first caller is the one that was pickled.

SPDX-License-Identifier: Apache-2.0
"""

import builtins
import dis
import hashlib
import importlib
import inspect
import linecache
import pickle
import sys
import threading
import types as pytypes
import weakref

from . import _source
from ._errors import InvalidArgument


def reduce_caller(caller):
    if caller.py_func is None:
        return _rebuild_connected, (caller.__name__,)
    description = _Description()
    description.caller_number(caller)
    return _rebuild, (description.functions, description.callers, description.digest())


# ---- taken apart -----------------------------------------------------------------------------------------------------


class _Description:
    """What has to travel with a caller."""

    def __init__(self):
        self.functions, self.callers = [], []
        self._numbers = {}  # id -> place in its list; all of it lives as long as the first caller does

    def caller_number(self, caller):
        if id(caller) not in self._numbers:
            self._numbers[id(caller)] = len(self.callers)
            self.callers.append(None)
            added = [] if caller._infers else caller._added
            signatures = [[s.declaration() for s in some] for some in (caller._declared, caller._annotated, added)]
            self.callers[self._numbers[id(caller)]] = (
                type(caller), self.function_number(caller.py_func), *signatures, caller._options, caller._target)
        return self._numbers[id(caller)]

    def function_number(self, function):
        if id(function) not in self._numbers:
            self._numbers[id(function)] = len(self.functions)
            self.functions.append(None)
            self.functions[self._numbers[id(function)]] = self._function(function)
        return self._numbers[id(function)]

    def digest(self):
        """What is equal where the same is pickled again, by a process of the same kind at least; None: nobody can tell."""
        try:
            return hashlib.blake2s(pickle.dumps((self.functions, self.callers))).digest()
        except Exception:
            self._check_values()
            return None

    def _check_values(self):
        for described in self.functions:
            for name, what in described["names"].items():
                if what[0] == "value":
                    _check_travels(name, what[1], described["qualname"])

    def _function(self, function):
        source, line = _source.of(function)
        return {"name": function.__name__, "qualname": function.__qualname__, "module": function.__module__,
                "doc": function.__doc__, "source": source, "line": line, "defaults": function.__defaults__,
                "keyword_defaults": function.__kwdefaults__,
                "names": {name: self._value(value) for name, value in _free_names(function).items()}}

    def _value(self, value):
        if isinstance(value, pytypes.ModuleType):
            return "module", value.__name__
        if getattr(type(value), "__rbc_caller__", False) and value.py_func is not None:
            return "caller", self.caller_number(value)
        if inspect.isfunction(getattr(value, "py_func", None)):  # of numba
            return "njit", self.function_number(value.py_func), dict(value.targetoptions), dict(value.locals)
        if inspect.isfunction(value) and not _is_library_s(value):
            return "function", self.function_number(value)
        return "value", value


def _is_library_s(function):
    """Whether it is there wherever the package is; numba knows such by what they are, not by their text."""
    package = (function.__module__ or "").partition(".")[0]
    return package in ("numba", "numpy", "rbc") or package in sys.stdlib_module_names


def _free_names(function):
    """What the names mean that a function and those inside of it use and do not make."""
    found = {}
    for name in sorted(_global_names(function.__code__)):
        if name in function.__globals__:  # else it is Python's own, or numba says what is missing
            found[name] = function.__globals__[name]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            found[name] = cell.cell_contents
        except ValueError:  # not set yet
            pass
    return found


def _global_names(code):
    names = {i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    for inner in code.co_consts:
        if isinstance(inner, pytypes.CodeType):
            names |= _global_names(inner)
    return names


def _check_travels(name, value, qualname):
    """Raises InvalidArgument for a value that no pickler in use here can take."""
    for pickler in ("pickle", "cloudpickle", "joblib.externals.cloudpickle"):
        if pickler in sys.modules:
            try:
                sys.modules[pickler].dumps(value)
                return
            except Exception as error:
                reason = error
    raise InvalidArgument(f"'{name}', which {qualname} uses, cannot be pickled: {reason}")


# ---- put together ----------------------------------------------------------------------------------------------------


def _rebuild(functions, callers, digest=None):
    from .remotejit import default_farm

    farm = default_farm()
    with _lock:
        known = _arrived.get(digest)
        if known is None or known.farm() is not farm:
            known = _Arrived(farm, functions, callers)
        if digest is not None:
            _arrived.pop(digest, None)
            _arrived[digest] = known
            if len(_arrived) > _MOST_ARRIVED:
                del _arrived[next(iter(_arrived))]
    caller = _make_caller(farm, known.functions, *callers[0])
    caller._shared = known.lowered
    return caller


class _Arrived:
    """What was made of a pickle. One for each task of a pool is lowered once."""

    def __init__(self, farm, functions, callers):
        self.farm = weakref.ref(farm)
        self.lowered = {}
        self.functions = [_make_function(described) for described in functions]
        rebuilt = [_make_caller(farm, self.functions, *described) for described in callers]
        for function, described in zip(self.functions, functions):
            names = {name: _meaning(self.functions, rebuilt, *what) for name, what in described["names"].items()}
            function.__globals__.update(names)


_MOST_ARRIVED = 128
_arrived = {}  # digest -> _Arrived, those used last at the end
_lock = threading.RLock()


def _rebuild_connected(name):
    from .remotejit import default_farm

    return default_farm().connect(name)


def _make_caller(farm, functions, cls, number, declared, annotated, added, options, target):
    from .typesystem import Type

    caller = cls(farm, functions[number], [Type.fromstring(s) for s in declared],
                 [Type.fromstring(s) for s in annotated], options, target)
    for signature in added:
        caller.add_signature(signature)
    return caller


def _make_function(described):
    """In a namespace of its own."""
    # The lines of a traceback come from here, and the file's name does not depend on the machine.
    digest = hashlib.blake2s(described["source"].encode()).hexdigest()[:12]
    path = f"<rbc {described['name']} {digest}>"
    tree, text = _source.parsed(described["source"], described["line"])
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    namespace = {"__name__": described["module"], "__builtins__": builtins.__dict__}
    exec(compile(tree, path, "exec", flags=_source.ANNOTATIONS_STAY_TEXT, dont_inherit=True), namespace)
    function = namespace.pop(_source.NAME)
    function.__name__, function.__qualname__ = described["name"], described["qualname"]
    function.__doc__ = described["doc"]
    function.__defaults__, function.__kwdefaults__ = described["defaults"], described["keyword_defaults"]
    return function


def _meaning(functions, callers, kind, value, *more):
    if kind == "module":
        return importlib.import_module(value)
    if kind == "caller":
        return callers[value]
    if kind == "function":
        return functions[value]
    if kind == "njit":
        import numba

        options, local_types = more
        return numba.jit(locals=local_types, **options)(functions[value])
    return value
