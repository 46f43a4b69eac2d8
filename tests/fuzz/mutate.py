"""Mutations: a random number generator and a corpus in, an input out that nobody would write."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from .corpus import JSON_KEYS, JSON_TEXTS, JSON_VALUES, TOKENS, documents

_PIECE = re.compile(r"\s+|[A-Za-z_]\w*|[0-9.]+|>>|->|\"[^\"]*\"|.", re.DOTALL)
_BRACKETS = (
    "()",
    "[]",
    "{}",
    "fallback()",
    "list[]",
    "{a: }",
    "(x = )",
    "(a & )",
    "(a >> )",
    "2 * ()",
    "- ",
)
LONGEST = 20_000  # characters; what is longer is cut, since size has tests of its own


def texts(random: Random, corpus: Sequence[str]) -> Iterator[str]:
    """Yield mutated texts without end."""
    pieces = [_PIECE.findall(text) for text in corpus]
    while True:
        found = list(random.choice(pieces))
        for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
            _change(random, found, pieces)
        text = "".join(found)
        if random.random() < 0.25:
            text = _characters(random, text)
        if random.random() < 0.1:
            text = _bytes(random, text)
        yield text[:LONGEST]


def _change(random: Random, found: list[str], pieces: Sequence[list[str]]) -> None:
    """Change a list of tokens in place, in one of many ways."""
    if not found:
        found.append(random.choice(TOKENS))
    start = random.randrange(len(found))
    stop = min(len(found), start + random.choice((1, 1, 1, 2, 3, 6, 12)))
    choice = random.random()
    if choice < 0.20:
        del found[start:stop]
    elif choice < 0.40:
        found.insert(start, random.choice(TOKENS))
    elif choice < 0.58:
        found[start:stop] = [random.choice(TOKENS)]
    elif choice < 0.66:
        found[start:start] = found[start:stop]
    elif choice < 0.74:
        other = random.choice(pieces)
        cut = random.randrange(len(other) + 1)
        found[start:] = other[cut:]
    elif choice < 0.82:
        other = random.choice(pieces)
        cut = random.randrange(len(other) + 1)
        found[start:start] = other[cut : cut + 8]
    elif choice < 0.90:
        to = random.randrange(len(found))
        found[start], found[to] = found[to], found[start]
    elif choice < 0.97:
        left, right = _bracket(random)
        times = random.choice((1, 1, 2, 3, 5)) if random.random() < 0.95 else random.randrange(150)
        found[start:stop] = [left * times, *found[start:stop], right * times]
    else:
        times = random.choice((2, 3, 5, 10)) if random.random() < 0.9 else random.randrange(300)
        found[start:stop] = found[start:stop] * times


def _bracket(random: Random) -> tuple[str, str]:
    whole = random.choice(_BRACKETS)
    return (whole[:-1], whole[-1]) if whole[-1] in ")]}" else (whole, "")


def _characters(random: Random, text: str) -> str:
    at = random.randrange(len(text) + 1)
    choice = random.randrange(5)
    if choice == 0:
        return text[:at] + text[at + 1 :]
    if choice == 1:
        return text[:at] + chr(random.randrange(0x110000)) + text[at:]
    if choice == 2:
        return text[:at] + chr(random.randrange(128)) + text[at + 1 :]
    if choice == 3:
        return text[:at]
    return text[at:] + text[:at]


def _bytes(random: Random, text: str) -> str:
    """Change bytes of the UTF-8; what is none then comes back as lone surrogates."""
    data = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(random.choice((1, 2, 5))):
        if data:
            data[random.randrange(len(data))] = random.randrange(256)
    return data.decode("utf-8", random.choice(("surrogateescape", "replace", "ignore")))


def json_texts(random: Random) -> Iterator[str]:
    """Yield mutated documents without end: half of them as values, half as text."""
    whole = documents()
    written = [_PIECE.findall(json.dumps(one)) for one in whole]
    while True:
        if random.random() < 0.7:
            document = copy.deepcopy(random.choice(whole))
            for _ in range(random.choice((1, 1, 2, 3, 6))):
                _edit(random, document, whole)
            text = json.dumps(document)
            if random.random() < 0.1:
                at = random.randrange(len(text))
                text = text[:at] + random.choice(JSON_TEXTS) + text[at + random.randrange(3) :]
        else:
            found = list(random.choice(written))
            for _ in range(random.choice((1, 1, 2, 3))):
                _change(random, found, written)
            text = "".join(found)
            if random.random() < 0.2:
                text = _bytes(random, text)
        yield text[: 2 * LONGEST]


def _edit(random: Random, document: Any, whole: Sequence[Any]) -> None:
    """Change one place of a document in place."""
    places = list(_places(document))
    holder, key = random.choice(places)
    choice = random.random()
    if choice < 0.35:
        holder[key] = copy.deepcopy(random.choice(JSON_VALUES))
    elif choice < 0.5:
        del holder[key]
    elif choice < 0.65:
        other, its = random.choice(places)
        holder[key] = copy.deepcopy(other[its]) if its in other or isinstance(other, list) else None
    elif choice < 0.75:
        other, its = random.choice(list(_places(random.choice(whole))))
        holder[key] = copy.deepcopy(other[its])
    elif choice < 0.9 and isinstance(holder, dict):
        holder[random.choice(JSON_KEYS)] = copy.deepcopy(random.choice(JSON_VALUES))
    elif choice < 0.97 and isinstance(holder, list):
        holder.insert(random.randrange(len(holder) + 1), copy.deepcopy(random.choice(JSON_VALUES)))
    else:
        kind = random.choice(({"node": "Named", "name": "x"}, {"node": "Repeat", "count": 2}))
        for _ in range(random.choice((1, 2, 5, 60))):
            holder[key] = {**kind, "body": holder[key]}
    if not document:
        document["chain"] = copy.deepcopy(random.choice(JSON_VALUES))


def _places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each place of a document as (what holds it, its key or index)."""
    pending = [document]
    while pending:
        holder = pending.pop()
        pairs = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, value in pairs:
            yield holder, key
            if isinstance(value, dict | list):
                pending.append(value)
