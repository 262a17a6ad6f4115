"""Python functions to LLVM IR, by numba. All that is said about numba's insides is said in this one file.

Nothing is compiled for this machine: the module carries the farm's triple and data layout, no processor and no vector
width, and what numba would resolve in this process (C helpers, Python objects) is either emitted beside it as IR
(_runtime.py) or refused by name.

SPDX-License-Identifier: Apache-2.0
"""

import contextlib
import dis
import linecache
import re
import sys
import threading
import traceback
import types as pytypes

import llvmlite.binding as ll
import numba
from llvmlite import ir
from numba.core import ir as numba_ir
from numba.core import byteflow, callconv, cgutils, codegen, config, cpu, dispatcher, errors, registry, sigutils, ssa
from numba.core import target_extension, types, typing
from numba.core.compiler_lock import global_compiler_lock
from numba.core.descriptors import TargetDescriptor
from numba.core.imputils import builtin_registry
from numba.core.rewrites import ir_print
from numba.np import arrayobj

from . import _core, _exceptions, _numba_types, _runtime, cuda
from ._errors import Error, TypingError, UnsupportedFeature

NUMBA_VERSION = tuple(int(part) for part in numba.__version__.split(".")[:2])
# What the tests run against (client/python/requirements*.txt); others may work.
OLDEST, NEWEST = (0, 57), (0, 68)

_NO_WRAP = re.compile(r"(= (?:add|sub|mul|shl)) nsw ")
_BYTES, _INT, _WORD = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)
NONE_STATUS = -2  # numba's code for "the result is None"

_state = threading.local()
_lock = threading.RLock()


# ---- exceptions -----------------------------------------------------------------------------------------------------


def _being_lowered():
    """numba's object that lowers the user's function just now."""
    frame = sys._getframe(1)
    while frame is not None:
        lowering = frame.f_locals.get("self")
        if frame.f_code.co_name == "lower_inst" and getattr(lowering, "loc", None) is not None:
            return lowering
        frame = frame.f_back
    return None


def _place(loc, name):
    """(function, file, line) of what raises. Where numba's own implementations do not say it, as for a division by zero,
    it is the line that they are lowered for. numba knows a function by the last `def` above the line; its code knows
    better."""
    lowering = _being_lowered()
    if lowering is not None:
        loc = loc or lowering.loc
        code = lowering.func_ir.func_id.code
        if loc.filename == code.co_filename and _is_in(code, loc.line):
            return _innermost(code, loc.line), loc.filename, loc.line
    return ((loc._raw_function_name() or name), loc.filename, loc.line) if loc is not None else None


def _is_in(code, line):
    lines = [at for _, _, at in code.co_lines() if at]
    return code.co_firstlineno <= line <= max(lines, default=0)


def _innermost(code, line):
    """The name of the function around a line of another one."""
    for inner in code.co_consts:
        if isinstance(inner, pytypes.CodeType) and not inner.co_name.startswith("<") and _is_in(inner, line):
            return _innermost(inner, line)
    return code.co_name


class _CallConv(callconv.MinimalCallConv):
    """numba's minimal convention, `i32 f(result*, arguments...)`, with codes that are unique over all functions, and
    with try/except, which numba's lacks."""

    # An exception on its way to a handler is its code in a slot of the function's frame.
    def _try_state(self, builder, create=True):
        state = getattr(builder, "_rbc_try", None)
        if state is None and create:
            depth = cgutils.alloca_once(builder, cgutils.intp_t, name="try_depth", zfill=True)
            code = cgutils.alloca_once(builder, callconv.errcode_t, name="try_code", zfill=True)
            state = builder._rbc_try = (depth, code)
        return state

    def _constant_code(self, exc, exc_args, loc, func_name):
        if exc is not None and not issubclass(exc, BaseException):
            raise TypeError(f"exc should be None or exception class, got {exc!r}")
        location = _place(loc, func_name)
        if exc is None:
            exc, exc_args = RuntimeError, ("No active exception to reraise",)
        return ir.Constant(callconv.errcode_t, _exceptions.code_of(exc, exc_args, location))

    def set_static_user_exc(self, builder, exc, exc_args=None, loc=None, func_name=None):
        builder.store(self._constant_code(exc, exc_args, loc, func_name), self._try_state(builder)[1])

    def return_user_exc(self, builder, exc, exc_args=None, loc=None, func_name=None):
        code = self._constant_code(exc, exc_args, loc, func_name)
        handler = getattr(builder, "_in_try_block", False)
        if not handler:
            return self._return_errcode_raw(builder, code)
        builder.store(code, self._try_state(builder)[1])
        builder.branch(handler["target"])

    def return_dynamic_user_exc(self, builder, exc, exc_args, nb_types, loc=None, func_name=None):
        kept = tuple(_exceptions.AtRunTime(i) if isinstance(arg, ir.Value) else arg for i, arg in enumerate(exc_args or ()))
        values = [(ty, arg) for ty, arg in zip(nb_types, exc_args or ()) if isinstance(arg, ir.Value)]
        _runtime.print_raised(self.context, builder, values)
        self.return_user_exc(builder, exc, kept, loc, func_name)

    def set_dynamic_user_exc(self, builder, exc, exc_args, nb_types, loc=None, func_name=None):
        self.set_static_user_exc(builder, exc, (), loc, func_name)

    def check_try_status(self, builder):
        depth, code = self._try_state(builder)
        in_try = builder.icmp_unsigned(">", builder.load(depth), cgutils.intp_t(0))
        return callconv.TryStatus(in_try=in_try, excinfo=builder.load(code))

    def set_try_status(self, builder):
        depth = self._try_state(builder)[0]
        builder.store(builder.add(builder.load(depth), cgutils.intp_t(1)), depth)

    def unset_try_status(self, builder):
        depth, code = self._try_state(builder)
        builder.store(builder.sub(builder.load(depth), cgutils.intp_t(1)), depth)
        builder.store(callconv.errcode_t(0), code)

    def return_status_propagate(self, builder, status):
        if self._try_state(builder, create=False) is None:
            return self._return_errcode_raw(builder, status.code)
        trystatus = self.check_try_status(builder)
        builder.store(status.code, self._try_state(builder)[1])
        with builder.if_then(builder.not_(trystatus.in_try)):
            self._return_errcode_raw(builder, status.code)

    def call_function(self, builder, callee, resty, argtys, args, attrs=None):
        return super().call_function(builder, callee, resty, argtys, args)


