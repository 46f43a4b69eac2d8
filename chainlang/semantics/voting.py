"""Majority vote over candidates."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from attrs import frozen

from chainlang.semantics.answer_forms import extracted, number, plain_words
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.record import Candidate

_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=True)


@frozen
class Counting:
    """The options of a vote that determine which answers are equal."""

    by: str | None = None
    """Field that is counted in place of the answer."""
    normalize: str | UserFunction | None = None
    """Name of a form that answers are compared in, or a function of an answer."""
    extract: str | None = None
    """Regular expression; its last match, or the first group of it, is counted."""
    weight: tuple[tuple[str, float], ...] | None = None
    """Weight of the candidates of each model; those of other models weigh 1."""

    def weight_of(self, candidate: Candidate) -> float:
        """Return the weight of a candidate, by the model that answered."""
        if self.weight is None:  # as of nearly all votes
            return 1
        return next((of for name, of in self.weight if name == candidate.model), 1)

    def answer(self, candidate: Candidate) -> Any:
        """Return the counted answer of a candidate. Raises `KeyError` if it lacks the field."""
        answer = candidate.answer if self.by is None else candidate.fields[self.by]
        if self.extract is None or not isinstance(answer, str):
            return answer
        return extracted(self.extract, answer)

    def key(self, answer: Any) -> str:
        """Return the key by which an answer is counted. Raises `StageError` if a function fails."""
        if isinstance(self.normalize, UserFunction):
            return canonical_answer(self.normalize.of_answer(answer))
        return canonical_answer(answer, self.normalize)

    def keys(self, candidates: Iterable[Candidate]) -> list[str]:
        """Return the key of each candidate that has the counted field."""
        return [
            self.key(self.answer(one))
            for one in candidates
            if self.by is None or self.by in one.fields
        ]


ANSWERS = Counting()
"""Counting of the answers as they are."""


def canonical_answer(answer: Any, normalize: str | None = None) -> str:
    """Return the key by which answers are counted: canonical JSON, with strings stripped.

    Equal numbers have one key, whether whole or not. ``normalize="casefold"`` ignores case;
    ``"number"`` compares answers that are numbers as such; ``"text"`` ignores case, punctuation and
    articles.

    >>> canonical_answer(" 42\\n") == canonical_answer("42")
    True
    >>> [canonical_answer(one, "number") for one in ("42.0", 42, "1,000", "3,14")]
    ['42', '42', '1000', '"3,14"']
    >>> canonical_answer("The “Eiffel” tower.", "text")
    '"eiffel tower"'
    """
    if normalize == "number" and (found := number(answer)) is not None:
        return found
    if not isinstance(answer, str):
        return _JSON.encode(_whole(answer))
    answer = answer.strip()
    if normalize == "casefold":
        answer = answer.casefold()
    elif normalize == "text":
        answer = plain_words(answer)
    return quoted(answer)


def _whole(value: Any) -> Any:
    """Return a JSON value in which whole floats are integers, so that 1.0 is 1 and -0.0 is 0."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case dict():
            return {name: _whole(one) for name, one in value.items()}
        case list() | tuple():
            return [_whole(one) for one in value]
    return value


def vote(candidates: Iterable[Candidate], how: Counting = ANSWERS) -> Candidate:
    """Return the candidate with the most frequent answer, by weight; ties go to the first answer.

    It has the fields of the first candidate with the winning answer, and ``final_answer``,
    ``votes`` (number of each answer, by its canonical text) and ``confidence`` (share of the
    winner, by weight). The answer keeps the spelling of that candidate. Raises `KeyError` if a
    candidate lacks the counted field, and `ValueError` without candidates.

    >>> winner = vote([Candidate("a"), Candidate("b"), Candidate(" b")])
    >>> winner.answer, winner.fields["confidence"]
    ('b', 0.6666666666666666)
    """
    votes: dict[str, int] = {}
    weights: dict[str, float] = {}
    first: dict[str, tuple[Any, Candidate]] = {}
    for candidate in candidates:
        answer = how.answer(candidate)
        key = how.key(answer)
        votes[key] = votes.get(key, 0) + 1
        if how.weight is not None:
            weights[key] = weights.get(key, 0) + how.weight_of(candidate)
        first.setdefault(key, (answer, candidate))
    if not votes:
        raise ValueError("no candidates")
    weigh: Mapping[str, float] = weights or votes
    winner = max(weigh, key=weigh.__getitem__)  # the first of the heaviest
    answer, candidate = first[winner]
    fields = {
        **candidate.fields,
        "final_answer": answer,
        "votes": votes,
        "confidence": weigh[winner] / sum(weigh.values()),
    }
    return candidate.with_answer(answer, fields)


def tally(candidates: Iterable[Candidate], how: Counting = ANSWERS) -> dict[str, int]:
    """Return the number of each answer by its canonical text, in order of first occurrence.

    A candidate without the field is not counted here; `vote` raises an error for it.

    >>> tally([Candidate("a"), Candidate("b"), Candidate(" b")])
    {'"a"': 1, '"b"': 2}
    """
    votes: dict[str, int] = {}
    for key in how.keys(candidates):
        votes[key] = votes.get(key, 0) + 1
    return votes


def still_needed(candidates: Sequence[Candidate], left: int, how: Counting = ANSWERS) -> int:
    """Return the minimum number of further candidates after which the winner may be certain.

    `left` is the maximum number of further candidates. 0 means that the winner is certain now,
    whatever they are.

    >>> still_needed([], 9), still_needed([Candidate("a"), Candidate("a"), Candidate("b")], 1)
    (5, 0)
    """
    votes = tally(candidates, how)
    leads = max(votes.values(), default=0)
    seen = False  # whether the leader was passed: it loses a tie with an earlier answer
    lacks = left - leads  # for an answer that has not occurred yet
    for count in votes.values():
        if count == leads and not seen:
            seen = True
            continue
        lacks = max(lacks, count + left - leads + (0 if seen else 1))
    return min(left, max(0, -(-lacks // 2)))
