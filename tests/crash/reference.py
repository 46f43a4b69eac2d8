"""The run that is killed: fan-out, join, vote, retry, typed replies, a function; 20 rows."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Delta, Failure, Request
from chainlang.session.summary import Summary
from tests.crash.homes import HOME

PART_ROWS = 8
WINDOW = 4
ROWS = [{"id": f"r{number}", "query": f"What is {number} + 1?"} for number in range(20)]


def shout(answer: str) -> str:
    """Return an answer, louder."""
    return f"{answer}!"


CHAIN = chain(
    "((one = 2:E:small:0.7) & (vote = 3:E:small:0.7 >> M)) >> (judged = J)"
    " >> retry(V::0.5, times=2) >> @shout"
).bind(shout=shout)


def answers(request: Request, index: int) -> str | None:
    """Return a reply that fits nothing, now and then; such a row is drawn again, or fails."""
    number = hashlib.blake2b(f"{request.seed + index}".encode(), digest_size=1).digest()[0]
    return "no JSON" if request.schema and number % 6 == 0 else None


class Counting(FakeEngine):
    """Counts what is asked of it where a process that is killed can't lose the count."""

    def __init__(self, count: Callable[[int], None]) -> None:
        super().__init__(answers=answers, latency=lambda request: 1.0 + request.seed % 5)
        self.count = count

    def step(self, until: float | None = None) -> list[Completion | Failure | Delta]:
        found = super().step(until)
        self.count(sum(one.usage.calls for one in found if isinstance(one, Completion)))
        return found


def run(path: Path, calls: int, *, rows: Any = ROWS, **settings: Any) -> Summary:
    """Run the chain into a folder; each call is a byte in the open file `calls`."""
    settings = {"part_rows": PART_ROWS, **HOME.settings, **settings}
    write = os.write
    engine = Counting(lambda count: count and write(calls, b"." * count) and None)
    return CHAIN.run(rows, path, engine=engine, window=WINDOW, **settings)


@frozen
class Found:
    """What a run has left: its files, what its metadata say, and its samples."""

    files: dict[str, bytes]
    facts: dict[str, Any]
    samples: frozenset[bytes]


def found(path: Path) -> Found:
    """Return what stands in a folder, but for what tells when."""
    data = {
        str(one.relative_to(path)): one.read_bytes()
        for one in path.rglob("*")
        if one.is_file() and not one.name.startswith("journal.sqlite")
    }
    facts = json.loads(data.pop("metadata.json"))
    for name in ("started", "ended", "seconds", "journal"):
        facts.pop(name, None)
    return Found(data, facts, samples(path))


def samples(path: Path) -> frozenset[bytes]:
    """Return the keys of the samples that are recorded. Raises if one is twice, or damaged."""
    keys = HOME.keys(path)
    assert len(keys) == len(set(keys))
    return frozenset(keys)
