"""Structs whose members have names: dataclasses, named tuples, NumPy's records, ctypes.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import ctypes
import dataclasses
import pickle
import typing

import numpy as np
import pytest

import rbc


@dataclasses.dataclass
class Particle:
    mass: float
    charge: int


class Pair(typing.NamedTuple):
    first: Particle
    scale: "float32"  # noqa: F821, a type of the farm


class Vector(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("n", ctypes.c_int32)]


RECORD = np.dtype([("x", "f8"), ("n", "i4")])


def test_types_of_classes():
    of = rbc.Type.fromobject
    assert str(of(Particle)) == "{float64, int64}" and of(Particle).declaration() == "{float64 mass, int64 charge}"
    assert of(Pair).declaration() == "{{float64 mass, int64 charge} first, float32 scale}"
    assert of(RECORD).declaration() == of(Vector).declaration() == "{float64 x, int32 n}"
    assert of(np.dtype([("a b", "i4"), ("class", "i4"), ("n", "i4")])).declaration() == "{int32, int32, int32 n}"
    assert pickle.loads(pickle.dumps(of(Pair))).declaration() == of(Pair).declaration()
    with pytest.raises(ValueError, match="field 'items' of Bag: no type of a farm is like"):
        of(dataclasses.make_dataclass("Bag", [("items", list)]))
    with pytest.raises(ValueError, match="no type of a farm"):
        of(collections.namedtuple("Untyped", "a b"))


def test_a_class_that_holds_itself_is_refused():
    node = dataclasses.make_dataclass("Node", [("value", float)])
    dataclasses.fields(node)[0].type = node
    with pytest.raises(ValueError, match="Node holds itself, in its field 'value'"):
        rbc.Type.fromobject(node)


def test_annotations_give_names(any_target):
    rjit, target = any_target

    @rjit(target=target)
    def energy(p: Particle, factor: float) -> float:
        return p.mass * factor + p.charge + p[0]

    assert energy(Particle(1.5, 2), 10) == energy((1.5, 2), 10.0) == 18.5
    assert list(map(str, energy.signatures)) == ["float64({float64, int64}, float64)"]
    assert energy.batch([(Particle(1.0, 1), 2.0), ((2.0, 0), 1.0)]) == [4.0, 4.0]

    @rjit(target=target)
    def nested(pair: Pair) -> float:
        return pair.first.mass * pair.scale + pair.first.charge

    assert nested(Pair(Particle(1.5, 2), 3.0)) == 6.5


def test_signatures_give_names(rjit):
    f = rjit("float64({float64 x, int32 n})")(lambda v: v.x * v.n)
    assert f((1.5, 2)) == f(Vector(1.5, 2)) == f(np.array([(1.5, 2)], RECORD)[0]) == 3.0
    assert pickle.loads(pickle.dumps(f.signatures)) == f.signatures
    rbc.set_default_farm(rjit)
    try:
        assert pickle.loads(pickle.dumps(f))((1.5, 2)) == 3.0
    finally:
        rbc.set_default_farm(None)
    with pytest.raises(rbc.TypingError, match="members have names where the signature gives them"):
        rjit("float64({float64, int32})")(lambda v: v.x)((1.5, 2))


def test_structs_as_results(rjit):
    def as_it_is(p):
        return p

    def made(p):
        return p.mass * 2, p.charge

    def converted(p):
        return p.charge, p.charge

    text = "{float64 mass, int64 charge}({float64 mass, int64 charge})"
    assert rjit(text)(as_it_is)(Particle(1.5, 2)) == (1.5, 2)
    assert rjit(text)(made)(Particle(1.5, 2)) == (3.0, 2)
    result = rjit(text)(converted)(Particle(1.5, 2))
    assert result == (2.0, 2) and type(result[0]) is float
    nested = rjit("{float64, {float64, int64}}({float64 mass, int64 charge})")(lambda p: (p.mass, p))
    assert nested(Particle(1.5, 2)) == (1.5, (1.5, 2))


def test_names_that_python_has_not_are_left_out(rjit):
    for members in ("float64 class, int64 n", "float64 _x, int64 n", "float64 x, int64 x", "float64 x, int64"):
        assert rjit(f"float64({{{members}}})")(lambda v: v[0] + v[1])((1.5, 2)) == 3.5
