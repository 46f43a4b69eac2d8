"""Interface of passes: a pass rewrites a chain or a plan, and reports refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

from attrs import field, frozen

from chainlang.diagnostics.source import Span
from chainlang.ir.nodes import Expr
from chainlang.plan.steps import Count, Plan, Step
from chainlang.plan.visit import effects
from chainlang.semantics.seeds import Place

T = TypeVar("T")


CAUGHT = "it is inside a fallback or retry, which acts on failures"
"""Reason of a refusal: there each step that may fail runs, and fails, in its turn."""


def side_effects(step: Step) -> str | None:
    """Return why a step runs as it is written, if it calls functions, or tools with effects."""
    names = ", ".join(dict.fromkeys(name for name, *_ in effects(step)))
    return f"{names} may have side effects" if names else None


def fixed(vote: Count) -> str | None:
    """Return why a vote is counted after all that stands before it, if it is."""
    if vote.vote.of:
        return f"it counts the candidates of {', '.join(vote.vote.of)}"
    if vote.vote.how.weight is not None:
        return "it weighs the answers by model"
    return side_effects(vote)


@frozen
class Refused:
    """Refusal: a part that a pass left unchanged, and the reason."""

    what: str
    why: str
    place: Place = ()
    span: Span | None = field(default=None, eq=False, repr=False)


@frozen
class Rewritten(Generic[T]):
    """Result of a pass: the rewritten object, or the same object if nothing matched."""

    made: T
    refused: tuple[Refused, ...] = ()


Pass: TypeAlias = Callable[[T], Rewritten[T]]
ChainPass: TypeAlias = Pass[Expr]
"""Rewrites a chain in normal form, without references. Stages keep their places."""
PlanPass: TypeAlias = Pass[Plan]
"""Rewrites a plan, without a change to anything in the plan's `outputs`."""
