"""Names of recorded calls: those of the variables that hold their results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import FrameType
from typing import Any

from chainlang.tracer.values import Output, Value

_DEPTH = 3  # of nested lists that are looked into


def name_steps(frames: Sequence[FrameType]) -> None:
    """Give each call without a name that of a variable that holds its result, or a field of it.

    `frames` are those of the functions around, the innermost first. The outermost names first,
    since an inner one may have a parameter for the result of another. A finished frame keeps its
    variables as long as it is referenced, so this also finds names that were set after the last
    call.
    """
    held = [
        (name, value)
        for frame in reversed(frames)
        for name, value in frame.f_locals.items()
        if is_variable(name)
    ]
    for find in (_outputs, _fields, _inside):
        for name, value in held:
            for step in find(value):
                if step.variable is None:
                    step.variable = name


def is_variable(name: str) -> bool:
    """Return whether a name of a frame is a variable of the user's."""
    return name.isidentifier() and not name.startswith("_")


def _outputs(value: Any) -> Iterator[Any]:
    if type(value) is Output:
        yield value._step


def _fields(value: Any) -> Iterator[Any]:
    if type(value) is Value:
        yield from value._roots()


def _inside(value: Any, depth: int = _DEPTH) -> Iterator[Any]:
    if depth and type(value) in (list, tuple, dict):
        for one in value.values() if type(value) is dict else value:
            yield from _outputs(one)
            yield from _inside(one, depth - 1)
