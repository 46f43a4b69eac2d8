"""Budget of one rendering: the characters and values that it reads and makes, and its time.

Whatever costs more than a step is charged before it is computed: a text by its length, a value by
the values in it. A value that contains another one twice is charged twice, as its JSON would be, so
sixty doublings of a list are refused at the twentieth.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

from attrs import define

from chainlang.semantics.template_values import View, as_text

BUDGET = 1 << 24
"""Budget of one rendering in characters."""
ROUND = 16
"""Cost of a round of a loop, or of a value in a list or an object, in characters."""
_AT_ONCE = 1 << 12
"""Characters between two looks at the clock, which takes longer than most prompts do. What takes
time is charged, so this many take no more than milliseconds."""
SECONDS = 5.0
"""Maximum time of one rendering, in seconds of the processor: a busy machine fails no row."""


class OverBudget(RuntimeError):
    """A template reads or makes too much; no kind of error that jinja's filters handle."""


@define
class _Left:
    """Rest of a budget, and the end of its time."""

    characters: int = BUDGET
    look: int = BUDGET - _AT_ONCE
    """Number of characters left with which the clock is read next."""
    end: float | None = None
    """The end of its time; None before the clock is read."""


_LEFT: ContextVar[_Left] = ContextVar("_LEFT")
_SECONDS: ContextVar[float] = ContextVar("_SECONDS", default=SECONDS)


@contextmanager
def rendering_within(most: float | None) -> Iterator[None]:
    """Limit the time of a rendering inside the ``with`` block, to at most `SECONDS`."""
    token = _SECONDS.set(SECONDS if most is None else min(most, SECONDS))
    try:
        yield
    finally:
        _SECONDS.reset(token)


def rendered(pieces: Iterable[str]) -> str:
    """Return the concatenation of lazily generated pieces, with a new budget."""
    token = _LEFT.set(_Left())
    try:
        return "".join(pieces)
    finally:
        _LEFT.reset(token)


def spend(characters: int) -> None:
    """Subtract from the budget. Raises `OverBudget` if it is used up, or its time is."""
    left = _LEFT.get()
    left.characters -= characters if characters > 0 else 1  # each charge brings the clock nearer
    if left.characters < left.look:
        _look(left)


def _look(left: _Left) -> None:
    if left.characters < 0:
        refuse(f"a template reads and makes at most {BUDGET:,} characters, and a round is {ROUND}")
    now = time.thread_time()
    if left.end is None:
        left.end = now + _SECONDS.get()
    elif now > left.end:
        refuse(f"a template is rendered within {_SECONDS.get():g} s")
    left.look = max(0, left.characters - _AT_ONCE)


def refuse(rule: str) -> NoReturn:
    """Raise the error of a template that breaks a rule."""
    raise OverBudget(rule)


def measured(value: Any) -> Any:
    """Return a value whose texts and inner values are charged; of an iterator, as it is read."""
    if isinstance(value, str):
        spend(len(value))
    elif isinstance(value, Iterator):
        return (measured(one) for one in counted(value, ROUND))
    elif isinstance(value, list | tuple | dict | View | range):
        _spend_inside(value)
    return value


def _spend_inside(value: Any) -> None:
    pending, cost = [value], 0
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            cost += len(one)
            continue
        if isinstance(one, View):
            one = one.values()
        if isinstance(one, list | tuple | Mapping | range):
            cost += ROUND * len(one)
            if cost > _AT_ONCE:
                spend(cost)  # before they are listed
                cost = 0
            if not isinstance(one, range):
                pending.extend(one)
            if isinstance(one, Mapping):
                pending.extend(one.values())
    spend(cost)


def counted(items: Iterable[Any], each: int) -> Iterator[Any]:
    """Yield items, each of which is charged."""
    for item in items:
        spend(each)
        yield item


def listed(value: Any) -> Any:
    """Return a value whose items are charged, the characters of a text too."""
    if isinstance(value, Iterator):
        return counted(value, ROUND)
    if isinstance(value, str | list | tuple | dict | range):
        spend(ROUND * len(value))
    return value


def compared(value: Any) -> Any:
    """Return a value whose items are charged with all that is in them."""
    if isinstance(value, str):
        spend(ROUND * len(value))
    return measured(value)


def text_of(value: Any) -> str:
    """Return the text of a value, charged before it is made."""
    return as_text(measured(value))
