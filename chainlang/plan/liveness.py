"""Liveness analysis: the names and candidates that the steps of a plan read."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Loop,
    Name,
    Overlap,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
)
from chainlang.plan.visit import asked, calls, inner, named, steps_of
from chainlang.semantics.expressions import names
from chainlang.semantics.stages import Meaning

CANDIDATES = "candidates"


def reads(step: Step) -> frozenset[str] | None:
    """Return the names that a step reads, including `candidates`; None if it may read any.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> sorted(reads(lower(chain("E(fresh=true) >> E").body).root))
    ['query']
    """
    match step:
        case Generate(stage):
            return _of_stage(stage)
        case Count(vote):
            return frozenset(vote.of or {CANDIDATES})
        case Sequence(steps) | Fused(steps):
            found = [reads(one) for one in steps]
            # Later steps read the candidates of the first.
            return _all([found[0], *(one and one - {CANDIDATES} for one in found[1:])])
        case Decide(generate):
            return reads(generate)
        case AskUntilAgreement(steps):
            return _all([reads(one) for one in steps])
        case Gather() | Fork() | Repeat() | Name() | Overlap():
            return _all([reads(one) for one in inner(step)])
        case Call() | Fallback() | Retry() | Timeout() | Route() | Loop() | Each():
            return None
    assert_never(step)


def _all(found: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [one for one in found if one is not None]
    return frozenset().union(*known) if len(known) == len(found) else None


@lru_cache(maxsize=1024)
def _of_stage(stage: Meaning) -> frozenset[str]:
    prompt = stage.read_by_prompt
    if stage.fresh:
        prompt -= {CANDIDATES}
    if stage.continues:
        prompt |= {"query"}  # of a candidate that is from no model
    if stage.kind != "generate" or stage.choose is not None:
        prompt |= {CANDIDATES}
    read = prompt | (names(stage.answer) if stage.answer else frozenset())
    return (read - {CANDIDATES}) | set(stage.of) if stage.of else read


def names_read(step: Step) -> frozenset[str]:
    """Return the names that a step, or one inside it, may read, whatever sets them.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> sorted(names_read(lower(chain('loop(E, until="round > 1")').body).root))
    ['candidates', 'query', 'round']
    """
    found: set[str] = set()
    for one in steps_of(step):
        if isinstance(one, Generate):
            found |= _of_stage(one.stage)
        if isinstance(one, Count):
            found.update(one.vote.of)
        for judge in asked(one):
            found |= names(judge) if isinstance(judge, str) else frozenset()
    for call in calls(step):
        found.update(call.of, (one.name for one in call.function.names))
    return frozenset(found)


def names_made(step: Step) -> frozenset[str]:
    """Return the names of the parts inside a step that steps after it can read.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain('(a = E & b = E) >> each((c = E) >> J, over="docs")').body)
    >>> sorted(names_made(plan.root))
    ['a', 'b']
    """
    return frozenset(one.name for one in named(step))
