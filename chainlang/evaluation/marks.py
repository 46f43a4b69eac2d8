"""`Mark`: the mark of one answer by a metric; `Metric`: a named way to mark answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from attrs import frozen

from chainlang.diagnostics.render import shown
from chainlang.errors import error_of


@frozen
class Mark:
    """The mark of one answer."""

    value: float | None
    """From 0, wrong, to 1, correct; None if nothing in the answer could be read."""
    read: Any = None
    """The part of the answer that was compared with the target."""


MarkFunction: TypeAlias = Callable[[Any, Any, Mapping[str, Any]], Mark]
"""Function of an answer, its target and the fields of the row."""


@frozen
class Metric:
    """A named way to mark an answer by its target.

    >>> from chainlang.evaluation import number
    >>> number()("about 1,200 of them", "1200")
    Mark(value=1.0, read='1200')
    """

    name: str
    mark: MarkFunction
    check: Callable[[Any, Mapping[str, Any]], object] | None = None
    """Function of a target and its row that raises `RowError` for a target that it can't read."""
    output: str = "answer"
    """Output of a chain that it marks, where none is named; ``candidates`` are all answers."""

    def __call__(self, answer: Any, target: Any, row: Mapping[str, Any] | None = None) -> Mark:
        """Return the mark of an answer."""
        return self.mark(answer, target, row or {})


def value_of(given: object, name: str) -> float | None:
    """Return the mark that a function or a judge gave, as a number from 0 to 1.

    None, for an answer that can't be read, stays None. Raises `OperandError` for anything else.

    >>> value_of(True, "f"), value_of(0.25, "f"), value_of(None, "f")
    (1.0, 0.25, None)
    """
    if given is None:
        return None
    if isinstance(given, bool | int | float) and 0 <= given <= 1:
        return float(given)
    hint = "return True or False, a number from 0 to 1, or None for what can't be read"
    if isinstance(given, float) and math.isnan(given):
        hint = "return None for an answer that can't be read"
    raise error_of("operand", f"the metric {name} returned {shown(given)}, no mark", hint)
