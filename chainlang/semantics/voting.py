"""The vote: which answer is the most common. The one type of stage that is Python."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from attrs import evolve

from chainlang.semantics.record import Candidate

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=True)


def canonical_answer(answer: Any, normalize: str | None = None) -> str:
    """Return the text under which answers are counted as the same: canonical JSON, text stripped.

    ``normalize="casefold"`` ignores case; ``"number"`` compares as numbers what reads as one.

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
    """Return the most frequent candidate; ties go to the first seen.

    It has the fields of the first candidate that gave the winning answer, and ``final_answer``,
    ``votes`` (how often each answer was given, by its canonical text) and ``confidence`` (the
    share of the winner). With `by`, the field of that name is what is counted and answered.
    Raises KeyError if a candidate lacks the field, ValueError if there are no candidates.

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
    """Return how often each answer was given, by its canonical text, in the order they came.

    A candidate without the field counts for nothing here; `vote` tells of it.

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
    """Return how many more candidates it takes at least until none could change the winner.

    `left` is how many there may still be. 0 says that the winner is the one that `vote` would find
    among all of them, whatever they are.

    >>> still_needed([], 9), still_needed([Candidate("a"), Candidate("a"), Candidate("b")], 1)
    (5, 0)
    """
    votes = tally(candidates, by, normalize)
    leads = max(votes.values(), default=0)
    seen = False  # whether the leader was: a tie with one that was seen before it is lost
    lacks = left - leads  # of an answer that nobody has given yet
    for number in votes.values():
        if number == leads and not seen:
            seen = True
            continue
        lacks = max(lacks, number + left - leads + (0 if seen else 1))
    return min(left, max(0, -(-lacks // 2)))
