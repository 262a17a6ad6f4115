"""Fields with names: of classes whose values are structs, and as numba has them.

SPDX-License-Identifier: Apache-2.0
"""

import collections
import dataclasses
import functools
import keyword
import sys


def fields_of(cls):
    """[(name, type)] of a dataclass or typing.NamedTuple, the types as they are written there; None for what is neither."""
    if not isinstance(cls, type):
        return None
    if dataclasses.is_dataclass(cls):
        return [(field.name, _meaning(field.type, cls)) for field in dataclasses.fields(cls)]
    if issubclass(cls, tuple) and getattr(cls, "_fields", None):
        annotations = getattr(cls, "__annotations__", {})
        if all(name in annotations for name in cls._fields):
            return [(name, _meaning(annotations[name], cls)) for name in cls._fields]
    return None


def _meaning(annotation, cls):
    """A type that is text is an expression of the class's module, as `from __future__ import annotations` makes it, or a type
    text."""
    text = getattr(annotation, "__forward_arg__", annotation)
    if not isinstance(text, str):
        return annotation
    try:
        return eval(text, vars(sys.modules[cls.__module__]))
    except Exception:
        return text


def is_name(text):
    return text.isidentifier() and text.isascii() and not keyword.iskeyword(text) and not text.startswith("_")


@functools.lru_cache(maxsize=1024)
def named_tuple(names):
    """The class that stands for a struct with these fields in numba; None where some have no name for it."""
    if not names or not all(map(is_name, names)) or len(set(names)) < len(names):
        return None
    return collections.namedtuple("Struct", names)