# ---- code generation that stops at IR --------------------------------------------------------------------------------


class _Library(codegen.CodeLibrary):
    """IR modules and the libraries that they call. No LLVM pass runs until all is linked."""

    def __init__(self, owner, name):
        super().__init__(owner, name)
        self.modules = []
        self.linked = []

    def add_ir_module(self, ir_module):
        self.modules.append(ir_module)

    def add_linking_library(self, library):
        if library not in self.linked:
            self.linked.append(library)

    def finalize(self):
        self._finalized = True

    def get_function(self, name):
        for module in self.modules:
            if name in module.globals:
                return module.globals[name]
        raise NameError(name)

    def get_llvm_str(self):
        return "\n".join(str(module) for module in self.modules)

    def get_asm_str(self):
        raise UnsupportedFeature("there is no assembly on the client; see Caller.get_IR()")

    def closure(self):
        """This library and all that it needs, each once, callees last."""
        seen, order, stack = set(), [], [self]
        while stack:
            library = stack.pop()
            if id(library) in seen:
                continue
            seen.add(id(library))
            order.append(library)
            stack.extend(reversed([x for x in library.linked if isinstance(x, _Library)]))
        return order


class _Codegen(codegen.Codegen):
    _library_class = _Library

    def __init__(self, triple, data_layout):
        self._triple, self._data_layout = triple, data_layout
        self._target_data = ll.create_target_data(data_layout)

    def _create_empty_module(self, name):
        module = ir.Module(cgutils.normalize_ir_text(name))
        module.triple = self._triple
        module.data_layout = self._data_layout
        return module

    def _add_module(self, module):
        pass

    def insert_unresolved_ref(self, builder, fnty, name):
        # A callee that is being lowered further up the stack: all is linked before anything runs.
        return cgutils.get_or_insert_function(builder.module, fnty, name)

    def magic_tuple(self):
        return (self._triple, self._data_layout)


class _NoPython:
    """Stands where numba would call into the interpreter."""

    def __init__(self, what):
        self._what = what

    def __getattr__(self, name):
        raise errors.UnsupportedError(f"{self._what} needs the Python interpreter ({name}), which the farm has not")


class _Context(cpu.CPUContext):
    """Lowers for the farm."""

    def __init__(self, typing_context, target, description):
        self._description = description
        super().__init__(typing_context, target)

    def init(self):
        self.is32bit = self._description.pointer_bits == 32
        self._internal_codegen = _Codegen(self._description.triple, self._description.data_layout)

    def load_additional_registries(self):
        # numba's own runtime, once, under numba's own convention: after that its initialisation does nothing.
        with target_extension.target_override("cpu"):
            registry.cpu_target.target_context.refresh()
        super().load_additional_registries()
        self.install_registry(_runtime.print_registry)
        self.install_registry(cuda.registry)

    @property
    def call_conv(self):
        return _CallConv(self)

    def post_lowering(self, mod, library):
        if self.fastmath:
            from numba.core import fastmathpass

            fastmathpass.rewrite_module(mod, self.fastmath)

    def create_cpython_wrapper(self, library, fndesc, env, call_helper, release_gil=False):
        pass

    def create_cfunc_wrapper(self, library, fndesc, env, call_helper):
        pass

    def get_executable(self, library, fndesc, env):
        return _EntryPoint(fndesc.unique_name)  # one object each: callees are told apart by it

    def get_python_api(self, builder):
        return _NoPython("this operation")

    def get_env_manager(self, builder, return_pyobject=False):
        return _NoPython("this operation")

    def get_constant_generic(self, builder, ty, val):
        if isinstance(ty, types.Dispatcher):
            return self.get_dummy_value()  # calls go by the type
        return super().get_constant_generic(builder, ty, val)

    def add_dynamic_addr(self, builder, intaddr, info):
        raise errors.UnsupportedError(f"{info} is an address of this process, which the farm cannot reach")


