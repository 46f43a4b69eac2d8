"""The journal: what was recorded is there again, and what is damaged is never used."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import strategies as st

from chainlang.errors import SourceError
from chainlang.protocol.messages import Sample
from chainlang.store.journal import Journal
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn
from tests.laws import law, seeds

TEXTS = st.text(st.characters(), max_size=20)  # lone surrogates too
DRAWN = st.builds(
    Drawn,
    st.builds(
        Sample,
        TEXTS,
        st.sampled_from(["stop", "length"]),
        st.integers(0, 9999),
        st.lists(st.integers(0, 2**31), max_size=5).map(tuple),
        reasoning=TEXTS,
    ),
    st.integers(0, 9999),
)
ENTRIES = st.dictionaries(st.binary(min_size=16, max_size=16), DRAWN, max_size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Folder.open(tmp_path)
    yield opened
    opened.close()


def filled(folder: Folder, count: int = 50) -> dict[bytes, Drawn]:
    """Fill a journal, close it, and return what it holds."""
    entries = {
        number.to_bytes(16, "big"): Drawn(Sample(f"reply {number}", "stop", 3, (1, 2)), 7)
        for number in range(count)
    }
    journal = Journal.open(folder)
    journal.record(entries)
    journal.save({"run": {"seed": 7}, "progress": {"rows": 3}})
    journal.close()
    return entries


@law(ENTRIES, ENTRIES, share=10)  # each example waits for the disk
def test_what_was_recorded_is_there_again(
    entries: dict[bytes, Drawn], more: dict[bytes, Drawn]
) -> None:
    with TemporaryDirectory() as path:
        folder = Folder.open(path)
        journal = Journal.open(folder)
        journal.record(entries)
        journal.record(more)  # what is there already stays
        journal.close()
        journal = Journal.open(folder)
        assert journal.find([*entries, *more]) == {**more, **entries}
        assert len(journal) == len(entries.keys() | more.keys())
        assert journal.find([b"unknown"]) == {}
        journal.close()
        folder.close()


def test_more_keys_than_one_question_takes(folder: Folder) -> None:
    entries = filled(folder, 2000)
    journal = Journal.open(folder)
    assert journal.find(entries) == entries
    journal.close()


def test_notes_are_replaced_together(folder: Folder) -> None:
    filled(folder)
    journal = Journal.open(folder)
    journal.save({"progress": {"rows": 4}})
    with pytest.raises(TypeError):
        journal.save({"progress": {"rows": 5}, "run": object()})
    assert (journal.note("run"), journal.note("progress")) == ({"seed": 7}, {"rows": 4})
    assert journal.note("nothing") is None
    journal.close()


@seeds(300)
def test_a_damaged_journal_is_refused_or_says_the_truth(tmp_path: Path, seed: int) -> None:
    draws = random.Random(seed)
    folder = Folder.open(tmp_path)
    entries = filled(folder)
    path = tmp_path / "journal.sqlite"
    data = bytearray(path.read_bytes())
    kind = draws.choice(["flip", "cut", "swap", "zero"])
    if kind == "flip":
        for _ in range(draws.randint(1, 8)):
            data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)
    elif kind == "cut":
        del data[draws.randrange(len(data)) :]
    elif kind == "swap":
        size = draws.choice([16, 64, 4096])
        one, other = (draws.randrange(max(1, len(data) - size)) for _ in range(2))
        data[one : one + size], data[other : other + size] = (
            data[other : other + size],
            data[one : one + size],
        )
    else:
        start = draws.randrange(len(data))
        data[start : start + 200] = bytes(len(data[start : start + 200]))
    path.write_bytes(data)
    try:
        journal = Journal.open(folder)
        found = journal.find(entries)
        notes = journal.note("run"), journal.note("progress")
        journal.close()
    except SourceError as error:
        assert "journal" in str(error)  # noqa: PT017  # one of two ends
    else:
        assert found.items() <= entries.items()
        assert notes[0] in ({"seed": 7}, None)
        assert notes[1] in ({"rows": 3}, None)
    folder.close()


def test_damage_that_sqlite_quotes(folder: Folder) -> None:
    filled(folder)
    path = Path(folder.path) / "journal.sqlite"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE samples", b"CREATE \xb1ABLE samples"))
    with pytest.raises(SourceError, match="the journal is damaged"):
        Journal.open(folder)


def test_another_database_is_no_journal(folder: Folder) -> None:
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute("CREATE TABLE samples (key, entry, sum)")
    database.close()
    with pytest.raises(SourceError, match="not a journal of a run"):
        Journal.open(folder)


def test_a_later_format_is_refused(folder: Folder) -> None:
    filled(folder)
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SourceError, match=r"format 99, and this version reads 1"):
        Journal.open(folder)


def test_a_link_is_not_followed(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "database"
    (Path(folder.path) / "journal.sqlite").symlink_to(outside)
    with pytest.raises(SourceError, match="a link"):
        Journal.open(folder)
    assert not outside.exists()


def rewritten(folder: Folder, entry: object) -> Journal:
    """Record a sample, put another entry in its place, and open the journal again."""
    filled(folder, 1)
    key, data = bytes(16), json.dumps(entry).encode()
    checksum = hashlib.blake2b(data, key=key, digest_size=8).digest()
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute("UPDATE samples SET entry = ?, sum = ?", (data, checksum))
    database.close()
    return Journal.open(folder)


def test_what_an_entry_does_not_speak_of_is_empty(folder: Folder) -> None:
    journal = rewritten(folder, [7, {"text": "42", "finish": "stop", "tokens": 2}])
    assert journal.find([bytes(16)]) == {bytes(16): Drawn(Sample("42", "stop", 2), 7)}
    journal.close()


def test_what_an_entry_says_that_nobody_here_knows_is_refused(folder: Folder) -> None:
    journal = rewritten(folder, [7, {"text": "", "finish": "stop", "tokens": 1, "images": []}])
    with pytest.raises(SourceError, match="that this version can't read: images"):
        journal.find([bytes(16)])
    journal.close()
