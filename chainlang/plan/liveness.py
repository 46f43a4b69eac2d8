"""Liveness analysis: the names and candidates that the steps of a plan read."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from chainlang.plan.candidate_fields import Fields
from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Loop,
    Name,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.plan.visit import asked, calls, inner, named, steps_of
from chainlang.semantics.combinators import ITEM_INDEX, ROUND
from chainlang.semantics.expressions import names
from chainlang.semantics.stages import Meaning

CANDIDATES = "candidates"


def reads(step: Step, fields: Fields = None) -> frozenset[str]:  # noqa: C901  # a match
    """Return the names that a step may read of the record before it, including `candidates`.

    `fields`: those of the candidates before it; None if they are not known. In a condition or a
    list the name of such a field is that of the first candidate.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> sorted(reads(lower(chain("E(fresh=true) >> E").body).root))
    ['query']
    """

    def inside(step: Step) -> frozenset[str]:
        return frozenset().union(*(reads(one, fields) for one in inner(step)))

    match step:
        case Generate(stage):
            return _of_stage(stage)
        case Count(vote):
            return frozenset(vote.of or {CANDIDATES})
        case Call():
            return _of_call(step)
        case Sequence(steps) | Fused(steps):  # later steps read the candidates of the first
            if not steps:  # it keeps the candidates
                return frozenset({CANDIDATES})
            later = frozenset().union(*map(reads, steps[1:]))
            return reads(steps[0], fields) | (later - {CANDIDATES})
        case Decide(generate):
            return reads(generate)
        case AskUntilAgreement(steps):
            return frozenset().union(*(reads(one, fields) for one in steps))
        case Gather() | Fork() | Repeat() | Name() | Graph() | Fallback() | Retry() | Timeout():
            return inside(step)
        case Cascade(_, accept):  # which reads the candidates of the part before
            return inside(step) | (_of_judge(accept, None) - {CANDIDATES})
        case WithFields(_, given):
            own = frozenset().union(*(one.reads for one in given))
            return (inside(step) - {one.name for one in given}) | own
        case Route(by):
            return inside(step) | _of_judge(by, fields)
        case Loop(_, until):  # which reads the candidates of its own round
            return inside(step) | (_of_judge(until, None) - {CANDIDATES, ROUND})
        case Each(one, over, item):
            body = reads(one, frozenset()) - {CANDIDATES, ITEM_INDEX, item}
            return _of_judge(over, fields) | body  # which begins without candidates
    assert_never(step)


def _of_judge(by: str | Call, fields: Fields) -> frozenset[str]:
    if isinstance(by, Call):
        return _of_call(by)
    found = names(by)
    of_a_candidate = found if fields is None else found & {*fields, "answer"}
    return found | {CANDIDATES} if of_a_candidate else found


def _of_call(call: Call) -> frozenset[str]:
    found = frozenset(one.name for one in call.function.names)
    if call.function.fed is not None:
        found |= {CANDIDATES}
    return (found - {CANDIDATES}) | set(call.of) if call.of else found


@lru_cache(maxsize=1024)
def _of_stage(stage: Meaning) -> frozenset[str]:
    prompt = stage.read
    if stage.fresh:
        prompt -= {CANDIDATES}
    if stage.continues:
        prompt |= {"query"}  # of a candidate that is from no model
    if stage.kind != "generate" or stage.choose is not None:
        prompt |= {CANDIDATES}
    if stage.replies is not None:
        prompt |= frozenset(stage.replies.lists)
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
        found |= own_reads(one)
    for call in calls(step):
        found.update(call.of, (one.name for one in call.function.names))
    return frozenset(found)


def own_reads(step: Step) -> frozenset[str]:
    """Return the names that the expressions and templates of a combinator read by themselves."""
    if isinstance(step, WithFields):
        return frozenset().union(*(one.reads for one in step.fields))
    return frozenset().union(*(names(one) for one in asked(step) if isinstance(one, str)))


def names_made(step: Step) -> frozenset[str]:
    """Return the names of the parts inside a step that steps after it can read.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> plan = lower(chain('(a = E & b = E) >> each((c = E) >> J, over="docs")').body)
    >>> sorted(names_made(plan.root))
    ['a', 'b']
    """
    return frozenset(one.name for one in named(step))
