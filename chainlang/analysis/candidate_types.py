"""Types of candidates after each stage, and of their values in templates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from attrs import evolve, frozen

from chainlang.datatypes.value_types import (
    NOTHING,
    NUMBER,
    TEXT,
    TRUTH,
    UNKNOWN,
    Fields,
    Listing,
    Scalar,
    TypeValues,
    Unknown,
    ValueType,
    either,
    field_of,
    options_of,
    view,
)
from chainlang.ir.builtins import CODE
from chainlang.ir.declarations import Op

_OPEN = Fields(is_open=True)
_MOST = 32  # distinct types of candidates; beyond, the type is unknown


@frozen(cache_hash=True)
class CandidateType:
    """The type of a candidate: its answer, and the fields that votes and conditions read."""

    answer: ValueType = UNKNOWN
    fields: Fields = _OPEN

    @property
    def view(self) -> Fields:
        """Type of the template value: its fields, and ``answer``."""
        return evolve(self.fields.with_fields(answer=self.answer), is_view=True)


ANYTHING = CandidateType()
"""Unknown type, of the candidates of Python functions and rows."""


@frozen(cache_hash=True)
class Candidates:
    """The candidates at a point of a chain, by their possible types."""

    each: tuple[CandidateType, ...] = ()
    first: tuple[CandidateType, ...] = ()
    """Possible types of the first candidate."""
    some: bool = True
    """Whether there is at least one."""
    single: bool = False
    """Whether there is exactly one."""

    @property
    def item(self) -> ValueType:
        """Type of any candidate as a template value."""
        return either(one.view for one in self.each)

    @property
    def part(self) -> ValueType:
        """Type of a named part with these candidates."""
        several = Listing(self.item)
        found = [one.view.with_fields(candidates=several) for one in self.first]
        return either(found if self.some else [*found, view({"candidates": several})])

    def after(
        self, made: Iterable[CandidateType], *, some: bool = True, single: bool = False
    ) -> Candidates:
        """Return the candidates that replace these."""
        types = together(made)
        return Candidates(types, types, some, single)


NONE = Candidates(some=False)
ANY = Candidates((ANYTHING,), (ANYTHING,), some=False)
"""Candidates of which nothing is known."""


def together(types: Iterable[CandidateType]) -> tuple[CandidateType, ...]:
    """Return the distinct types; an unknown type if there are too many."""
    found = tuple(dict.fromkeys(types))
    return (ANYTHING,) if len(found) > _MOST else found


def one_of(ways: Iterable[Candidates]) -> Candidates:
    """Return the candidates after one of several alternatives."""
    ways = tuple(ways)
    return Candidates(
        together(one for way in ways for one in way.each),
        together(one for way in ways for one in way.first),
        all(way.some for way in ways),
        all(way.single for way in ways),
    )


def joined(operands: Iterable[Candidates]) -> Candidates:
    """Return the candidates of several operands, in order."""
    operands = tuple(operands)
    first: list[CandidateType] = []
    for one in operands:
        first += one.first
        if one.some:
            break
    each = together(kind for one in operands for kind in one.each)
    single = len(operands) == 1 and operands[0].single
    return Candidates(each, together(first), any(one.some for one in operands), single)


_RESULT = view({"ok": TRUTH, "value": UNKNOWN, "stdout": TEXT, "error": either((TEXT, NOTHING))})


def reply_of(op: Op, types: TypeValues) -> ValueType:
    """Return the type of an op's reply; a string if it declares none, and runs no programs."""
    if op.kind == CODE:
        return evolve(_RESULT, is_view=False)
    return TEXT if op.returns is None else types.of(op.returns)


def candidate_of(value: ValueType, of: str | None = None) -> tuple[CandidateType, ...]:
    """Return the types of the candidate of a value from a row or a reply."""
    found = []
    scalars = either(one for one in options_of(value) if isinstance(one, Scalar))
    for option in options_of(value):
        match option:
            case Unknown():
                found.append(CandidateType(UNKNOWN, Fields(of=of, is_open=True)))
            case Scalar():
                found.append(CandidateType(scalars, Fields(of=of)))
            case Listing():
                found.append(CandidateType(option, Fields(of=of)))
            case Fields():
                found.append(CandidateType(option["answer"] or option, evolve(option, of=of)))
            case _:
                assert_never(option)
    return together(found)


def drawn(op: Op, types: TypeValues) -> tuple[CandidateType, ...]:
    """Return the types of the candidates that an op makes of its replies."""
    answer = next((one.value for one in op.settings if one.name == "answer"), None)
    reply = reply_of(op, types)
    made = candidate_of(reply, op.name)
    if not isinstance(answer, str):
        return made
    kind = answered(answer, reply)
    return together(evolve(one, answer=kind) for one in made)


def chosen(own: Iterable[CandidateType], before: Candidates, of: str) -> tuple[CandidateType, ...]:
    """Return the types of the candidates of a stage that picks one of those before it."""
    return together(_chosen(one, by.fields, of) for by in own for one in before.each or (ANYTHING,))


def answered(expression: str, reply: ValueType) -> ValueType:
    """Return the type of an answer expression; known only if it is a field."""
    if not expression.isidentifier():
        return UNKNOWN
    return field_of(reply, expression).type if expression != "text" else TEXT


def _chosen(one: CandidateType, own: Fields, of: str) -> CandidateType:
    names = {**dict(one.fields.names), **dict(own.names), "final_answer": one.answer}
    found = evolve(view(names, of), is_open=one.fields.is_open or own.is_open)
    return CandidateType(one.answer, found)


def voted(
    before: Candidates, by: str | None, *, extracts: bool = False
) -> tuple[CandidateType, ...]:
    """Return the types of a vote's candidate: one of those before it, with the vote's fields.

    A vote that `extracts` its answers from texts has null where nothing matches.
    """
    found = []
    for one in before.each or (ANYTHING,):
        answer = one.answer if by is None else one.fields[by] or UNKNOWN
        answer = either((answer, NOTHING)) if extracts else answer
        counted = {"final_answer": answer, "votes": UNKNOWN, "confidence": NUMBER}
        found.append(CandidateType(answer, evolve(one.fields.with_fields(**counted), of="M")))
    return together(found)


def lacking(each: Iterable[CandidateType], name: str) -> tuple[str, ...]:
    """Return the stages whose candidates never have a field; "" stands for other candidates.

    A stage is left out if its type is a union of which some option has the field.
    """
    having: dict[str, bool] = {}
    for one in each:
        has = one.fields.is_open or one.fields[name] is not None
        stage = one.fields.of or ""
        having[stage] = having.get(stage, False) or has
    return tuple(stage for stage, has in having.items() if not has)