class _EntryPoint:
    def __init__(self, name):
        self.__name__ = name


# ---- names that a function uses --------------------------------------------------------------------------------------

# What numba.njit was told and means the same here.
_KEPT_OPTIONS = ("fastmath", "error_model", "boundscheck", "inline", "_nrt")


class _TypingContext(typing.Context):
    """Calls of njit functions, of the package's own and of plain Python functions are lowered with the caller."""

    def load_additional_registries(self):
        super().load_additional_registries()
        self.install_registry(cuda.typing_registry)

    def resolve_value_type(self, val):
        function = self._function_of(val)
        if function is not None:
            return types.Dispatcher(function)
        try:
            return super().resolve_value_type(val)
        except ValueError:
            if isinstance(val, pytypes.FunctionType):
                return types.Dispatcher(_state.job.dispatcher(val, {}))
            raise

    def _function_of(self, val):
        job = getattr(_state, "job", None)
        if job is None:
            return None
        if isinstance(val, dispatcher.Dispatcher) and not isinstance(val, _Dispatcher):
            return job.dispatcher(val.py_func, val.targetoptions, val.locals)
        if getattr(type(val), "__rbc_caller__", False):
            return job.dispatcher(val.py_func, val.numba_options)
        return None


class _Target(target_extension.CPU):
    """Any target of a farm."""


class _Descriptor(TargetDescriptor):
    options = cpu.CPUTargetOptions

    def __init__(self, description):
        super().__init__("rbc")
        with target_extension.target_override("rbc"):
            self._typing = _TypingContext()
            self._target = _Context(self._typing, "rbc", description)

    @property
    def typing_context(self):
        return self._typing

    @property
    def target_context(self):
        return self._target


class _ForRegistration:
    """What numba asks for the registry that implementations of overloads belong to: the one that all targets share."""

    class target_context:  # noqa: N801, numba's name
        _registries = {builtin_registry: None}

        @staticmethod
        def refresh():
            pass


class _Dispatcher(dispatcher.Dispatcher):
    """Types and lowers one function; calls nothing."""

    targetdescr = _ForRegistration()  # of a subclass for each descriptor: the real one

    def add_overload(self, cres):
        self.overloads[tuple(cres.signature.args)] = cres


def _jit_for_overloads(*args, **options):
    """What numba's own library decorates its implementations with when they are for our target."""

    def wrap(function):
        return _state.job.library_dispatcher(function, options)

    return wrap(args[0]) if args else wrap


target_extension.target_registry["rbc"] = _Target
target_extension.dispatcher_registry[_Target] = _Dispatcher
target_extension.jit_registry[_Target] = _jit_for_overloads

_descriptors = {}


def _descriptor(description):
    key = (description.triple, description.data_layout)
    if key not in _descriptors:
        descriptor = _Descriptor(description)
        _descriptors[key] = (descriptor, type("_Dispatcher", (_Dispatcher,), {"targetdescr": descriptor}))
    return _descriptors[key]


class _Job:
    """One lowering: its dispatchers are made anew, so that nothing of an earlier one shows in the result."""

    def __init__(self, description):
        self.description = description
        self.descriptor, self._class = _descriptor(description)
        self._known = {}

    def _options(self, options):
        kept = {name: options[name] for name in _KEPT_OPTIONS if name in options}
        kept.setdefault("boundscheck", False)
        return dict(kept, nopython=True, debug=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)

    def dispatcher(self, function, options, local_types=None):
        if function not in self._known:
            self._known[function] = self._class(function, local_types or {}, self._options(options))
        return self._known[function]

    def library_dispatcher(self, function, options):
        return self._class(function, {}, self._options(options))


# ---- the result ------------------------------------------------------------------------------------------------------


class Lowered:
    """IR with functions `symbols`, one a signature."""

    def __init__(self, text, bitcode, symbols, results, exceptions):
        self.text, self.bitcode, self.symbols, self.results, self.exceptions = text, bitcode, symbols, results, exceptions


def _prune_phis_in_order(self, runner, prune=byteflow.Flow._prune_phis):
    prune(self, runner)
    for state in runner.finished:
        phis = sorted(state._outgoing_phis.items())
        state._outgoing_phis.clear()
        state._outgoing_phis.update(phis)


def _violators_in_order(*args, find=ssa._find_defs_violators):
    return sorted(find(*args))


# numba's print() takes no keywords. Constant `sep` and `end` travel as one more argument, which _runtime takes off.


