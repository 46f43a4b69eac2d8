"""Random values of functions and replies, and what chains make of them, one line for each.

``python -m tests.laws.hash_seeds COUNT`` prints the lines. A test runs it under several hash seeds,
on which the order of Python's own sets depends.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ConfigDict

from chainlang import E, M, function, op
from chainlang.engines.fake import FakeEngine

_WORDS = ("red", "green", "blue", "grey", "é", "e\u0301", "", "0", "ten")


class Tag(BaseModel):
    """A hashable model with sets."""

    model_config = ConfigDict(frozen=True)
    words: frozenset[str] = frozenset(_WORDS[:3])
    counts: frozenset[int] = frozenset()


class Tagged(BaseModel):
    """A reply with sets: of texts, of numbers, inside others, as defaults."""

    tags: frozenset[str] = frozenset(_WORDS[:3])
    counts: set[int] = set()
    by_name: dict[str, set[str]] = {}
    default: set[str] = set(_WORDS)


@dataclass(frozen=True)
class Marked:
    """A value with a set and a mapping."""

    marks: frozenset[Any]
    seen: Any


def leaf(random: Random) -> Any:
    """Return a random value without others in it."""
    kinds = (random.choice(_WORDS), random.randrange(9), random.random(), True, None)
    return random.choice((*kinds, Decimal(random.randrange(99)) / 10))


def some(random: Random, depth: int = 3) -> Any:
    """Return a random value whose sets and mappings have no order of their own."""
    if depth == 0 or random.random() < 0.2:
        return leaf(random)
    several = [some(random, depth - 1) for _ in range(random.randrange(4))]
    words = {random.choice(_WORDS) for _ in range(random.randrange(6))}
    match random.randrange(9):
        case 0:
            return {leaf(random) for _ in range(6)}
        case 1:
            return frozenset({frozenset(words), frozenset(_WORDS[:2])})
        case 2:
            return {word: some(random, depth - 1) for word in sorted(words)}
        case 3:
            return dict.fromkeys(words, 1)
        case 4:
            return MappingProxyType(Counter(words))
        case 5:
            return OrderedDict((word, len(word)) for word in words)
        case 6:
            return {Tag(words=frozenset(words), counts=frozenset(range(7, 12)))}
        case 7:
            return Marked(frozenset(words), dict.fromkeys(words).keys())
    return tuple(several)


def line(number: int) -> str:
    """Return what one random value becomes in a vote, in a prompt and in a result."""
    random, prompts = Random(number), list[str]()

    def made(answer: str) -> Any:
        return [some(random)]

    def reply(request: Any, index: int) -> str:
        prompts.append(request.messages[-1].text)
        prompts.append(str(request.schema))
        words = [random.choice(_WORDS) for _ in range(4)]
        return json.dumps({"tags": words, "counts": [9, 10], "by_name": {"a": words}})

    shown = op("shown", user="{{ candidates }}", kind="fold")
    tagged = op("tagged", user="{{ query }}", returns=Tagged)
    chains = (
        E("m", 2) >> function("made", made) >> M >> shown,
        tagged("m", 3, 0.7) >> M >> shown,
        tagged("m", 3, 0.7) >> M(by="tags") >> shown,
    )
    found: list[Any] = []
    for one in chains:
        (result,) = one.map(["q"], engine=FakeEngine(answers=reply))
        if result.failure is not None:  # two values were None, which leaves no candidate
            found.append(result.failure.message)
            continue
        voted = result.record.trace[-2].candidates[0]
        found.append((voted.answer, dict(voted.fields)))
    return json.dumps([prompts, found])


if __name__ == "__main__":
    for each in range(int(sys.argv[1])):
        print(line(each))
