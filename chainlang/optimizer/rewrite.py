"""What a pass is: a function from what there is to do to what is done instead, and why not more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from attrs import field, frozen

from chainlang.diagnostics.source import Span
from chainlang.ir.nodes import Expr
from chainlang.plan.steps import Plan
from chainlang.semantics.seeds import Place

T = TypeVar("T")


@frozen
class Refused:
    """Something that a pass would have changed, and why it did not."""

    what: str
    why: str
    place: Place = ()
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Rewritten(Generic[T]):
    """What a pass has made: the object that it was given, where it found nothing to do."""

    made: T
    refused: tuple[Refused, ...] = ()


Pass: TypeAlias = Callable[[T], Rewritten[T]]
ChainPass: TypeAlias = Pass[Expr]
"""Takes a chain in normal form, without references. It moves no stage to another place."""
PlanPass: TypeAlias = Pass[Plan]
"""Takes a plan. It may not change what the plan's `outputs` show."""
