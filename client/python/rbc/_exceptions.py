"""Exceptions of functions. On the farm each is a status; a table in the module says what the status stands for: class,
arguments, function and line, as text and without paths. So whoever calls a published function gets its exceptions.

SPDX-License-Identifier: Apache-2.0
"""

import ast
import builtins
import hashlib
import json
import re

FIRST_CODE = 1024  # codes below are numba's own
_TABLE = "rbc.exceptions"

_known = {}  # code -> (class, arguments, (function, file, line) or None, what the code was made of)


class AtRunTime:
    """Stands in an exception's arguments for a value that only the farm knows; it comes with what the call printed."""

    def __init__(self, position):
        self.position = position

    def __repr__(self):
        return f"<value {self.position}>"


def code_of(exc, args, location):
    """The status that stands for this exception. No path takes part, so that the IR is the same wherever it lies."""
    where = (location[0], location[2]) if location else None
    name = (exc.__module__, exc.__qualname__) if exc is not None else None
    text = repr((name, args, where))
    for salt in range(16):
        digest = hashlib.blake2s(f"{salt}{text}".encode(), digest_size=8).digest()
        code = FIRST_CODE + int.from_bytes(digest, "little") % (2**31 - 1 - FIRST_CODE)
        known = _known.get(code)
        if known is None or known[3] == text:
            _known[code] = (exc, args, location, text)
            return code
    raise AssertionError("no free status code")


def exception_of(code):
    """(class, arguments, (function, file, line) or None) of a status, or None for a code that is not known here."""
    known = _known.get(code)
    return known[:3] if known else None


# ---- the table in a module -------------------------------------------------------------------------------------------


def table_for(text):
    """IR that holds the table of the statuses in the IR `text`; "" where there are none."""
    codes = sorted({int(number) for number in re.findall(r"\b\d{4,10}\b", text)} & _known.keys())
    if not codes:
        return ""
    nodes = [f'!{i} = !{{!"{_escaped(json.dumps(_entry(code)))}"}}' for i, code in enumerate(codes)]
    listed = ", ".join(f"!{i}" for i in range(len(codes)))
    return "\n".join([f"!{_TABLE} = !{{{listed}}}", *nodes, ""])


def _entry(code):
    cls, args, location, _ = _known[code]
    function, line = (location[0], location[2]) if location else ("", 0)
    return [code, cls.__module__, cls.__qualname__, [_argument_text(arg) for arg in args or ()], function, line]


def _argument_text(arg):
    """What literal_text() reads back; None: the value comes with what the call printed."""
    if isinstance(arg, AtRunTime):
        return None
    text = repr(arg)
    try:
        literal(text)
    except (ValueError, SyntaxError):
        return repr(str(arg))
    return text


def _escaped(text):
    return text.replace("\\", "\\5C").replace('"', "\\22")


def _unescaped(text):
    return re.sub(r"\\(\\|[0-9A-Fa-f]{2})", lambda match: "\\" if match[1] == "\\" else chr(int(match[1], 16)), text)


def read_table(ir_text):
    """{status: (class name, class or None, arguments, (function, line) or None)} of a module that somebody else made.
    Classes are Python's own exceptions, known by their name; nothing is imported and nothing is run."""
    table = {}
    listed = re.search(rf"^!{re.escape(_TABLE)} = !{{(.*)}}", ir_text, flags=re.M)
    for number in re.findall(r"!(\d+)", listed[1]) if listed else ():
        node = re.search(rf'^!{number} = !{{!"(.*)"}}', ir_text, flags=re.M)
        try:
            code, module, name, args, function, line = json.loads(_unescaped(node[1]))
            args = tuple(AtRunTime(i) if text is None else literal(text) for i, text in enumerate(args))
            table[int(code)] = (f"{module}.{name}" if module != "builtins" else str(name),
                                _standard(module, name), args, (str(function), int(line)) if function else None)
        except (TypeError, ValueError, SyntaxError):
            continue  # not written by this package
    return table


def _standard(module, name):
    cls = getattr(builtins, name, None) if module == "builtins" else None
    return cls if isinstance(cls, type) and issubclass(cls, Exception) else None


# ---- values of an exception that only the farm knows -------------------------------------------------------------------

# They travel with what the call prints, in a control sequence that terminals skip: a client that does not know it shows
# nothing odd.
RAISED_BEGIN, RAISED_END = "\x1b]rbc-raise;", "\x07"
_RAISED = re.compile(re.escape(RAISED_BEGIN) + r"([^\x07]*)" + RAISED_END)
_SPELLED = {"nan": float("nan"), "inf": float("inf"), "nanj": complex(0, float("nan")), "infj": complex(0, float("inf"))}


def literal(text):
    """The value of a Python literal, infinities and NaN among them. ValueError or SyntaxError for all else: the text may
    come from somebody else's function."""
    tree = ast.parse(text.strip(), mode="eval")

    class Spelled(ast.NodeTransformer):
        def visit_Name(self, node):
            return ast.copy_location(ast.Constant(_SPELLED[node.id]), node) if node.id in _SPELLED else node

    try:
        return ast.literal_eval(Spelled().visit(tree))
    except (RecursionError, MemoryError, TypeError) as error:
        raise ValueError(str(error)) from None


def take_raised(text):
    """(what is left of the text, the values of the last exception in it)."""
    found = _RAISED.findall(text)
    values = []
    for part in found[-1].split("\x1f")[1:] if found else ():
        value = part[1:]
        if part[:1] == "v":
            try:
                value = literal(value)
            except (ValueError, SyntaxError):
                pass  # as text
        values.append(value)
    return _RAISED.sub("", text), values
