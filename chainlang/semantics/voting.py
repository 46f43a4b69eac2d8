"""Majority vote over candidates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve

from chainlang.semantics.record import Candidate

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=True)


def canonical_answer(answer: Any, normalize: str | None = None) -> str:
    """Return the key by which answers are counted: canonical JSON, with strings stripped.

    ``normalize="casefold"`` ignores case; ``"number"`` compares answers that are numbers as such.

    >>> canonical_answer(" 42\\n") == canonical_answer("42")
    True
    >>> canonical_answer("42.0", "number") == canonical_answer("42", "number")
    True
    """
    if isinstance(answer, str):
        answer = answer.strip()
        if normalize == "casefold":
            answer = answer.casefold()
        elif normalize == "number":
            answer = _number(answer)
    return _JSON.encode(answer)


def _number(text: str) -> str | float:
    try:
        value = float(text.replace(",", "").replace("_", ""))
    except ValueError:
        return text
    return value if abs(value) < float("inf") else text


def vote(
    candidates: Iterable[Candidate], by: str | None = None, normalize: str | None = None
) -> Candidate:
    """Return the candidate with the most frequent answer; ties go to the first answer.

    It has the fields of the first candidate with the winning answer, and ``final_answer``,
    ``votes`` (number of each answer, by its canonical text) and ``confidence`` (share of the
    winner). With `by`, the field of that name is counted in place of the answer. Raises `KeyError`
    if a candidate lacks the field, and `ValueError` without candidates.

    >>> winner = vote([Candidate("a"), Candidate("b"), Candidate(" b")])
    >>> winner.answer, winner.fields["confidence"]
    ('b', 0.6666666666666666)
    """
    votes: dict[str, int] = {}
    first: dict[str, tuple[Any, Candidate]] = {}
    for candidate in candidates:
        answer = candidate.answer if by is None else candidate.fields[by]
        key = canonical_answer(answer, normalize)
        votes[key] = votes.get(key, 0) + 1
        first.setdefault(key, (answer, candidate))
    if not votes:
        raise ValueError("no candidates")
    winner = max(votes, key=lambda key: votes[key])  # the first of those with the most votes
    answer, candidate = first[winner]
    fields = {
        **candidate.fields,
        "final_answer": answer,
        "votes": votes,
        "confidence": votes[winner] / sum(votes.values()),
    }
    return evolve(candidate, answer=answer, fields=fields)


def tally(
    candidates: Iterable[Candidate], by: str | None = None, normalize: str | None = None
) -> dict[str, int]:
    """Return the number of each answer by its canonical text, in order of first occurrence.

    A candidate without the field is not counted here; `vote` raises an error for it.

    >>> tally([Candidate("a"), Candidate("b"), Candidate(" b")])
    {'"a"': 1, '"b"': 2}
    """
    votes: dict[str, int] = {}
    for one in candidates:
        if by is None or by in one.fields:
            key = canonical_answer(one.answer if by is None else one.fields[by], normalize)
            votes[key] = votes.get(key, 0) + 1
    return votes


def still_needed(
    candidates: Sequence[Candidate], left: int, by: str | None = None, normalize: str | None = None
) -> int:
    """Return the minimum number of further candidates after which the winner may be certain.

    `left` is the maximum number of further candidates. 0 means that the winner is certain now,
    whatever they are.

    >>> still_needed([], 9), still_needed([Candidate("a"), Candidate("a"), Candidate("b")], 1)
    (5, 0)
    """
    votes = tally(candidates, by, normalize)
    leads = max(votes.values(), default=0)
    seen = False  # whether the leader was passed: it loses a tie with an earlier answer
    lacks = left - leads  # for an answer that has not occurred yet
    for number in votes.values():
        if number == leads and not seen:
            seen = True
            continue
        lacks = max(lacks, number + left - leads + (0 if seen else 1))
    return min(left, max(0, -(-lacks // 2)))