def _match_prints(self, func_ir, block, typemap, calltypes):
    self.prints, self.block, self.func_ir = {}, block, func_ir
    for inst in block.find_insts(numba_ir.Assign):
        if isinstance(inst.value, numba_ir.Expr) and inst.value.op == "call":
            if _constant(func_ir, inst.value.func) is print:
                self.prints[inst] = inst.value
    return bool(self.prints)


def _constant(func_ir, variable):
    try:
        return func_ir.infer_constant(variable)
    except errors.ConstantInferenceError:
        return _Unknown


class _Unknown:
    pass


def _apply_prints(self, apply=ir_print.RewritePrintCalls.apply):
    block = apply(self)
    prints = [inst for inst in block.body if isinstance(inst, numba_ir.Print)]
    for node, call in zip(prints, [inst.value for inst in self.block.body if inst in self.prints]):
        if call.kws:
            _add_keywords(node, self.func_ir, dict(call.kws))
    return block


def _add_keywords(node, func_ir, keywords):
    values = {name: _constant(func_ir, variable) for name, variable in keywords.items()}
    for name, value in values.items():
        if name not in ("sep", "end", "flush"):
            raise errors.UnsupportedError(f"print({name}=...); sep and end can be set", node.loc)
        if name != "flush" and not (value is None or isinstance(value, str)):
            raise errors.UnsupportedError(f"print({name}=...) with a value known at run time only; give constant text",
                                          node.loc)
    node.args = (next(iter(keywords.values())), *node.args)
    node.consts = {0: _runtime.print_keywords(values.get("sep"), values.get("end"))}
    for i, variable in enumerate(node.args[1:], 1):
        value = _constant(func_ir, variable)
        if value is not _Unknown:
            node.consts[i] = value


# What would show in the IR (settings of the user's environment, and the order of sets of texts, which Python's hash seed
# decides), and what numba's own targets must not see of ours.
_FOR_LOWERING = (
    (config, "DEBUGINFO_DEFAULT", 0), (config, "BOUNDSCHECK", None),
    (ir_print.RewritePrintCalls, "match", _match_prints), (ir_print.RewritePrintCalls, "apply", _apply_prints),
    (byteflow.Flow, "_prune_phis", _prune_phis_in_order), (ssa, "_find_defs_violators", _violators_in_order),
)


@contextlib.contextmanager
def _settings():
    saved = [(owner, name, getattr(owner, name)) for owner, name, _ in _FOR_LOWERING]
    for owner, name, value in _FOR_LOWERING:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


def lower(function, name, signatures, description, options):
    """One module with a function `symbol` for each (symbol, argument types, result type or None) of `signatures`. A
    symbol may be a function of the result's text.

    description: the target's name, triple, data_layout and pointer_bits. Raises TypingError.
    """
    if description.pointer_bits == 32:
        _refuse_arrays(function, signatures, description)
    with _lock, global_compiler_lock, _settings():
        job = _Job(description)
        previous, _state.job = getattr(_state, "job", None), job
        try:
            with target_extension.target_override("rbc"):
                return _lower(job, function, name, signatures, options)
        except errors.NumbaError as error:
            raise _short(error, function) from None
        except Error:
            raise
        except Exception as error:  # numba's own defects and limits come as anything
            what = f"numba gives {type(error).__name__}: {error}"
            if isinstance(error, ImportError) and "scipy" in str(error):  # numba's BLAS comes from there
                what = "it uses LAPACK or BLAS, as np.dot and np.linalg do; write it as loops"
            message = f"{function.__qualname__} cannot be lowered: {what}"
            raise TypingError(message, details=traceback.format_exc()) from error
        finally:
            _state.job = previous


def _refuse_arrays(function, signatures, description):
    """numba's indices have 64 bits wherever its arrays go."""
    for _, arguments, result in signatures:
        if any(isinstance(ty, types.Array) for ty in (*arguments, _held(result))):
            raise UnsupportedFeature(f"{function.__qualname__} has arrays, which numba makes for pointers of 64 bits and "
                                     f"{description.name} has 32: use target cuda")


def _symbol(name, signature):
    """add_daddA; in letters that PTX has too."""
    return re.sub(r"[^A-Za-z0-9_]", "_", name) + _core.mangle_type(signature)


class _BytesOrPointer:
    """A result `char8*`: numba decides which of both the function gives."""

    @staticmethod
    def check(function, result):
        if not isinstance(_held(result), types.Bytes) and _held(result) != types.CPointer(types.uint8):
            raise TypingError(f"{function.__qualname__} gives a {result}, and its signature says {_numba_types.BYTES}; "
                              f"return bytes\n  {_place_of_return(function)}")


def _place_of_return(function):
    """The line where the function returns, as errors show it."""
    code = function.__code__
    returns = [i.offset for i in dis.get_instructions(code) if i.opname.startswith("RETURN_")]
    starts = [line for offset, line in dis.findlinestarts(code) if line and returns and offset <= returns[0]]
    line = starts[-1] if starts else code.co_firstlineno
    source = linecache.getline(code.co_filename, line).strip()
    return f'File "{code.co_filename}", line {line}' + (f":\n    {source}" if source else "")


