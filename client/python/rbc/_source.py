"""The text of a function, and a function of such a text.

SPDX-License-Identifier: Apache-2.0
"""

import __future__
import ast
import functools
import inspect
import types as pytypes

from ._errors import InvalidArgument

ANNOTATIONS_STAY_TEXT = __future__.annotations.compiler_flag  # the names in them may be missing elsewhere
NAME = "__rbc_function__"  # what parsed() calls the function


def of(function):
    """(the text of `def` or `lambda` alone, the line where it starts). InvalidArgument: there is none."""
    try:
        return _of_code(function.__code__)  # and not of what __wrapped__ names
    except (OSError, TypeError, SyntaxError):
        raise InvalidArgument(f"the source of {function.__qualname__} cannot be found, so that it cannot be pickled; "
                              "define it in a file or a notebook") from None


def parsed(source, line):
    """(a tree that defines NAME, the text of a file that has the source where it was)."""
    before = "\n" * (line - 1)
    if source[:1].isspace():  # taken out of a block
        before = "\n" * max(0, line - 2) + "if True:\n"
    text = before + source
    tree = ast.parse(text)
    node = tree.body[0].body[0] if source[:1].isspace() else tree.body[0]
    if isinstance(node, ast.Expr):
        _forget_values(node.value.args)
        node = ast.copy_location(ast.Assign([ast.copy_location(ast.Name(NAME, ast.Store()), node)], node.value), node)
        return ast.Module([node], []), text
    _forget_values(node.args)
    node.decorator_list = []
    named = ast.parse(f"{NAME} = {node.name}").body
    return ast.Module([node, *named], []), text


def _forget_values(arguments):
    """Defaults travel as values. What stands for them here keeps their number."""
    arguments.defaults = [ast.copy_location(ast.Constant(None), default) for default in arguments.defaults]
    arguments.kw_defaults = [default and ast.copy_location(ast.Constant(None), default)
                             for default in arguments.kw_defaults]


@functools.lru_cache(maxsize=1024)
def _of_code(code):
    lines = inspect.findsource(code)[0]
    text = "".join(lines)
    if code.co_name == "<lambda>":
        return _of_lambda(text, code)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == code.co_name:
            if code.co_firstlineno in (node.lineno, *(decorator.lineno for decorator in node.decorator_list[:1])):
                return "".join([*lines[node.lineno - 1:node.end_lineno]]).rstrip() + "\n", node.lineno
    raise OSError


def _of_lambda(text, code):
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Lambda) and node.lineno == code.co_firstlineno:
            source = f"({ast.get_source_segment(text, node)})"
            inner = compile(source, "", "eval").co_consts
            if any(isinstance(const, pytypes.CodeType) and _outline(const) == _outline(code) for const in inner):
                found[source] = None
    if len(found) != 1:
        raise InvalidArgument(f"the lambda at line {code.co_firstlineno} of {code.co_filename} is one of several; "
                              "use def to pickle it")
    return next(iter(found)) + "\n", code.co_firstlineno


def _outline(code):
    """What two compilations of one text share, wherever its free names are found."""
    consts = [_outline(const) if isinstance(const, pytypes.CodeType) else repr(const).rpartition("<locals>.")[2]
              for const in code.co_consts]
    return code.co_varnames[:code.co_argcount], consts, {*code.co_names, *code.co_freevars}
