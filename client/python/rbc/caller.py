"""A function that runs on a farm.

SPDX-License-Identifier: Apache-2.0
"""

import functools
import html
import inspect
import sys
import threading
import warnings

from . import _core, _exceptions, _progress
from ._errors import Error, InvalidArgument, NoMatch, RemoteException, TypingError
from .typesystem import Type

__all__ = ["Caller"]


@functools.lru_cache(maxsize=4096)
def _parsed(signature):
    return Type.fromstring(signature)


class Caller(_core.CallerBase):
    """Calls a Python function on a farm. Made by rbc.RemoteJIT; lowered and compiled at the first call of each
    signature. Thread-safe; waits without the GIL.

    f(*args, **kwargs)      the call: the signature with the lowest penalty takes the arguments
    f.submit(*args)         the same on another thread: a concurrent.futures.Future, which can also be awaited
    f.batch(rows)           many calls in one round trip
    f(x, y, out=, where=)   on NumPy arrays: the function of each element, by NumPy's rules
    f.reduce(x, axis=0)     an array's elements combined; f.accumulate(x, axis=0) with all steps on the way
    f.local(*args)          the same function in this process
    f.target('cuda')        where it runs from now on
    f.add_signature(sig)    one more signature
    f.get_IR()              what is sent, as LLVM IR
    f.publish(name)         lets others find it by rbc.connect(name)
    """

    __rbc_caller__ = True
    _abi = "status_retptr"

    def __init__(self, rjit, py_func, signatures=(), annotated=(), options=None, target=None):
        self._rjit = rjit
        self.py_func = py_func
        self._options = dict(options or {})
        self._target = target or rjit.default_target
        self._lock = threading.RLock()
        self._raised = threading.local()  # values of the exception whose output was just taken
        self._table = None  # of a published function's exceptions, once asked for
        self._lowered = {}  # index -> _numba.Lowered
        self._shared = None  # what equal callers have lowered in this process, once it was pickled
        self._plans = {}  # dtypes -> _arrays.Plan
        self._declared, self._annotated, self._added = [], [], []
        self._known = []  # the signatures, as far as they were asked for
        self._with_names = {}  # of signatures with structs: their texts with the names of the members
        self._python_signature = None
        arity = -1
        if py_func is not None:
            self._python_signature = inspect.signature(py_func)
            for parameter in self._python_signature.parameters.values():
                if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
                    raise InvalidArgument(
                        f"parameter '{parameter.name}' of {py_func.__name__} has no place in a signature; "
                        "functions of a farm have a fixed number of positional parameters")
            arity = len(self._python_signature.parameters)
            functools.update_wrapper(self, py_func)
            if py_func.__doc__ is None:  # help(f) would be all about this class
                self.__doc__ = (f"{self.__name__}{self._python_signature}, which runs on a farm. help(rbc.Caller) says what "
                                "can be done with it.")
        super().__init__(arity)
        for kept, given in ((self._declared, signatures), (self._annotated, annotated)):
            for signature in given:
                if self._add_named(signature):
                    kept.append(signature)
        rjit._knows(self)
        self._infers = py_func is not None and not self._declared and not self._annotated
        self._set_timeout_ms(int((self._options.get("timeout") or 0) * 1000))

    # ---- signatures ----------------------------------------------------------------------------------------------

    @property
    def _signatures(self):
        if len(self._known) != self._count:
            self._known = [_parsed(text) for text in self._signature_texts()]
        return list(self._known)

    @property
    def signatures(self):
        """The signatures in the order in which a tie is decided."""
        return self._signatures

    def add_signature(self, signature):
        """One more signature, in any form that RemoteJIT takes."""
        signature = Type.fromobject(signature)
        with self._lock:
            if self._add_named(signature):
                self._added.append(signature)
                self._infers = False
            else:
                warnings.warn(f"signature `{signature}` of {self.__name__} is declared already", stacklevel=2)

    def _add_named(self, signature):
        is_new = self._add(_signature_text(signature))
        if is_new and isinstance(signature, Type) and "{" in signature.tostring():
            self._with_names[signature.tostring()] = signature.declaration()
        return is_new

    def _infer(self, args):
        """Lowers the function for the types of these arguments; the index of the new signature."""
        from . import _numba

        given = [_type_for_lowering(value) for value in args]
        with self._lock:
            try:
                lowered = self._once(" ".join(map(str, given)), lambda: _numba.lower_for(
                    self.py_func, self.__name__, given, self._rjit._target_named(self._target), self.numba_options))
            except TypingError as error:
                raise error.with_traceback(None) from None
            signature = Type(Type.fromstring(lowered.result), tuple(given))
            text = signature.tostring()
            if self._add(text):
                self._added.append(signature)
            index = self._signature_texts().index(text)
            self._install(index, lowered)
            return index

    # ---- calls -----------------------------------------------------------------------------------------------------

    def _bind(self, args, kwargs):
        """Positional arguments in order, with keywords and defaults put in their place; for rbc._core."""
        if not isinstance(args, tuple):
            args = tuple(args) if isinstance(args, (list,)) else (args,)
        if self._python_signature is None:
            if kwargs:
                raise TypeError(f"{self.__name__} is known by its type only; pass its arguments by position")
            return args
        bound = self._python_signature.bind(*args, **(kwargs or {}))
        bound.apply_defaults()
        return tuple(bound.arguments.values())

    def _profiled(self, args, kwargs):
        """A call while some profile is on; for rbc._core."""
        if not self._rjit._profiles:
            return self._call(self._bind(args, kwargs))
        from . import _profile

        return _profile.profiled_call(self, args, kwargs)

    def _profiled_work(self, calls, work):
        """work(), which makes so many calls at once, seen by the profiles that are on."""
        if not self._rjit._profiles or not calls:
            return work()
        from . import _profile

        return _profile.timed(self, lambda: 0 if len(self._signature_texts()) == 1 else None, calls, work)

    def submit(self, *args, **kwargs):
        """The call on a thread of its own: a Future with result() and cancel(), and awaitable. Cancelled while it runs, or
        its awaiting task is, the farm stops it."""
        return self._rjit._submit(self, args, kwargs)

    def batch(self, rows, return_exceptions=False):
        """A call for each tuple of arguments in `rows`, all in one round trip; the list of results. What a row raises is
        raised, or with return_exceptions put in its place."""
        rows = list(rows)
        results = self._profiled_work(len(rows), lambda: self._batch(rows))
        if not return_exceptions:
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        return results

    def map(self, *arrays, out=None, where=True, accuracy=None):
        """The function for each element of arrays that stretch to one shape as NumPy's do, in one go on the target. What
        an element raises is raised; `error.rbc_index` says which one, `error.rbc_row` its number in C order.

        f(x, y) does the same where f takes numbers and is given arrays. Arrays are converted to the parameters' types
        where nothing can be lost, Python's numbers take the arrays' types; float32 stays float32. Several results (a
        struct) are a tuple of arrays. out: an array to write into (a tuple for several). where: only elements where it
        is true are computed. accuracy: of exp, sin, pow, ... on host: "fast" (4 ulp, the default), "accurate" (1 ulp, sinh and cosh 2) or
        "precise" (the very results of a call, which are libm's)."""
        from . import _arrays

        return _arrays.call(self, arrays, out=out, where=where, accuracy=accuracy)

    def reduce(self, array, axis=0, initial=None, keepdims=False, out=None, ordered=False, accuracy=None):
        """The elements of an array along an axis, several, or all (axis=None) combined by this function, as
        numpy.add.reduce does: f takes two values of one type, gives a third, and is associative. Elements are combined in
        a tree that depends on the shape alone, in their order: the same bits at each run. ordered: strictly from the
        first to the last. initial is combined first, and is the result where there are no elements. accuracy: as in
        map."""
        from . import _arrays

        return _arrays.reduce(self, array, axis, initial, keepdims, out, ordered, accuracy)

    def accumulate(self, array, axis=0, out=None, accuracy=None):
        """Element i of the result is elements 0 to i along the axis, combined by this function, as
        numpy.add.accumulate does."""
        from . import _arrays

        return _arrays.accumulate(self, array, axis, out, accuracy)

    def _takes_arrays(self, args):
        """Whether arguments that no signature takes are arrays for a function of numbers; for rbc._core."""
        if self.py_func is None and not self._signature_texts() or "numpy" not in sys.modules:
            return False
        from . import _arrays

        return _arrays.takes(self, args)

    def _explain(self, error):
        """Adds to a mismatch what would have matched; for rbc._core."""
        if not isinstance(error, NoMatch) or not hasattr(error, "add_note"):
            return
        known = "; ".join(self._signature_texts())
        error.add_note(f"{self.__name__} takes: {known}" if known else f"{self.__name__} has no signature yet")
        error.add_note(f"convert the arguments, or {self.__name__}.add_signature(...)")

    def _over_arrays(self, args, kwargs):
        """A call with arrays in place of numbers; for rbc._core."""
        from . import _arrays

        given = {}
        if kwargs:
            kwargs = dict(kwargs)
            given = {name: kwargs.pop(name) for name in ("out", "where", "accuracy")
                     if name in kwargs and name not in self._parameters}
            if kwargs and not given:  # parameters that are called so
                return self._call(self._bind(args, kwargs))
        if kwargs or len(args) != len(self._parameters):
            args = self._bind(args, kwargs)
        return _arrays.call(self, args, **given)

    @property
    def _parameters(self):
        return self._python_signature.parameters if self._python_signature is not None else ()

    def local(self, *args, **kwargs):
        """The same function in this process, without the farm."""
        if self.py_func is None:
            raise InvalidArgument(f"{self.__name__} is somebody's published function; there is no source of it here")
        return self.py_func(*args, **kwargs)

    def _print(self, output):
        text = output.decode("utf-8", "replace")
        if _exceptions.RAISED_BEGIN in text:
            text, self._raised.values = _exceptions.take_raised(text)
            if not text:
                return
        sys.stdout.write(text)
        if not text.endswith("\n"):
            sys.stdout.flush()

    # ---- target, code ------------------------------------------------------------------------------------------------

    def target(self, name=None):
        """Sets where the function runs, if given; returns the previous target."""
        previous = self._target
        if name is not None and name != previous:
            if self.py_func is None:
                raise InvalidArgument(f"{self.__name__} is somebody's published function; its target is given")
            self._rjit._target_named(name)
            with self._lock:
                self._target = name
                self._forget()
        return previous

    def _forget(self):
        """All that is lowered and compiled; the signatures stay."""
        if self.py_func is not None:
            self._lowered.clear()
            self._reset()

    @property
    def numba_options(self):
        return {k: v for k, v in self._options.items() if k in ("boundscheck", "fastmath", "error_model", "inline")}

    def _once(self, types, lower):
        """lower(), but where an equal caller that came by pickle has done it for these types."""
        if self._shared is None:
            return lower()
        target = self._rjit._target_named(self._target)
        key = (target.name, target.triple, target.data_layout, types)
        if key not in self._shared:
            self._shared[key] = lower()
        return self._shared[key]

    def _lower(self, indices):
        from . import _numba

        texts = self._signature_texts()
        return _numba.lower_texts(self.py_func, self.__name__, [self._with_names.get(texts[i], texts[i]) for i in indices],
                                  self._rjit._target_named(self._target),
                                  dict(self.numba_options, kernel=self._abi == "kernel"))

    def _prepare(self, index):
        """Makes signature number `index` callable; for rbc._core. Gives the error of a function that cannot be lowered."""
        with self._lock:
            if self._get(index) is not None:
                return
            try:
                with _progress.of(f"lowering {self.__name__}"):
                    lowered = self._once(self._signature_texts()[index], lambda: self._lower([index]))
            except TypingError as error:
                return error.with_traceback(None)
            self._install(index, lowered)

    def _declared_text(self, index):
        """The type of the lowered function as the farm is told it."""
        return self._signature_texts()[index]

    def _install(self, index, lowered):
        farm = self._rjit._farm
        function = farm.function(
            lowered.bitcode, lowered.symbols[0], self._declared_text(index), target=self._target,
            abi=self._abi, opt_level=self._options.get("opt", 2), debug=bool(self._options.get("debug", False)),
            allow_contract=bool(self._options.get("fastmath", False)))
        self._lowered[index] = lowered
        self._set(index, function)
        if self._rjit._farm is not farm:  # start_server() has found another port meanwhile
            self._forget()

    def compile(self):
        """Lowers and compiles all signatures now. A dict of each one's handle, timings and whether it was known."""
        out = {}
        for index, text in enumerate(self._signature_texts()):
            out[text] = self._function(index).compile()
        return out

    def _function(self, index):
        """What the farm has for a signature, made now if need be; another thread may change the target meanwhile."""
        while (function := self._get(index)) is None:
            error = self._prepare(index)
            if error is not None:
                raise error
        return function

    def get_IR(self, signatures=None):
        """The LLVM IR of the function, as text of one module; of all signatures, of one, or of a list of them."""
        if self.py_func is None:
            return self._get(0).get_IR()
        texts = self._signature_texts()
        if isinstance(signatures, (str, Type)):
            signatures = [signatures]
        if signatures is not None:
            wanted = [Type.fromobject(s).tostring() for s in signatures]
            unknown = [text for text in wanted if text not in texts]
            if unknown:
                raise NoMatch(f"{self.__name__} has no signature `{unknown[0]}`; add it first")
            return self._lower([texts.index(text) for text in wanted]).text
        if not texts:
            raise NoMatch(f"{self.__name__} has no signature yet; add one, or call it")
        return self._lower(range(len(texts))).text

    def publish(self, name=None, expires=0.0):
        """Lets every client of the namespace find the function by rbc.connect(name)."""
        if len(self._signature_texts()) != 1:
            raise InvalidArgument(f"{self.__name__} has {len(self._signature_texts())} signatures and a published "
                                  "function has 1; publish a caller for each")
        self._function(0).publish(name or self.__name__, expires)

    # ---- exceptions ----------------------------------------------------------------------------------------------------

    def _exception(self, status, index):
        """The exception that a status stands for; for rbc._core."""
        if self.py_func is None:
            return self._published_exception(status)
        known = _exceptions.exception_of(status)
        if known is None:
            return self._unnamed_exception(status)
        cls, args, location = known
        args = self._with_values(args or ())
        try:
            error = cls(*args)
        except Exception:
            error = RemoteException(f"{cls.__name__} raised in {self.__name__} cannot be made from {args!r}",
                                    function=self.__name__, class_name=cls.__qualname__)
        return _located(error, location, self._target)

    def _published_exception(self, status):
        """The same for somebody else's function, by the table in its module. Classes that are not Python's own come as
        RemoteException."""
        if self._table is None:
            try:
                self._table = _exceptions.read_table(self._get(0).get_IR())
            except Error:  # the exception matters more than its explanation
                return self._unnamed_exception(status)
        if status not in self._table:
            return self._unnamed_exception(status)
        name, cls, args, where = self._table[status]
        args = self._with_values(args)
        try:
            error = cls(*args)
        except Exception:
            text = ", ".join(map(str, args))
            error = RemoteException(f"{name}: {text}" if text else name, function=self.__name__, class_name=name)
        return _located(error, (where[0], f"<published {self.__name__}>", where[1]) if where else None, self._target)

    def _unnamed_exception(self, status):
        return RemoteException(f"{self.__name__} ended with status {status}, which this client cannot name",
                               function=self.__name__)

    def _with_values(self, args):
        values = iter(self._raised.__dict__.pop("values", ()))
        return tuple(next(values, "<lost>") if isinstance(arg, _exceptions.AtRunTime) else arg for arg in args)

    # ---- what people and tools see -----------------------------------------------------------------------------------

    def __repr__(self):
        texts = "; ".join(self._signature_texts()) or "no signature yet"
        return f"<rbc function {getattr(self, '__name__', '?')}: {texts}; on {self._target} of {self._rjit.address}>"

    def _repr_html_(self):
        rows = "".join(f"<tr><td><code>{html.escape(text)}</code></td><td>"
                       f"{'compiled' if self._get(i) is not None else ''}</td></tr>"
                       for i, text in enumerate(self._signature_texts()))
        return (f"<b>{html.escape(self.__name__)}</b> on <code>{html.escape(self._target)}</code> of "
                f"<code>{html.escape(self._rjit.address)}</code><table>{rows}</table>")

    def __copy__(self):
        return self  # as for Python's functions

    def __deepcopy__(self, memo):
        return self

    def __reduce__(self):
        from . import _pickle

        return _pickle.reduce_caller(self)


def _type_for_lowering(value):
    """The type of a value; of a contiguous array also that it is so, for which numba makes better code."""
    outline = getattr(value, "_outline", lambda: value)()  # of arrays that are elsewhere
    given = Type.fromvalue(value if hasattr(type(value), "buffer_id") else outline)
    if given.is_array and outline.flags.c_contiguous:
        return Type(given[0], given[1][:-2] + "::1]")
    return given


def _signature_text(signature):
    return signature._text() if isinstance(signature, Type) else str(signature)


def _located(error, location, target):
    """The exception with a traceback that ends at the user's line, and a note that says where it ran."""
    if location is None:
        return error
    function, path, line = location
    if hasattr(error, "add_note"):
        error.add_note(f'raised in {function}, "{path}" line {line}, on target {target}')
    error.rbc_location = location
    try:
        code = compile("\n" * (line - 1) + "raise error", path, "exec").replace(co_name=function)
        exec(code, {"error": error})
    except BaseException as caught:
        if caught is not error:
            raise
        error.__traceback__ = error.__traceback__.tb_next if error.__traceback__ else None
    return error
