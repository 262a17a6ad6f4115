"""Callers travel as the source of their function, their signatures and their target; never with an address or a token.
Where one arrives it runs on that process's own farm (rbc.default_farm).

SPDX-License-Identifier: Apache-2.0
"""

import ast
import hashlib
import importlib
import inspect
import linecache
import pickle
import textwrap
import types as pytypes

from ._errors import InvalidArgument


def reduce_caller(caller):
    if caller.py_func is None:
        return _rebuild_connected, (caller.__name__,)
    signatures = [s.declaration() for s in caller._declared]
    annotated = [s.declaration() for s in caller._annotated]
    added = [s.declaration() for s in caller._added] if not caller._infers else []
    return _rebuild, (describe(caller.py_func, {}), signatures, annotated, added, caller._options, caller._target)


def _rebuild(description, signatures, annotated, added, options, target):
    from .caller import Caller
    from .remotejit import default_farm
    from .typesystem import Type

    function = restore(description, {})
    caller = Caller(default_farm(), function, [Type.fromstring(s) for s in signatures],
                    [Type.fromstring(s) for s in annotated], options, target)
    for signature in added:
        caller.add_signature(signature)
    _bind_to_itself(function, caller)
    return caller


def _rebuild_connected(name):
    from .remotejit import default_farm

    return default_farm().connect(name)


def _bind_to_itself(function, caller):
    """A recursive function calls itself by the name of its caller."""
    for name, value in list(function.__globals__.items()):
        if isinstance(value, _Itself):
            function.__globals__[name] = caller


class _Itself:
    pass


def describe(function, seen):
    """A picklable description of a function: source text, and what its free names mean."""
    if function in seen:
        return seen[function]
    seen[function] = ("again", function.__qualname__)
    source, first_line = _source_of(function)
    names = {}
    closure = inspect.getclosurevars(function)
    for name, value in {**closure.globals, **closure.nonlocals}.items():
        names[name] = _describe_value(name, value, function, seen)
    return {"name": function.__name__, "qualname": function.__qualname__, "module": function.__module__,
            "source": source, "line": first_line, "names": names, "defaults": function.__defaults__,
            "annotations": {}, "doc": function.__doc__}


def _describe_value(name, value, function, seen):
    py_func = getattr(value, "py_func", None)
    if isinstance(value, pytypes.ModuleType):
        return "module", value.__name__
    if getattr(type(value), "__rbc_caller__", False) and py_func is function or value is function:
        return "itself", None
    if inspect.isfunction(py_func):
        return "function", describe(py_func, seen)
    if inspect.isfunction(value):
        return "function", describe(value, seen)
    if isinstance(value, (pytypes.BuiltinFunctionType, type)) or type(value).__module__ == "numpy":
        return "value", pickle.dumps(value)
    try:
        return "value", pickle.dumps(value)
    except Exception as error:
        raise InvalidArgument(f"'{name}', which {function.__qualname__} uses, cannot be pickled: {error}") from None


def _source_of(function):
    """The text of `def` or `lambda` alone, with the line that it starts at."""
    try:
        lines, first = inspect.getsourcelines(function)
    except (OSError, TypeError):
        raise InvalidArgument(f"the source of {function.__qualname__} cannot be found, so that it cannot be pickled; "
                              "define it in a file or a notebook") from None
    text = textwrap.dedent("".join(lines))
    if function.__name__ != "<lambda>" and "lambda" not in text.split("def ")[0]:
        tree = ast.parse(text)
        node = tree.body[0]
        node.decorator_list = []
        return "".join(text.splitlines(keepends=True)[node.lineno - 1:]), first + node.lineno - 1
    return _lambda_source(text, function), first


def _lambda_source(text, function):
    wanted = _outline(function.__code__)
    try:
        tree = ast.parse(text)
    except SyntaxError:
        tree = ast.parse(f"({text.strip().rstrip(',')})")
        text = f"({text.strip().rstrip(',')})"
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            source = ast.get_source_segment(text, node)
            if _outline(eval(source, {}).__code__) == wanted:
                found[source] = None
    if len(found) != 1:
        raise InvalidArgument(f"the lambda at line {function.__code__.co_firstlineno} of "
                              f"{function.__code__.co_filename} is one of several; use def to pickle it")
    return "__rbc_lambda__ = " + next(iter(found))


def _outline(code):
    """What two compilations of one text share, wherever its free names are found."""
    return (code.co_varnames[:code.co_argcount], code.co_consts, {*code.co_names, *code.co_freevars})


def restore(description, known):
    """The function of a description, in a namespace of its own."""
    if isinstance(description, tuple):
        return known[description[1]]
    source, name = description["source"], description["name"]
    # The lines of a traceback come from here, and the file's name does not depend on the machine.
    path = f"<rbc {name} {hashlib.blake2s(source.encode()).hexdigest()[:12]}>"
    padded = "\n" * (description["line"] - 1) + source
    linecache.cache[path] = (len(padded), None, padded.splitlines(keepends=True), path)
    namespace = {"__name__": description["module"], "__builtins__": __builtins__}
    for free, (kind, value) in description["names"].items():
        namespace[free] = _restore_value(kind, value, known)
    # Annotations are not needed any more, and their names may be missing here.
    exec(compile("from __future__ import annotations\n" + padded[1:] if padded.startswith("\n") else padded, path,
                 "exec", dont_inherit=True), namespace)
    function = namespace["__rbc_lambda__" if source.startswith("__rbc_lambda__") else name]
    function.__name__, function.__qualname__ = name, description["qualname"]
    function.__defaults__ = description["defaults"]
    function.__annotations__ = {}
    function.__doc__ = description["doc"]
    known[description["qualname"]] = function
    return function


def _restore_value(kind, value, known):
    if kind == "module":
        return importlib.import_module(value)
    if kind == "function":
        return restore(value, known)
    if kind == "itself":
        return _Itself()
    return pickle.loads(value)
