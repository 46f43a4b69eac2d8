"""Names of the fields that candidates may have after a step, as far as its types say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TypeAlias, assert_never

from chainlang.datatypes.check_types import Declared
from chainlang.ir import declarations
from chainlang.ir.builtins import NAMED_TYPES, RESULT
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
from chainlang.plan.visit import inner
from chainlang.semantics.stages import Meaning

Fields: TypeAlias = frozenset[str] | None
"""Names of fields; None if there may be any."""
_NONE: Fields = frozenset()
_OF_VOTES = frozenset({"final_answer", "votes", "confidence"})
_OF_CHOICES = frozenset({"final_answer"})


def either(several: Iterable[Fields]) -> Fields:
    """Return the fields of candidates that are of one of several kinds."""
    return reduce(lambda one, other: None if one is None or other is None else one | other, several)


def fields_after(step: Step, before: Fields) -> Fields:
    """Return the fields of the candidates after a step, by those of the candidates before it.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> sorted(fields_after(lower(chain("3:E >> V >> M").body).root, None))
    ['confidence', 'explanation', 'final_answer', 'revised_answer', 'verdict', 'votes']
    """
    match step:
        case Generate(stage):
            return _of_stage(stage, before)
        case Count(vote):
            return either([None if vote.of else before, _OF_VOTES])
        case Decide(generate):
            return either([fields_after(generate, before), _OF_VOTES])
        case Call():
            return None
        case Sequence(steps) | Fused(steps):
            return reduce(lambda found, one: fields_after(one, found), steps, before)
        case Each(one):
            return fields_after(one, _NONE)
        case Loop(one):
            first = fields_after(one, before)
            return either([first, fields_after(one, first)])
        case Gather() | Fork() | Repeat() | Name() | Graph() | Retry() | Timeout() | WithFields():
            return either([fields_after(one, before) for one in inner(step)])
        case Fallback() | Cascade() | Route():
            return either([fields_after(one, before) for one in inner(step)])
        case AskUntilAgreement(steps):
            return either([*(fields_after(one, before) for one in steps), _OF_VOTES])
    assert_never(step)


def _of_stage(stage: Meaning, before: Fields) -> Fields:
    if stage.program is not None:
        return frozenset(RESULT)
    own = _NONE if stage.returns is None else _of_type(stage.returns, stage.types, frozenset())
    if stage.choose is None:
        return own
    return either([None if stage.of else before, own, _OF_CHOICES])


def _of_type(
    node: declarations.Type, known: Mapping[str, Declared], seen: frozenset[str]
) -> Fields:
    """Return the fields of the values of a type; values that are no objects have none."""
    match node:
        case declarations.TypeName(name):
            declared = known.get(name)
            if isinstance(declared, declarations.TypeDef) and name not in seen:
                return _of_type(declared.type, known, seen | {name})
            return _NONE if name in NAMED_TYPES else None
        case declarations.Shape(fields):
            names = {one.name for one in fields} | {one.column for one in fields if one.column}
            return frozenset(names)
        case declarations.Maybe(item):
            return _of_type(item, known, seen)
        case declarations.OneOf(options):
            return either([_of_type(one, known, seen) for one in options])
        case declarations.Constant() | declarations.ListOf():
            return _NONE
        case declarations.RowChoice() | declarations.DictOf():
            return None
    assert_never(node)
