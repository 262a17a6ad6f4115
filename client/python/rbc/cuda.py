"""What kernels use: from rbc import cuda, then cuda.grid(1), cuda.threadIdx.x, cuda.syncthreads(), cuda.shared.array(...)
and cuda.atomic.add(...) inside a function that @rjit.kernel decorates.

Kernels are lowered without any of NVIDIA's libraries; they run on GPUs and on the farm's simulator.

SPDX-License-Identifier: Apache-2.0
"""

import types as pytypes

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.core.extending import intrinsic, models, register_model, typeof_impl
from numba.core.imputils import Registry
from numba.core.typing.templates import AttributeTemplate
from numba.core.typing.templates import Registry as TypingRegistry

__all__ = ["atomic", "blockDim", "blockIdx", "grid", "gridDim", "gridsize", "shared", "syncthreads", "threadIdx"]

_I32 = ir.IntType(32)
registry = Registry("rbc cuda")
typing_registry = TypingRegistry()


def register_of(builder, name):
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I32, []), f"llvm.nvvm.read.ptx.sreg.{name}")
    return builder.call(function, [])


# ---- threadIdx and its like --------------------------------------------------------------------------------------------


class _Dimensions:
    """Three numbers of the thread that asks: .x, .y and .z."""

    def __init__(self, name, register):
        self._name, self.register = name, register

    def __repr__(self):
        return f"rbc.cuda.{self._name}"


class _DimensionsType(types.Type):
    def __init__(self, register):
        self.register = register
        super().__init__(name=f"rbc cuda {register}")


register_model(_DimensionsType)(models.OpaqueModel)


@typeof_impl.register(_Dimensions)
def _type_of_dimensions(value, context):
    return _DimensionsType(value.register)


@typing_registry.register_attr
class _DimensionsAttributes(AttributeTemplate):
    key = _DimensionsType

    def resolve_x(self, mod):
        return types.int32

    resolve_y = resolve_z = resolve_x


@registry.lower_constant(_DimensionsType)
def _dimensions_constant(context, builder, ty, value):
    return context.get_dummy_value()


@registry.lower_getattr_generic(_DimensionsType)
def _dimension(context, builder, ty, value, attribute):
    return register_of(builder, f"{ty.register}.{attribute}")


threadIdx = _Dimensions("threadIdx", "tid")  # noqa: N816 CUDA's names
blockIdx = _Dimensions("blockIdx", "ctaid")  # noqa: N816
blockDim = _Dimensions("blockDim", "ntid")  # noqa: N816
gridDim = _Dimensions("gridDim", "nctaid")  # noqa: N816


# ---- functions -----------------------------------------------------------------------------------------------------------


def _linear(builder, axis):
    block = builder.sext(register_of(builder, f"ctaid.{axis}"), ir.IntType(64))
    size = builder.sext(register_of(builder, f"ntid.{axis}"), ir.IntType(64))
    thread = builder.sext(register_of(builder, f"tid.{axis}"), ir.IntType(64))
    return builder.add(builder.mul(block, size), thread)


def _extent(builder, axis):
    blocks = builder.sext(register_of(builder, f"nctaid.{axis}"), ir.IntType(64))
    return builder.mul(blocks, builder.sext(register_of(builder, f"ntid.{axis}"), ir.IntType(64)))


def _of_dimensions(ndim, one):
    if not isinstance(ndim, types.IntegerLiteral) or ndim.literal_value not in (1, 2, 3):
        raise TypingError("the number of dimensions is 1, 2 or 3, as a constant")
    count = ndim.literal_value
    result = types.int64 if count == 1 else types.UniTuple(types.int64, count)

    def codegen(context, builder, signature, args):
        values = [one(builder, axis) for axis in "xyz"[:count]]
        return values[0] if count == 1 else context.make_tuple(builder, result, values)

    return result(ndim), codegen


@intrinsic(prefer_literal=True)
def grid(typingctx, ndim):
    """The number of this thread among all of the grid, in 1, 2 or 3 dimensions."""
    return _of_dimensions(ndim, _linear)


@intrinsic(prefer_literal=True)
def gridsize(typingctx, ndim):
    """How many threads the grid has, in 1, 2 or 3 dimensions."""
    return _of_dimensions(ndim, _extent)


