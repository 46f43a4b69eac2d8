"""Values for functions of the user: copies, so that a function changes nothing but its own."""

from __future__ import annotations

import copy
from typing import Any

from attrs import evolve

from chainlang.semantics.part import Part
from chainlang.semantics.record import Candidate

_LARGEST = 10**4300  # Python prints no integer of more digits
DEEPEST = 100
"""Maximum nesting of lists and objects in a value that a function returns."""


def own(value: Any) -> Any:
    """Return a JSON value whose lists and objects belong to the receiver alone.

    >>> tags = ["a", ["b"]]
    >>> (copied := own(tags)) == tags, copied is tags, copied[1] is tags[1]
    (True, False, False)
    """
    if isinstance(value, dict):
        return {name: own(one) for name, one in value.items()}
    return [own(one) for one in value] if isinstance(value, list) else value


def own_candidate(candidate: Candidate) -> Candidate:
    """Return an equal candidate whose answer, fields and value belong to the receiver alone."""
    value = candidate.value
    if not candidate.fields and all(
        one is None or isinstance(one, str) for one in (candidate.answer, value)
    ):
        return candidate  # nothing in it can change
    return evolve(
        candidate,
        answer=own(candidate.answer),
        fields=own(dict(candidate.fields)),
        value=copy.deepcopy(value),
    )


def own_part(candidates: tuple[Candidate, ...]) -> Part:
    """Return a named part whose candidates belong to the receiver alone."""
    return Part(tuple(map(own_candidate, candidates)))


def hold(value: Any, depth: int = DEEPEST) -> None:
    """Raise `ValueError` for a value that can't be written as JSON, though it consists of JSON."""
    match value:
        case str():
            return
        case dict() | list() if not depth:
            raise ValueError(f"it is nested more than {DEEPEST} levels deep, or contains itself")
        case dict():
            for one in value.values():
                hold(one, depth - 1)
        case list():
            for one in value:
                hold(one, depth - 1)
        case int() if not -_LARGEST < value < _LARGEST:
            raise ValueError("a number has more than 4,300 digits")
