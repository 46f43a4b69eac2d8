"""The check that a `forward` may be traced: it does nothing with values but passing them on.

A traced function runs once, with stand-ins, and texts that hold them are texts for Python. So what
looks at a text, or computes with it, would be computed once for all rows, and whatever else happens
would happen once. A function is traced by itself only where it has no branch, no comparison and no
handler, and where all that it names and holds is known: operators, models, types of fields, texts.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Iterator
from functools import cache
from types import CodeType, FrameType, FunctionType, TracebackType
from typing import Any

from pydantic import BaseModel

from chainlang.compat.ember.dataflow import opcodes_that_catch
from chainlang.compat.ember.language_models import LMModule
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.specification import Specification

__all__ = ["Watch", "forwards", "why_not"]

_LOOKING = (
    "POP_JUMP", "JUMP_IF", "COMPARE", "CONTAINS", "IS_OP", "UNARY", "TO_BOOL", "MATCH", "IMPORT",
    "STORE_ATTR", "STORE_GLOBAL", "DELETE", "RAISE", "YIELD", "SEND", "BINARY_SLICE", "BEFORE_WITH",
    "LOAD_BUILD_CLASS",
)  # fmt: skip
_ADDING = ("+", "+=")
_METHODS = frozenset({"append", "extend", "items", "keys", "values", "get", "format"})
_BUILDERS = frozenset({"dict", "enumerate", "list", "range", "str", "tuple", "zip"})
_OURS = ("chainlang", "pydantic")


def forwards(value: object) -> Iterator[tuple[Operator[Any, Any], FunctionType]]:
    """Yield each `forward` that is written in Python, of an operator and of those that it holds."""
    if isinstance(value, Operator):
        forward: Any = type(value).forward
        if not str(forward.__module__).startswith(__name__.rpartition(".")[0]):
            yield value, forward
        for one in vars(value).values():
            yield from forwards(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from forwards(one)


def why_not(operator: Operator[Any, Any], forward: FunctionType) -> str | None:
    """Return why a `forward` may not be traced; None if it may."""
    name = f"{type(operator).__name__}.forward"
    if not _is_straight(forward.__code__):
        return f"{name} has a branch, a comparison or a handler"
    for key, value in vars(operator).items():
        if not key.startswith("_") and not _is_known(value):
            return f"{name} may call {key}, which is Python"
    cells = zip(forward.__code__.co_freevars, forward.__closure__ or (), strict=True)
    around = {key: cell.cell_contents for key, cell in cells}
    for key in _names(forward.__code__, "LOAD_GLOBAL", "LOAD_NAME"):
        found = forward.__globals__.get(key, getattr(builtins, key, None))
        if not _is_known(found) and key not in _BUILDERS:
            return f"{name} uses {key}, which is Python"
    for key, value in around.items():
        if key != "__class__" and not _is_known(value):
            return f"{name} uses {key}, which is Python"
    for key in _names(forward.__code__, "LOAD_METHOD", "LOAD_ATTR"):
        if key != "forward" and _is_method(operator, key):
            return f"{name} calls {key}(), which is Python"
    return None


@cache
def _is_straight(code: CodeType) -> bool:
    """Return whether a function has no branch, no comparison and no handler, nor one inside it."""
    for one in dis.get_instructions(code):
        if one.opname.startswith(_LOOKING) or one.opname in opcodes_that_catch():
            return False
        if one.opname == "BINARY_OP" and one.argrepr not in _ADDING:
            return False
    return all(_is_straight(one) for one in code.co_consts if isinstance(one, CodeType))


def _names(code: CodeType, *opnames: str) -> set[str]:
    found = {str(one.argval) for one in dis.get_instructions(code) if one.opname in opnames}
    for one in code.co_consts:
        found |= _names(one, *opnames) if isinstance(one, CodeType) else set()
    return found


def _is_known(value: object) -> bool:
    """Return whether a value may be named in a `forward`: it runs no Python of the user."""
    if isinstance(value, list | tuple):
        return all(map(_is_known, value))
    if isinstance(value, type):
        return issubclass(value, BaseModel | Operator)
    if isinstance(value, LMModule):
        return type(value) is LMModule
    return value is None or isinstance(value, Operator | Specification | BaseModel | str | int)


def _is_method(operator: Operator[Any, Any], name: str) -> bool:
    """Return whether a name is a method in Python, of the operator or of what it reads."""
    found = operator.specification
    several = () if found is None else (found.input_model, found.structured_output, type(found))
    for one in (type(operator), *several):
        for base in getattr(one, "__mro__", ()):
            if name in vars(base) and not base.__module__.startswith(_OURS):
                kinds = (FunctionType, property, classmethod, staticmethod)
                return isinstance(vars(base)[name], kinds)
    return False


class Watch:
    """A block in which calls from functions that are traced are watched.

    `found` is the first call of something else than operators, in words.
    """

    def __init__(self) -> None:
        self.codes: set[CodeType] = set()
        self.found: str | None = None

    def allow(self, code: CodeType) -> None:
        """Take a function, with those inside it, as one that is traced."""
        self.codes.add(code)
        for one in code.co_consts:
            if isinstance(one, CodeType):
                self.allow(one)

    def __enter__(self) -> Watch:
        self._before = sys.getprofile()
        sys.setprofile(self._see)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        sys.setprofile(self._before)

    def _see(self, frame: FrameType, event: str, called: Any) -> None:
        if event == "c_call" and frame.f_code in self.codes:
            name = getattr(called, "__name__", "")
            if name not in _METHODS | _BUILDERS:
                self._note(name)
        if event == "call" and frame.f_back is not None and frame.f_back.f_code in self.codes:
            room = str(frame.f_globals.get("__name__", "")).partition(".")[0]
            if room not in _OURS and frame.f_code not in self.codes:
                self._note(frame.f_code.co_name)

    def _note(self, name: str) -> None:
        self.found = self.found or f"it calls {name}()"
