"""Calls and maps that wait for nothing: they queue, travel together, and hand their arrays on where they run.

SPDX-License-Identifier: Apache-2.0
"""

import asyncio
import concurrent.futures
import numbers
import time

import numpy

from ._arrays import choose
from ._convert import dtype_text
from ._dtypes import dtype_of
from ._errors import InvalidArgument
from ._interchange import to_numpy
from ._kernel import STATUS_WORDS, Launch
from .buffers import DeviceArray
from .typesystem import Type

__all__ = ["Queue", "Queued", "gather"]

_NONE = -2  # numba's status of a result that is None


class Queued:
    """What a step of a queue gives, perhaps not there yet. To ask for it sends what is queued.

    x.result(timeout=None)  waits; raises what the function raised, or one whose array it needs
    np.asarray(x), float(x) the same
    await x                 in a coroutine
    x.future()              a concurrent.futures.Future
    """

    __array_priority__ = 1000
    __array_ufunc__ = None

    def __init__(self, queue, step, caller, index, target=None):
        self._queue, self._step, self._caller, self._index, self._target = queue, step, caller, index, target
        self._outcome = None
        signature = caller._signatures[index]
        result = signature[0]
        self.dtype = None if step is None else dtype_of(result[0] if result.is_array else result)

    def _outline(self):
        """An array of its type and dimensions, of which the lengths are not known yet."""
        if self.dtype is None:
            raise InvalidArgument(f"{self!r} is no array")
        return numpy.empty((0,) * self._step.rank, self.dtype)

    def done(self):
        """Whether it is over."""
        return self._step.wait(0.0)

    def wait(self, timeout=None):
        """Until it is over. False: it is not yet."""
        return self._step.wait(-1.0 if timeout is None else float(timeout))

    def cancel(self):
        """Takes it out of the queue. False: it is sent already; the queue's cancel() stops that."""
        return self._step.cancel()

    def result(self, timeout=None):
        """A DeviceArray (of a map with several results a tuple of them, views of one array), one value, or what a call
        returns."""
        if self._outcome is None:
            if not self.wait(timeout):
                raise concurrent.futures.TimeoutError()
            self._outcome = self._take()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome

    def exception(self, timeout=None):
        """What it raises, or None."""
        try:
            self.result(timeout)
        except concurrent.futures.TimeoutError:
            raise
        except Exception as error:
            return error
        return None

    def _take(self):
        try:
            outcome = self._step.outcome()
        except Exception as error:
            return error
        if outcome["output"]:
            self._caller._print(outcome["output"])
        status = outcome["status"]
        if "words" in outcome:
            words = outcome["words"]
            return self._caller._exception_of_thread(words, self._index) if words[0] != 0 else None
        if "value" in outcome:
            return outcome["value"] if status in (0, _NONE) else self._caller._exception(status, self._index)
        if status == _NONE and outcome["call"]:
            return None
        if status != 0:
            return self._queue._failed(outcome, self._caller, self._index)
        if self._target is not None:
            return self._target
        if "buffer" in outcome:
            is_struct = self._caller._signatures[self._index][0].is_struct
            return (DeviceArray._members if is_struct else DeviceArray._whole)(outcome["buffer"])
        return numpy.frombuffer(outcome["data"], dtype=self.dtype).reshape(outcome["shape"])[()]

    def add_done_callback(self, callback):
        """callback(self), on a thread of the library, once it is over."""
        self._step.then(lambda: callback(self))

    def future(self):
        """The same as a Future of concurrent.futures."""
        future = concurrent.futures.Future()
        future.set_running_or_notify_cancel()

        def over(_):
            error = self.exception()
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(self.result())

        self.add_done_callback(over)
        return future

    def __await__(self):
        return asyncio.wrap_future(self.future()).__await__()

    def get(self):
        """A copy of the elements as a NumPy array (of several results a tuple of them), or the value."""
        result = self.result()
        return tuple(map(_copied, result)) if isinstance(result, tuple) else _copied(result)

    def __array__(self, dtype=None, copy=None):
        result = self.result()
        if isinstance(result, DeviceArray):
            return result.__array__(dtype, copy)
        return numpy.asarray(result, dtype=dtype)

    def __float__(self):
        return float(self.get())

    def __int__(self):
        return int(self.get())

    def __repr__(self):
        state = "over" if self._outcome is not None else "queued"
        return f"<rbc queued {self._caller.__name__}: {state}>"


