"""The check of a journal's file finds what SQLite's own check finds, which takes longer."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from chainlang.protocol.messages import Sample
from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal import Journal
from chainlang.store.journal_check import fault_of
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn
from tests.laws import seeds

PAGE = 4096
ENTRIES, RECENT = 700, 20
"""Number of samples in the index, and of those that are not in it yet."""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bytes]:
    """Return a journal whose table and index have several pages."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chainlang.store.sample_log._RECENT", ENTRIES)
        yield _whole(tmp_path_factory)


def _whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    draws = random.Random(7)
    path = tmp_path_factory.mktemp("whole")
    folder = Folder.open(path)
    journal = Journal.open(folder)
    one = Drawn(Sample("42", "stop", 2), 7)
    journal.record({draws.randbytes(16): one for _ in range(ENTRIES)})
    journal.record({draws.randbytes(16): one for _ in range(RECENT)})
    journal.save({"run": {"seed": 7}, "output": {"rows": 3}})
    journal.close()
    folder.close()
    return (path / JOURNAL).read_bytes()


def damaged(data: bytes, draws: random.Random) -> bytes:
    """Return a file with a change: of bits, of bytes, or of places of whole pages."""
    found = bytearray(data)
    at = draws.randrange(PAGE, len(found))
    match draws.choice(["bit", "byte", "swap", "copy"]):
        case "bit":
            found[at] ^= 1 << draws.randrange(8)
        case "byte":
            found[at] = draws.randrange(256)
        case "swap":
            size = draws.choice([2, 16, PAGE])
            one, other = (draws.randrange(PAGE // size, len(found) // size) * size for _ in "ab")
            found[one : one + size], found[other : other + size] = (
                found[other : other + size],
                found[one : one + size],
            )
        case "copy":
            other = draws.randrange(1, len(found) // PAGE) * PAGE
            page = at // PAGE * PAGE
            found[page : page + PAGE] = found[other : other + PAGE]
    return bytes(found)


def says(path: Path, *, own: bool) -> bool:
    """Return whether a check finds that a file is damaged."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            if own:
                return fault_of(connection) is not None
            return bool(connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",))
        except (sqlite3.DatabaseError, UnicodeDecodeError):
            return True


def test_a_whole_file_is_no_damage(whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    path.write_bytes(whole)
    assert not says(path, own=True)


@seeds(400)
def test_it_finds_what_sqlite_finds(whole: bytes, tmp_path: Path, seed: int) -> None:
    path = tmp_path / JOURNAL
    path.write_bytes(damaged(whole, random.Random(seed)))
    assert says(path, own=True) >= says(path, own=False)


def test_leaves_of_the_index_in_each_others_place_are_damage(whole: bytes, tmp_path: Path) -> None:
    pages = [whole[at : at + PAGE] for at in range(0, len(whole), PAGE)]
    one, other = [number for number, page in enumerate(pages) if page[0] == 10][-2:]
    pages[one], pages[other] = pages[other], pages[one]
    path = tmp_path / JOURNAL
    path.write_bytes(b"".join(pages))
    assert says(path, own=True)