def _refuse_result(function, result, description):
    """What a GPU gives back are values, no memory of its own."""
    held = _held(result)
    if isinstance(held, types.Array) or _holds_arrays(held):
        why = "cannot return an array; let it write into an array argument"
    elif isinstance(held, (types.UnicodeType, types.Bytes)):
        why = "cannot return text or bytes; let it write into an array argument"
    else:
        return
    raise UnsupportedFeature(f"{function.__qualname__} on target {description.name}: a GPU function {why}\n"
                             f"  {_place_of_return(function)}")


def lower_texts(function, name, signatures, description, options):
    """`lower` for signatures as texts; symbols are the name and the mangled type."""
    wanted = []
    for text in signatures:
        description_of_type = _core.describe_type(text)
        numba_signature = _numba_types.type_of(description_of_type)
        result = numba_signature.return_type
        if description_of_type[4][0][5] == _numba_types.BYTES:
            result = _BytesOrPointer()
        wanted.append((_symbol(name, text), numba_signature.args, result))
    return lower(function, name, wanted, description, options)


def lower_for(function, name, argument_types, description, options):
    """One signature, whose result follows from the arguments; .result is its text."""
    arguments = [_numba_types.type_of(_core.describe_type(t.tostring())) for t in argument_types]
    texts = ", ".join(t.tostring() for t in argument_types)
    lowered = lower(function, name, [(lambda result: _symbol(name, f"{result}({texts})"), arguments, None)],
                    description, options)
    lowered.result = _numba_types.text_of(lowered.results[0])
    return lowered


def _compiled(job, function, args, result_type, options):
    """numba's result for one signature."""

    def compiled(result):
        # A dispatcher keeps one result type for given argument types; each signature has its own.
        job._known.pop(function, None)
        top = job.dispatcher(function, options)
        top.compile(typing.signature(result, *args) if result is not None else args)
        return top.overloads[tuple(args)]

    if isinstance(result_type, _BytesOrPointer):
        return compiled(None)
    if isinstance(result_type, types.BaseTuple) and any(isinstance(ty, types.BaseNamedTuple) for ty in args):
        # A struct with names may be given as it is, and numba makes no other tuple of it.
        free = compiled(None)
        if types.unliteral(free.signature.return_type) != result_type and _is_like(free.signature.return_type, result_type):
            return free
    return compiled(result_type)


def _is_like(result, wanted):
    """Whether both are one type to the farm."""
    try:
        return _numba_types.text_of(result) == _numba_types.text_of(wanted)
    except ValueError:
        return False


def _lower(job, function, name, signatures, options):
    parts, entries, results = [], {}, []
    for symbol, argument_types, result_type in signatures:
        args, _ = sigutils.normalize_signature(tuple(argument_types))
        cres = _compiled(job, function, args, result_type, options)
        if isinstance(result_type, _BytesOrPointer):
            result_type.check(function, cres.signature.return_type)
        result_type = cres.signature.return_type
        if job.description.name != "host":
            _refuse_result(function, result_type, job.description)
        if callable(symbol):
            try:
                symbol = symbol(_numba_types.text_of(result_type))
            except ValueError as error:
                raise TypingError(f"{function.__qualname__} gives a {result_type}: {error}") from None
        libraries = cres.library.closure()
        entry = cres.fndesc.llvm_func_name
        if options.get("kernel"):
            entry = f"rbc_kernel_{len(entries)}"
            libraries = [_kernel_entry(job.descriptor.target_context, cres, entry), *libraries]
        elif _needs_entry((*cres.signature.args, _held(result_type))):
            entry = f"rbc_entry_{len(entries)}"
            libraries = [_farm_entry(job.descriptor.target_context, cres, entry), *libraries]
        entries[entry] = symbol
        results.append(result_type)
        parts.extend(libraries)
    return _link(job, name, parts, entries, results)