@intrinsic
def syncthreads(typingctx):
    """Waits until all threads of the block are here."""

    def codegen(context, builder, signature, args):
        function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.VoidType(), []), "llvm.nvvm.barrier0")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.none(), codegen


@intrinsic(prefer_literal=True)
def _shared_array(typingctx, size, dtype):
    if not isinstance(size, types.IntegerLiteral) or size.literal_value < 1:
        raise TypingError("the size of a shared array is a constant, 1 or more")
    if not isinstance(dtype, types.DType) and not isinstance(dtype, types.NumberClass):
        raise TypingError("the second argument of a shared array is a type, such as numpy.float64")
    element = dtype.dtype if isinstance(dtype, types.DType) else dtype.instance_type
    result = types.CPointer(element)

    def codegen(context, builder, signature, args):
        kind = ir.ArrayType(context.get_data_type(element), size.literal_value)
        name = context.fndesc.mangled_name + ".shared"
        variable = ir.GlobalVariable(builder.module, kind, builder.module.get_unique_name(name), addrspace=3)
        variable.linkage = "internal"
        variable.initializer = ir.Constant(kind, ir.Undefined)
        variable.align = 16
        return builder.addrspacecast(builder.bitcast(variable, kind.element.as_pointer(3)), kind.element.as_pointer())

    return result(size, dtype), codegen


# numba looks names up in modules, and in nothing else that is this simple.
shared = pytypes.ModuleType("rbc.cuda.shared", "shared.array(size, dtype): memory of a block, as a pointer to its first "
                            "element.")
shared.array = _shared_array


def _check_place(place, index):
    """What atomic operations work on: an element of a pointer's memory, or of an array that can be written."""
    if isinstance(place, types.CPointer) and isinstance(index, types.Integer):
        return
    if not isinstance(place, types.Array):
        raise TypingError("atomic operations take a pointer or an array, an index and a value")
    count = index.count if isinstance(index, types.BaseTuple) else 1
    if not all(isinstance(i, types.Integer) for i in (index if isinstance(index, types.BaseTuple) else (index,))):
        raise TypingError("the index of an atomic operation is a whole number, or a tuple of them")
    if count != place.ndim:
        raise TypingError(f"an atomic operation on an array of {place.ndim} dimensions takes as many indices, not {count}")
    if not place.mutable:
        raise TypingError("an atomic operation changes the array, which is read-only")


def _address(context, builder, place, place_type, index, index_type):
    if isinstance(place_type, types.CPointer):
        return builder.gep(place, [context.cast(builder, index, index_type, types.intp)])
    is_tuple = isinstance(index_type, types.BaseTuple)
    values = cgutils.unpack_tuple(builder, index, index_type.count) if is_tuple else [index]
    of_types = index_type if is_tuple else (index_type,)
    indices = [context.cast(builder, value, of_type, types.intp) for value, of_type in zip(values, of_types)]
    array = context.make_array(place_type)(context, builder, place)
    return cgutils.get_item_pointer(context, builder, place_type, array, indices, wraparound=True,
                                    boundscheck=context.enable_boundscheck)


def _atomic(operation, float_operation):
    @intrinsic
    def run(typingctx, place, index, value):
        _check_place(place, index)
        element = place.dtype
        if not isinstance(element, (types.Integer, types.Float)):
            raise TypingError(f"there is no atomic {operation} of {element}")
        if isinstance(element, types.Float) and float_operation is None:
            raise TypingError(f"there is no atomic {operation} of floats")

        def codegen(context, builder, signature, args):
            where = _address(context, builder, args[0], signature.args[0], args[1], signature.args[1])
            name = operation
            if isinstance(element, types.Float):
                name = float_operation
            elif operation in ("max", "min") and not element.signed:
                name = "u" + operation
            return builder.atomic_rmw(name, where, args[2], "monotonic")

        return element(place, index, element), codegen

    return run


atomic = pytypes.ModuleType("rbc.cuda.atomic", "atomic.add(place, index, value) and its like, of a pointer or an array; each "
                             "gives the value before.")
atomic.add = _atomic("add", "fadd")
atomic.max = _atomic("max", None)
atomic.min = _atomic("min", None)
atomic.exchange = _atomic("xchg", "xchg")