class Queue:
    """Steps that run in their order. To queue one waits for nothing but, at a function's first, what makes its code; what
    goes wrong is raised by the handles that need it. Nothing is sent before a handle is asked for, flush(), or the end of a
    `with` block; many steps go in batches. `eager`: each goes at once, with those queued meanwhile behind it.

        with rjit.queue() as q:
            y = q(f, x)          # for each element, as f(x); of numbers alone it is a call
            s = q.reduce(add, y)
        s.result()
    """

    def __init__(self, rjit, eager=False, timeout=None):
        self._rjit = rjit
        self._queue = rjit._farm.queue(eager, int((timeout or 0) * 1000))
        self._known = {}  # number of a step: its caller and signature, for the exception that it raises

    def __repr__(self):
        return f"<rbc queue of {self._rjit.address}>"

    def __enter__(self):
        return self

    def __exit__(self, kind, *exc):
        if kind is None:
            self.flush()
        else:
            self.cancel()

    def __call__(self, function, *args, out=None):
        """The function for each element of arrays, some of which may be handles of this queue. Of numbers alone, and of a
        function over arrays, a call; q(k[blocks, threads], x, ...) a launch."""
        if isinstance(function, Launch):
            return self.launch(function, *args)
        if out is None and (_is_over_arrays(function) or not any(self._is_array(arg) for arg in args)):
            return self.call(function, *args)
        return self.map(function, *args, out=out)

    def map(self, function, *args, out=None):
        values = [_Shown(arg) if isinstance(arg, Queued) else arg if _is_there(arg) else self._value(arg) for arg in args]
        index = choose(function, values)
        given = []
        for arg, value, parameter in zip(args, values, function._signatures[index][1]):
            if isinstance(arg, Queued):
                given.append(self._step_of(arg))
            else:
                given.append(_reference(value, dtype_of(parameter)))
        if out is not None and not isinstance(out, DeviceArray):
            raise InvalidArgument("a queued map writes into a DeviceArray; make one by rjit.empty()")
        function._function(index)
        return self._added(function, index, lambda: self._queue.map(
            function._function(index), given, None if out is None else _reference(out, out.dtype)), out)

    def reduce(self, function, array, axis=None, ordered=False):
        """The elements combined: one value without `axis`, which comes back with the reply."""
        index, given = self._combined(function, array)
        return self._added(function, index, lambda: self._queue.reduce(function._function(index), given, axis, ordered))

    def accumulate(self, function, array, axis=0):
        """Element i: elements 0 to i along the axis, combined in order."""
        index, given = self._combined(function, array)
        return self._added(function, index, lambda: self._queue.scan(function._function(index), given, axis))

    def call(self, function, *args):
        """A call with numbers, arrays that are on the farm, and those that earlier steps make. Arrays that the function
        returns stay there too."""
        self._check(args, "call", "; to others map the function, or call it itself")
        positional = function._bind(args, None)
        index = function._match(positional)
        function._function(index)
        result = function._signatures[index][0]
        if result.is_struct and any(result[i].is_array for i in range(len(result))):
            return self._added(function, index, lambda: self._queue.keep_all(function._function(index), positional))
        return self._added(function, index,
                           lambda: self._queue.call(function._function(index), positional, result.is_array))

    def launch(self, launch, *args):
        """q.launch(k[blocks, threads], x, 1000): a kernel over arrays that are on the farm, those that earlier steps make,
        and numbers."""
        self._check(args, "launch", "")
        kernel = launch.kernel
        args, index = kernel._ready(args, None)
        return self._added(kernel, index, lambda: self._queue.launch(
            kernel._function(index), launch.blocks, launch.threads, launch.shared_bytes, args, STATUS_WORDS))

    def flush(self):
        """Sends what is queued, and waits for nothing."""
        self._queue.flush()

    def wait(self):
        """Until all is over that is queued now."""
        self._queue.wait()

    def cancel(self):
        """Stops the running step and all after it. True if there was one."""
        return self._queue.cancel()

    # ---- insides -----------------------------------------------------------------------------------------------------

    @staticmethod
    def _is_array(arg):
        return not isinstance(arg, numbers.Number)

    @staticmethod
    def _value(arg):
        if isinstance(arg, numbers.Number):
            return arg
        array = to_numpy(arg)
        if array.dtype.kind not in "biufc" or array.dtype.itemsize > 16 or array.dtype == numpy.longdouble:
            raise InvalidArgument(f"an array of {array.dtype} cannot be an argument; numbers and bool can")
        return array

    def _check(self, args, what, hint):
        for arg in args:
            if isinstance(arg, Queued):
                self._step_of(arg)
            elif not isinstance(arg, (numbers.Number, DeviceArray)):
                raise InvalidArgument(f"a queued {what} takes numbers, arrays of rjit.to_device() and handles of this "
                                      f"queue{hint}")

    def _step_of(self, handle):
        if handle._queue is not self:
            raise InvalidArgument("a step needs the array of another queue; take its result() first")
        return handle._step

    def _combined(self, function, array):
        shown = _Shown(array) if isinstance(array, Queued) else array if _is_there(array) else self._value(array)
        index = choose(function, [shown, shown])
        function._function(index)
        if isinstance(array, Queued):
            return index, self._step_of(array)
        return index, _reference(shown, dtype_of(function._signatures[index][0]))

    def _added(self, function, index, add, target=None):
        profiles = self._rjit._profiles
        self._queue.profile(bool(profiles))
        step = add()
        self._known[step.number] = function, index
        while len(self._known) > 65536:
            del self._known[next(iter(self._known))]
        handle = Queued(self, step, function, index, target)
        if profiles:
            self._watch(function, index, step)
        return handle

    def _watch(self, function, index, step):
        """A row of the profile, once the step is over."""
        from . import _profile

        text = str(Type.fromstring(function._signature_texts()[index]))
        _profile.queued(function, text, step, time.perf_counter())

    def _failed(self, outcome, caller, index):
        """The exception of the step that failed, which may be another one."""
        from ._arrays import _failed

        caller, index = self._known.get(outcome["number"], (caller, index))
        if outcome["call"]:
            return caller._exception(outcome["status"], index)
        return _failed(caller, outcome["status"], index, max(outcome["row"], 0), tuple(outcome["failed_shape"]))