class _Parameters:
    """The parameters of an entry as the farm passes them: text is UTF-8 behind a pointer, an array a pointer, its shape
    and, unless its type says that it is contiguous, its strides in bytes; the rest is as numba has it, or, with `whole`,
    complex numbers and structs in one piece."""

    def __init__(self, context, args, whole=False):
        self._context, self._args, self._whole = context, args, whole
        self._packers = [context.get_arg_packer([ty]) for ty in args]
        self._parts = [self._parts_of(ty, packer) for ty, packer in zip(args, self._packers)]
        self.flat = sum(self._parts, [])
        self._texts = []

    def _parts_of(self, ty, packer):
        if isinstance(ty, types.UnicodeType):
            return [_BYTES]
        if isinstance(ty, types.Array):
            numbers = ty.ndim if ty.layout == "C" else 2 * ty.ndim
            return [self._context.get_data_type(ty.dtype).as_pointer(), *[_WORD] * numbers]
        if self._is_whole(ty):
            return [self._context.get_data_type(ty)]
        return list(packer.argument_types)

    def _is_whole(self, ty):
        return self._whole and isinstance(ty, (types.Complex, types.BaseTuple))

    def values(self, builder, taken, refused):
        """What numba's function takes; text that is null makes the entry return the status `refused`."""
        values, taken = [], list(taken)
        for ty, packer, parts in zip(self._args, self._packers, self._parts):
            mine, taken = taken[:len(parts)], taken[len(parts):]
            if isinstance(ty, types.UnicodeType):
                values.append(self._text(builder, mine[0], refused))
            elif isinstance(ty, types.Array):
                values.append(self._array(builder, ty, mine))
            elif self._is_whole(ty):
                values.append(self._context.data_model_manager[ty].from_data(builder, mine[0]))
            else:
                values.append(packer.from_arguments(builder, tuple(mine))[0])
        return values

    def _text(self, builder, utf8, refused):
        slot = cgutils.alloca_once(builder, self._context.get_value_type(types.unicode_type), zfill=True)
        convert = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(_INT, [_BYTES, _BYTES]), "rbc_text_from_utf8")
        done = builder.call(convert, [utf8, builder.bitcast(slot, _BYTES)])
        with builder.if_then(builder.icmp_signed("==", done, _INT(0)), likely=False):
            builder.ret(refused)
        self._texts.append(builder.load(slot))
        return self._texts[-1]

    def _array(self, builder, ty, parts):
        """An array over memory that somebody else owns."""
        intp = cgutils.intp_t if not self._context.is32bit else ir.IntType(32)
        numbers = [builder.trunc(n, intp) if intp != _WORD else n for n in parts[1:]]
        itemsize = self._context.get_constant(
            types.intp, self._context.get_abi_sizeof(self._context.get_data_type(ty.dtype)))
        shape, strides = numbers[:ty.ndim], numbers[ty.ndim:]
        if not strides:
            strides = [itemsize]
            for n in reversed(shape[1:]):
                strides.insert(0, builder.mul(strides[0], n))
        array = self._context.make_array(ty)(self._context, builder)
        arrayobj.populate_array(
            array, data=builder.bitcast(parts[0], array.data.type), shape=cgutils.pack_array(builder, shape, intp),
            strides=cgutils.pack_array(builder, strides, intp), itemsize=itemsize, meminfo=None, parent=None)
        return array._getvalue()

    def release(self, builder):
        decref = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "NRT_decref")
        for text in self._texts:
            memory = cgutils.create_struct_proxy(types.unicode_type)(self._context, builder, value=text).meminfo
            builder.call(decref, [memory])


_NUL_INSIDE = "bytes with a NUL inside cannot be returned; return an array of uint8"


def _needs_entry(types_):
    return any(isinstance(ty, (types.UnicodeType, types.Array, types.Bytes)) or _holds_arrays(ty) for ty in types_)


def _held(result):
    """What a result is when it is not None."""
    return result.type if isinstance(result, types.Optional) else result


def _holds_arrays(result):
    """A tuple that the farm gives back member by member."""
    return isinstance(result, types.BaseTuple) and any(isinstance(ty, types.Array) for ty in result.types)


def _array_type(ty):
    """An array as a result: its data, shape, strides and what keeps it."""
    numbers = ir.ArrayType(_WORD, ty.ndim)
    return ir.LiteralStructType([_BYTES, numbers, numbers, _BYTES])


def _result_pointer(context, result, callee):
    if isinstance(result, (types.UnicodeType, types.Bytes)):
        return _BYTES.as_pointer()
    if isinstance(result, types.Array):
        return _array_type(result).as_pointer()
    if _holds_arrays(result):
        members = [_array_type(ty) if isinstance(ty, types.Array) else context.get_data_type(ty) for ty in result.types]
        return ir.LiteralStructType(members).as_pointer()
    return callee.args[0].type


def _give_text(context, builder, value, pointer):
    """UTF-8 that is freed when the reply is written."""
    text = cgutils.create_struct_proxy(types.unicode_type)(context, builder, value=value)
    convert = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_BYTES, [_BYTES, text.length.type, text.kind.type]), "rbc_text_to_utf8")
    free = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "rbc_free_after_call")
    decref = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "NRT_decref")
    utf8 = builder.call(convert, [text.data, text.length, text.kind])
    builder.call(free, [utf8])
    builder.call(decref, [text.meminfo])
    builder.store(utf8, pointer)


def _give_bytes(context, builder, ty, value, pointer, refused):
    """A copy that ends with a NUL and is freed when the reply is written; with one inside the entry returns `refused`."""
    array = context.make_array(ty)(context, builder, value=value)
    convert = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(_BYTES, [_BYTES, array.nitems.type]), "rbc_bytes_to_text")
    free = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "rbc_free_after_call")
    decref = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), [_BYTES]), "NRT_decref")
    copy = builder.call(convert, [builder.bitcast(array.data, _BYTES), array.nitems])
    builder.call(decref, [array.meminfo])
    with builder.if_then(cgutils.is_null(builder, copy), likely=False):
        builder.ret(refused)
    builder.call(free, [copy])
    builder.store(copy, pointer)


