"""Maps that are made again: what was decided for the types of their arguments is not decided anew.

SPDX-License-Identifier: Apache-2.0
"""

import numpy

from ._convert import dtype_text
from ._dtypes import dtype_of


class Plan:
    """How a map of NumPy's arrays and Python's floats of certain types goes, once one was made."""

    def __init__(self, caller, args, operands, index, dtype):
        self.count = caller._count  # of signatures: with more another one may be chosen
        self.index = index
        # Of each argument the element type, and for numbers the dtype to convert them to.
        self.operands = [(dtype_text(operand.dtype), operand.dtype if type(arg) is float else None)
                         for arg, operand in zip(args, operands)]
        self.dtype, self.text = dtype, dtype_text(dtype)


def _key(args):
    return tuple([arg.dtype if type(arg) is numpy.ndarray else type(arg) for arg in args])


def remember(caller, args, operands, index, result):
    """Keeps the plan of a map that was made, where it is of the plainest kind."""
    plain = all(type(arg) is float or type(arg) is numpy.ndarray and operand is arg for arg, operand in zip(args, operands))
    if plain and not result.is_struct and not result.is_void:
        caller._plans[_key(args)] = Plan(caller, args, operands, index, dtype_of(result))


def find(caller, args, out):
    """(plan, operands, array for the result, its shape) of a map whose like was made before; None: it wants more
    thought."""
    plan = caller._plans.get(_key(args))
    if plan is None or plan.count != caller._count or caller._rjit._profiles:
        return None
    operands = [(text, arg if dtype is None else numpy.asarray(arg, dtype), None, None, 0)
                for arg, (text, dtype) in zip(args, plan.operands)]
    shapes = [operand[1].shape for operand in operands]
    shape = shapes[0]
    if any(each != shape for each in shapes):
        try:
            shape = numpy.broadcast_shapes(*shapes)
        except ValueError:
            return None
    if not shape:
        return None
    if out is None:
        return plan, operands, numpy.empty(shape, plan.dtype), shape
    if type(out) is numpy.ndarray and out.dtype == plan.dtype and out.shape == shape and out.flags.carray:
        return plan, operands, out, shape
    return None
