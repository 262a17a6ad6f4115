"""NumPy's dtypes of the types that have one.

SPDX-License-Identifier: Apache-2.0
"""

import functools

import numpy

from . import _core

_KINDS = {"bool": "?", "int": "i", "uint": "u", "float": "f", "complex": "c"}


def _make(text):
    kind, bits, _, _, children, _ = _core.describe_type(text)
    if kind == "struct":
        fields = [_made(child[-1]) for child in children]
        if any(field is None for field in fields):
            return None
        return numpy.dtype([(f"f{i}", field) for i, field in enumerate(fields)], align=True)
    if kind not in _KINDS or (kind != "bool" and bits not in (8, 16, 32, 64, 128)) or (kind, bits) == ("float", 128):
        return None
    return numpy.dtype("?" if kind == "bool" else f"{_KINDS[kind]}{bits // 8}")


_made = functools.lru_cache(maxsize=1024)(_make)


def dtype_of(type_):
    """The NumPy dtype of a number, or of a struct of numbers (fields f0, f1, ...); None: it has none."""
    return _made(type_.tostring())