def _give_array(context, builder, ty, value, pointer):
    """The worker copies the elements and gives back the reference."""
    array = context.make_array(ty)(context, builder, value=value)
    for i, part in enumerate((builder.bitcast(array.data, _BYTES), array.shape, array.strides, array.meminfo)):
        builder.store(part, cgutils.gep_inbounds(builder, pointer, 0, i))


def _give_members(context, builder, ty, value, pointer):
    """A tuple with arrays."""
    for i, member in enumerate(ty.types):
        part, place = builder.extract_value(value, i), cgutils.gep_inbounds(builder, pointer, 0, i)
        if isinstance(member, types.Array):
            _give_array(context, builder, member, part, place)
        else:
            builder.store(context.get_return_value(builder, member, part), place)


def _farm_entry(context, cres, name):
    """A library with a function that takes and gives text and arrays as the farm has them, and calls the lowered one."""
    library = context.codegen().create_library(name)
    module = library.create_ir_module(name)
    args, result = cres.signature.args, cres.signature.return_type
    convention = context.call_conv
    callee = ir.Function(module, convention.get_function_type(result, args), cres.fndesc.llvm_func_name)
    parameters = _Parameters(context, args)
    held = _held(result)
    pointer = _result_pointer(context, held, callee)
    entry = ir.Function(module, ir.FunctionType(callconv.errcode_t, [pointer, *parameters.flat]), name)
    builder = ir.IRBuilder(entry.append_basic_block("entry"))
    refused = ir.Constant(callconv.errcode_t, _exceptions.code_of(TypeError, ("a text argument is None",), None))
    values = parameters.values(builder, entry.args[1:], refused)
    status, value = convention.call_function(builder, callee, result, args, values)
    with builder.if_then(status.is_ok):
        if isinstance(held, types.UnicodeType):
            _give_text(context, builder, value, entry.args[0])
        elif isinstance(held, types.Bytes):
            with_nul = ir.Constant(callconv.errcode_t, _exceptions.code_of(ValueError, (_NUL_INSIDE,), None))
            _give_bytes(context, builder, held, value, entry.args[0], with_nul)
        elif isinstance(held, types.Array):
            _give_array(context, builder, held, value, entry.args[0])
        elif _holds_arrays(held):
            _give_members(context, builder, held, value, entry.args[0])
        elif result != types.none:
            builder.store(context.get_return_value(builder, result, value), entry.args[0])
    parameters.release(builder)
    builder.ret(status.code)
    library.add_ir_module(module)
    return library


def _kernel_entry(context, cres, name):
    """A library with a kernel that runs the lowered function. Behind its parameters it takes _kernel.STATUS_WORDS words:
    the first thread that raises leaves its exception's status and its place there, and each that raises ends."""
    library = context.codegen().create_library(name)
    module = library.create_ir_module(name)
    args, result = cres.signature.args, cres.signature.return_type
    convention = context.call_conv
    callee = ir.Function(module, convention.get_function_type(result, args), cres.fndesc.llvm_func_name)
    if any(isinstance(ty, types.UnicodeType) for ty in args):
        raise UnsupportedFeature(f"{cres.fndesc.qualname} is a kernel, which takes no text; give it an array of uint8")
    parameters = _Parameters(context, args, whole=True)
    word = ir.IntType(64)
    kernel = ir.Function(module, ir.FunctionType(ir.VoidType(), [*parameters.flat, word.as_pointer()]), name)
    builder = ir.IRBuilder(kernel.append_basic_block("entry"))
    words = kernel.args[-1]
    values = parameters.values(builder, kernel.args[:-1], None)
    outcome, _ = convention.call_function(builder, callee, result, args, values)
    status = outcome.code
    failed = builder.icmp_signed(">=", status, _INT(1))
    with builder.if_then(failed, likely=False):
        seen = builder.cmpxchg(words, word(0), builder.zext(status, word), "monotonic", "monotonic")
        with builder.if_then(builder.extract_value(seen, 1)):
            for i, axis in enumerate(("ctaid.x", "ctaid.y", "ctaid.z", "tid.x", "tid.y", "tid.z")):
                place = builder.gep(words, [ir.IntType(32)(i + 1)])
                builder.store(builder.zext(cuda.register_of(builder, axis), word), place)
    builder.ret_void()
    library.add_ir_module(module)
    return library


def _link(job, name, libraries, entries, results):
    context = job.descriptor.target_context
    whole = ll.parse_assembly(str(context.codegen()._create_empty_module(name)))
    seen = set()
    for library in libraries:
        if id(library) in seen:
            continue
        seen.add(id(library))
        for module in library.modules:
            # numba says that integers never overflow, and its users know that they wrap as NumPy's do. LLVM believes the
            # former, so that results would depend on the optimisation.
            text = _NO_WRAP.sub(r"\1 ", cgutils.normalize_ir_text(str(module)))
            part = ll.parse_assembly(text)
            for function in part.functions:
                if not function.is_declaration and function.linkage == ll.Linkage.external:
                    function.linkage = "weak_odr"
            whole.link_in(part)
    _link_runtime(whole)
    whole.name = name
    _hide(whole, entries)
    _prune(whole)
    _rename(whole, entries)
    table = _exceptions.table_for(str(whole))
    if table:
        whole.link_in(ll.parse_assembly(table))
    whole.verify()
    text = str(whole)
    _drop_value_names(whole)
    return Lowered(text, whole.as_bitcode(), list(entries.values()), results, None)