def _is_over_arrays(function):
    return any(parameter.is_array for signature in function._signatures for parameter in signature[1])


class _Shown:
    """A queued array as far as a signature is chosen by it."""

    def __init__(self, handle):
        if handle.dtype is None:
            raise InvalidArgument(f"{handle!r} is no array")
        if handle.dtype.names:
            raise InvalidArgument(f"{handle!r} is several arrays; take its result() first, and give one of them")
        self.dtype = handle.dtype


def _copied(result):
    return result.get() if isinstance(result, DeviceArray) else result


def _is_there(arg):
    return isinstance(arg, DeviceArray)


def _reference(value, wanted):
    """An array as rbc._core takes it."""
    if isinstance(value, DeviceArray):
        return dtype_text(value.dtype), value._buffer, list(value.shape), list(value.strides), value.offset
    array = numpy.asarray(value, dtype=wanted, order="C")
    return dtype_text(array.dtype), array, list(array.shape), list(array.strides), 0


def gather(*handles, timeout=None):
    """Waits for all of them; their results, or the first one's exception."""
    until = None if timeout is None else time.monotonic() + timeout
    for handle in handles:
        if not handle.wait(None if until is None else max(until - time.monotonic(), 0.0)):
            raise concurrent.futures.TimeoutError()
    return [handle.result() for handle in handles]
