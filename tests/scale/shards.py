"""Runs whole and in shards, and what is equal in their folders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from chainlang import Chain, chain
from chainlang.engines.fake import FakeEngine
from chainlang.scale import merge
from chainlang.store.sqlite import sqlite3

ANY_TIME = {"started", "ended", "seconds"}
BRANCHED = chain("(Fr = 2:E(need=1) >> V) >> ((fr = S) | (b = J(max_tokens=20)))")
"""A chain with parts whose folders differ in case, branches, events and failures."""


EQUAL = 42
"""Distance of equal rows: those of 1, 2, 3 and 7 shards are in one of them, and computed once."""


def rows(count: int) -> list[dict[str, Any]]:
    """Return rows, some of which are equal, repeat an id, or can't be read."""
    found: list[dict[str, Any]] = []
    for number in range(count):
        row: dict[str, Any] = {"id": f"r{number}", "query": f"question {number}", "n": number}
        if number % EQUAL == 3:
            row = {"query": "the same question", "n": 3}
        if number % 50 == 21:
            row["id"] = f"r{number - 6}"
        if number % 50 == 30:
            row["query"] = 5
        found.append(row)
    return found


def engine() -> FakeEngine:
    return FakeEngine()


def shards(
    chain: Chain, source: Any, home: Path, count: int, order: Iterable[int] = (), **settings: Any
) -> Path:
    """Run all shards of a run, in an order."""
    for number in [*order] or range(1, count + 1):
        chain.run(source, home, shard=(number, count), **{"engine": engine(), **settings})
    return home


def files(home: Path) -> dict[str, bytes]:
    """Return the tables and the plan in a run folder."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file()
        and not path.relative_to(home).parts[0].startswith(("shard-", "journal", "metadata"))
    }


def metadata(home: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((home / "metadata.json").read_text())
    return {name: one for name, one in found.items() if name not in ANY_TIME}


def samples(home: Path) -> set[tuple[bytes, str]]:
    """Return the keys and the texts of all samples in a journal, without the mark of who paid."""
    connection = sqlite3.connect(home / "journal.sqlite")
    try:
        found = connection.execute("SELECT key, entry FROM samples").fetchall()
    finally:
        connection.close()
    entries = [(key, json.loads(entry)[1]) for key, entry in found]
    return {
        (key, json.dumps({**one, "paid": one["paid"][:-1]} if "paid" in one else one))
        for key, one in entries
    }


def assert_equal(merged: Path, whole: Path, *, was_killed: bool = False) -> None:
    """Check that a merged folder has all that one run over the same rows has.

    A run that was killed counts equal requests of a row that were in flight together as several.
    """
    one, other = files(whole), files(merged)
    assert other.keys() == one.keys()
    for name in one:
        assert other[name] == one[name], name
    was, now = metadata(whole), metadata(merged)
    names = was.keys() | now.keys()
    for name in {one for one in names if not (was_killed and one.startswith("usage"))}:
        assert now.get(name) == was.get(name), f"{name}: {was.get(name)} and {now.get(name)}"
    assert samples(merged) == samples(whole)


def merged(home: Path, **settings: Any) -> Path:
    merge(home, **settings)
    return home


def written(path: Path, several: Iterable[Mapping[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in several))
    return path