def _link_runtime(module):
    missing = [function.name for function in module.functions if function.is_declaration]
    for name in missing:
        reason = _runtime.refusal_of(name)
        if reason:
            raise errors.UnsupportedError(reason)
    runtime = _runtime.module_for(missing, module.triple, module.data_layout)
    if runtime is not None:
        module.link_in(runtime)


def _hide(module, entries):
    for function in module.functions:
        if not function.is_declaration:
            function.linkage = "external" if function.name in entries else "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"


def _prune(module):
    """Drops what the entries do not reach, and the pairs of reference counting that numba knows to be without effect."""
    if hasattr(ll, "create_new_module_pass_manager"):
        machine = _any_machine()
        builder = ll.create_pass_builder(machine, ll.create_pipeline_tuning_options(speed_level=0))
        passes = ll.create_new_module_pass_manager()
        if any(f.name == "NRT_decref" for f in module.functions):
            passes.add_refprune_pass()
        passes.add_global_dead_code_eliminate_pass()
        passes.run(module, builder)
    else:
        passes = ll.create_module_pass_manager()
        if any(f.name == "NRT_decref" for f in module.functions):
            passes.add_refprune_pass()
        passes.add_global_dce_pass()
        passes.run(module)


def _any_machine():
    """Passes ask for a machine; ours do not look at it, and it is the same one on every client."""
    if not hasattr(_state, "machine"):
        if not hasattr(ll, "create_new_module_pass_manager") or NUMBA_VERSION < (0, 66):
            ll.initialize()
        ll.initialize_native_target()
        _state.machine = ll.Target.from_default_triple().create_target_machine(cpu="", features="", opt=0)
    return _state.machine


def _rename(module, entries):
    """Names without numba's counters: entries as declared, the rest by their place."""
    number = 0
    for function in module.functions:
        if function.is_declaration:
            continue
        if function.name in entries:
            function.name = entries[function.name]
        else:
            function.name = f"f{number}"
            number += 1
    for number, variable in enumerate(module.global_variables):
        if not variable.is_declaration:
            variable.name = f"g{number}"


def _drop_value_names(module):
    """Names of values may hold numba's counters, and nobody reads them in bitcode."""
    for function in module.functions:
        if function.is_declaration:
            continue
        for argument in function.arguments:
            argument.name = ""
        for block in function.blocks:
            block.name = ""
            for instruction in block.instructions:
                instruction.name = ""


# ---- errors ----------------------------------------------------------------------------------------------------------


_RETURNS = re.compile(r"No conversion from (.+) to (.+) for '\$\S*return_(?:value|const)\S*'.*")


def _plain(sentence):
    """numba's sentence without the names of its own variables."""
    returns = _RETURNS.fullmatch(sentence)
    if re.match(r"Unknown attribute '\w+' of type (Uni)?Tuple\(", sentence):
        return sentence + ("; members have names where the signature gives them, as {float64 x, int64 n} or by the "
                           "annotation with a dataclass or NamedTuple")
    if returns:
        return f"it returns {returns[1]}, and its signature says {returns[2]}"
    return sentence.removesuffix(", defined at None")


def _reason_of_intrinsic(lines):
    for line, following in zip(lines, lines[1:]):
        if line.startswith("Rejected as the implementation raised a specific error"):
            return following.removeprefix("TypingError: ")
    return None


def _short(error, function):
    """numba's error as ours: the sentence that matters and the user's line. The whole is kept in `.details`."""
    details = str(error)
    place = ""
    loc = getattr(error, "loc", None)
    lines = details.splitlines()
    useful = [line.strip() for line in lines if line.strip() and not line.startswith(("Failed in ", "During: "))]
    sentence = useful[0] if useful else details
    for line in useful:
        if line.startswith(("No implementation", "Unknown attribute", "Cannot unify", "NameError", "Untyped global")):
            sentence = line
            break
    if sentence.startswith("No implementation of function Function(<intrinsic"):  # one of ours, which said why
        sentence = _reason_of_intrinsic(useful) or sentence
    if loc is None or getattr(loc, "line", None) is None:
        for line in lines:
            if line.strip().startswith("File "):
                place = line.strip()
                break
    else:
        place = f'File "{loc.filename}", line {loc.line}'
        source = linecache.getline(loc.filename, loc.line).strip()
        if source:
            place += f":\n    {source}"
    message = f"{function.__qualname__} cannot be lowered: {_plain(sentence)}"
    if place:
        message += f"\n  {place}"
    return TypingError(message, details=details)
