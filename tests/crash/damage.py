"""Folders of runs that are damaged: bits, cuts, swapped records, other versions.

Whoever goes on with one is refused, or gets the files of a run that nothing ever happened to.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chainlang.errors import ChainlangError
from tests.crash import reference
from tests.crash.homes import HOME
from tests.crash.kill import Trial, place, whole_run
from tests.crash.reference import found
from tests.crash.world import Boundary, build, kill

SETTINGS: dict[str, Any] = {"rows": reference.ROWS[:5], "part_rows": 2}
JOURNAL = "journal.sqlite"


def bits(path: Path, draws: random.Random) -> None:
    """Turn some bits of a file over."""
    data = bytearray(path.read_bytes())
    for _ in range(draws.choice([1, 1, 1, 8, 200])):
        data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
    path.write_bytes(data)


def cut(path: Path, draws: random.Random) -> None:
    """Cut a file off, or take a piece out of it."""
    data = bytearray(path.read_bytes())
    start = draws.randrange(len(data))
    del data[start : draws.choice([len(data), start + draws.randint(1, 5000)])]
    path.write_bytes(data)


def moved(path: Path, draws: random.Random) -> None:
    """Swap two pieces of a file."""
    data = bytearray(path.read_bytes())
    size = draws.choice([1, 8, 64, 512, 4096])
    one, other = (draws.randrange(max(1, len(data) - size)) for _ in range(2))
    first, second = bytes(data[one : one + size]), bytes(data[other : other + size])
    data[one : one + size], data[other : other + size] = second, first
    path.write_bytes(data)


def zeros(path: Path, draws: random.Random) -> None:
    """Put zeros, or noise, over a stretch of a file."""
    data = bytearray(path.read_bytes())
    start = draws.randrange(len(data))
    stop = min(len(data), start + draws.choice([1, 100, 512, 4096]))
    data[start:stop] = draws.choice([bytes(stop - start), draws.randbytes(stop - start)])
    path.write_bytes(data)


def lost(path: Path, draws: random.Random) -> None:
    """Remove a file."""
    path.unlink()


def swapped(path: Path, draws: random.Random) -> None:
    """Swap what two records of a journal say, with their sums or without."""
    table, key = draws.choice([("samples", "key"), ("notes", "name")])
    columns = draws.choice([("entry", "sum"), ("entry",), ("sum",)])
    with sqlite3.connect(path) as database:
        keys = [one for (one,) in database.execute(f"SELECT {key} FROM {table} ORDER BY {key}")]
        if len(keys) > 1:
            one, other = draws.sample(keys, 2)
            for column in columns:
                take = f"SELECT {column} FROM {table} WHERE {key} = ?"
                put = f"UPDATE {table} SET {column} = ? WHERE {key} = ?"
                first, second = (database.execute(take, [at]).fetchone()[0] for at in (one, other))
                database.execute(put, [second, one])
                database.execute(put, [first, other])
    database.close()


def other_version(path: Path, draws: random.Random) -> None:
    """Say that another version, or another program, has written a journal."""
    name = draws.choice(["user_version", "application_id"])
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA {name} = {draws.randrange(2**31)}")
    database.close()


def other_values(path: Path, draws: random.Random) -> None:
    """Put a value of another kind, or of somebody else, into a record."""
    table = draws.choice(["samples", "notes"])
    column = draws.choice(["entry", "sum"])
    value = draws.choice([None, 7, 1.5, "{}", b"", b"null", b'[0, {"text": "x"}]', b"\xff" * 8])
    database = sqlite3.connect(path)
    try:
        with database:
            database.execute("PRAGMA ignore_check_constraints = 1")
            database.execute(f"UPDATE OR IGNORE {table} SET {column} = ?", [value])
    except sqlite3.IntegrityError:  # SQLite itself refuses it
        pass
    finally:
        database.close()


Damage = Callable[[Path, random.Random], None]
RAW: tuple[Damage, ...] = (bits, cut, moved, zeros, lost)
RECORDS: tuple[Damage, ...] = (swapped, other_version, other_values)


def damaged(count: int, seed: str) -> Counter[str]:
    """Damage so many folders, and go on with each; return what became of them, by the damage."""
    ends: Counter[str] = Counter()
    with place() as root:
        whole, _ = whole_run(root / "whole", **SETTINGS)
        bases = [root / "whole" / "run"]
        for at in (20, 60, 90, 120, 140):
            trial = Trial(HOME.fresh(root / f"base-{at}"), SETTINGS)
            assert trial.run(lambda at=at: build(Boundary(kill, at))) == -signal.SIGKILL
            bases.append(trial.folder)
        nobody = os.open(os.devnull, os.O_WRONLY)
        path = root / "run"
        for number in range(count):
            draws = random.Random(f"{seed} {number}")
            if path.exists():
                shutil.rmtree(path)
            shutil.copytree(draws.choice(bases), path)
            damage, name = _damage(path, draws)
            try:
                reference.run(path, nobody, **SETTINGS)
            except ChainlangError:
                end = "refused"
            else:
                end = "recovered"
                assert found(path) == whole, f"{damage} of {name}, number {number} of seed {seed}"
            ends[f"{damage} of {name}: {end}"] += 1
        os.close(nobody)
    return ends


def _damage(path: Path, draws: random.Random) -> tuple[str, str]:
    """Damage something of a run; return how, and what.

    Not a part that is complete, of which nobody but its reader knows what it has to say.
    """
    files = sorted(one for one in path.rglob("*") if one.is_file() and one.stat().st_size)
    files = [one for one in files if not one.name[0].isdigit() or one.name.endswith(".tmp")]
    journal = [one for one in files if one.name.startswith(JOURNAL)]
    target = draws.choice(journal if draws.random() < 0.8 else files)
    is_journal = target.name == JOURNAL
    damage = draws.choice(RECORDS if is_journal and draws.random() < 0.4 else RAW)
    damage(target, draws)
    return damage.__name__, target.name if target in journal else "another file"
