"""Names of recorded calls: those of the variables that hold their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from chainlang.tracer.values import Value

_DEPTH = 3  # of nested lists that are looked into


def name_steps(frames: Sequence[FrameType]) -> None:
    """Give each call without a name that of the first variable that holds its result.

    The variable holds the result, a field of it, or a list of results. `frames` are those of the
    functions around, the innermost first. The outermost names first, since an inner one may have a
    parameter for the result of another; in a function, the variable that occurs first in its code.
    A finished frame keeps its variables as long as it is referenced, so this also finds names that
    were set after the last call.
    """
    for frame in reversed(frames):
        for name, value in frame.f_locals.items():
            if is_variable(name):
                for step in _calls_in(value):
                    step.variable = step.variable or name


def is_variable(name: str) -> bool:
    """Return whether a name of a frame is a variable of the user's."""
    return name.isidentifier() and not name.startswith("_")


def _calls_in(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    if isinstance(value, Value):
        yield from value._roots()
    elif depth and type(value) in (list, tuple, dict):
        for one in value.values() if type(value) is dict else value:
            yield from _calls_in(one, depth - 1)
