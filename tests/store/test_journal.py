"""The journal: what was recorded is there again, and what is damaged is never used.

One suite for each store that a journal may have: a file, and a database.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from attrs import define
from hypothesis import strategies as st

from chainlang.errors import SourceError
from chainlang.protocol.messages import Sample
from chainlang.protocol.secret import Secret
from chainlang.store.journal import Journal
from chainlang.store.journal_home import InPostgres
from chainlang.store.postgres import Postgres
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, encoded
from tests.laws import law, seeds
from tests.postgres_server import shared

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


@define
class Kind:
    """A store of journals: opens that of a folder, and changes what is in it."""

    open: Callable[[Folder], Journal]
    change: Callable[[Folder, str, tuple[Any, ...]], None]
    """Executes SQL; a mark is ``?``."""
    words: str
    """Beginning of the names of its tables."""


def _change_file(folder: Folder, command: str, values: tuple[Any, ...]) -> None:
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute(command, values)
    database.close()


def in_postgres(folder: Folder) -> Journal:
    """Open the journal of a folder in the database of the tests."""
    database = Postgres.open(Secret(shared().url), patience=5, if_failed="run it again")
    return InPostgres.of(database, folder.path).open(folder)


def _change_rows(folder: Folder, command: str, values: tuple[Any, ...]) -> None:
    condition = " AND" if "WHERE" in command else " WHERE"
    shared().execute(f"{command.replace('?', '%s')}{condition} run = %s", [*values, folder.path])


KINDS = {
    "sqlite": Kind(Journal.open, _change_file, ""),
    "postgres": Kind(in_postgres, _change_rows, "chainlang_"),
}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


def filled(
    folder: Folder, count: int = 50, opened: Callable[[Folder], Journal] = Journal.open
) -> dict[bytes, Drawn]:
    """Fill a journal, close it, and return what it holds."""
    entries = {
        number.to_bytes(16, "big"): Drawn(Sample(f"reply {number}", "stop", 3, (1, 2)), 7)
        for number in range(count)
    }
    journal = opened(folder)
    journal.record(entries)
    journal.save({"run": {"seed": 7}, "progress": {"rows": 3}})
    journal.close()
    return entries


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
@law(ENTRIES, ENTRIES, share=10)  # each example waits for the disk
def test_what_was_recorded_is_there_again(
    kind: Kind, entries: dict[bytes, Drawn], more: dict[bytes, Drawn]
) -> None:
    with TemporaryDirectory() as path:
        folder = Folder.open(path)
        journal = kind.open(folder)
        journal.record(entries)
        journal.record(more)  # what is there already stays
        journal.close()
        journal = kind.open(folder)
        assert journal.find([*entries, *more]) == {**more, **entries}
        assert len(journal) == len(entries.keys() | more.keys())
        assert journal.find([b"unknown"]) == {}
        journal.close()
        folder.close()


ODD = {
    "nul": "a\0b\0",
    "lone surrogates": "\ud83d and \udc00",
    "half an emoji": "\U0001f600"[:1] + "\ud83d",
    "a megabyte": "x\0\udfff" * 350_000,
    "nothing": "",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_whatever_a_model_says_is_the_same_again(kind: Kind, folder: Folder, text: str) -> None:
    drawn = Drawn(Sample(text, "stop", 3, reasoning=text[:99]), 7)
    journal = kind.open(folder)
    journal.record({b"": drawn, b"\0" * 32: drawn})
    journal.save({"run": {"text": text}, "choice:1": text})
    journal.close()
    journal = kind.open(folder)
    assert journal.find([b"", b"\0" * 32]) == {b"": drawn, b"\0" * 32: drawn}
    assert encoded(journal.find([b""])[b""]) == encoded(drawn)
    assert (journal.note("run"), journal.note("choice:1")) == ({"text": text}, text)
    journal.close()


def test_more_keys_than_one_question_takes(kind: Kind, folder: Folder) -> None:
    entries = filled(folder, 2000, kind.open)
    journal = kind.open(folder)
    assert journal.find(entries) == entries
    assert len(journal) == 2000
    journal.close()


def test_notes_are_replaced_together(kind: Kind, folder: Folder) -> None:
    filled(folder, opened=kind.open)
    journal = kind.open(folder)
    journal.save({"progress": {"rows": 4}})
    with pytest.raises(TypeError):
        journal.save({"progress": {"rows": 5}, "run": object()})
    assert (journal.note("run"), journal.note("progress")) == ({"seed": 7}, {"rows": 4})
    assert journal.note("nothing") is None
    journal.save({f"choice:{number:03}": number for number in (2, 10, 1)})
    assert list(journal.notes("choice:").items()) == [
        ("choice:001", 1),
        ("choice:002", 2),
        ("choice:010", 10),
    ]
    journal.close()


def test_costs_are_recorded_with_their_samples(kind: Kind, folder: Folder) -> None:
    entries = {b"a" * 16: Drawn(Sample("42", "stop", 2), 7)}
    journal = kind.open(folder)
    journal.record(entries, {"m": Decimal("0.25")})
    journal.record({}, {"m": Decimal("0.5"), "n": None})
    journal.close()
    journal = kind.open(folder)
    assert journal.spent == {"m": Decimal("0.75"), "n": None}
    journal.close()


@pytest.mark.parametrize("table", ["samples", "notes"])
def test_a_changed_entry_is_refused(kind: Kind, folder: Folder, table: str) -> None:
    filled(folder, opened=kind.open)
    kind.change(folder, f"UPDATE {kind.words}{table} SET sum = ?", (bytes(8),))
    with (
        pytest.raises(SourceError, match=r"damaged: .* does not match its checksum"),
        closing(kind.open(folder)) as journal,
    ):
        journal.find([bytes(16)]) if table == "samples" else journal.note("run")


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


def test_a_changed_key_is_refused_before_it_is_missed(folder: Folder) -> None:
    filled(folder)
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute("UPDATE samples SET key = ? WHERE rowid = 1", [b"1" * 16])
    database.close()
    with pytest.raises(SourceError, match="sample 1 does not match its checksum"):
        Journal.open(folder)


def test_a_file_whose_creation_was_cut_off_is_created_again(
    folder: Folder, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """It has the journal of a transaction that SQLite is to undo, and can't be read before."""
    path = tmp_path_factory.mktemp("begun") / "journal.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("CREATE TABLE gone (x)")
        database.execute("DROP TABLE gone")
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("CREATE TABLE half (x)")
        for _ in range(9):
            database.execute("INSERT INTO half VALUES (zeroblob(100000))")
        for one in path.parent.iterdir():
            shutil.copy(one, folder.path)
    assert len(list(Path(folder.path).iterdir())) == 2
    with closing(Journal.open(folder)) as journal:
        assert len(journal) == 0


def test_a_later_format_is_refused(folder: Folder) -> None:
    filled(folder)
    with sqlite3.connect(f"{folder.path}/journal.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(SourceError, match=r"format 99, and this version reads 2"):
        Journal.open(folder)


def test_a_link_is_not_followed(folder: Folder, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside") / "database"
    (Path(folder.path) / "journal.sqlite").symlink_to(outside)
    with pytest.raises(SourceError, match="a link"):
        Journal.open(folder)
    assert not outside.exists()


def rewritten(kind: Kind, folder: Folder, entry: object) -> Journal:
    """Record a sample, put another entry in its place, and open the journal again."""
    filled(folder, 1, kind.open)
    key, data = bytes(16), json.dumps(entry).encode()
    checksum = hashlib.blake2b(data, key=key, digest_size=8).digest()
    change = f"UPDATE {kind.words}samples SET entry = ?, sum = ?"
    kind.change(folder, change, (data, checksum))
    return kind.open(folder)


def test_what_an_entry_does_not_speak_of_is_empty(kind: Kind, folder: Folder) -> None:
    journal = rewritten(kind, folder, [7, {"text": "42", "finish": "stop", "tokens": 2}])
    assert journal.find([bytes(16)]) == {bytes(16): Drawn(Sample("42", "stop", 2), 7)}
    journal.close()


@pytest.mark.parametrize(
    ("entry", "match"),
    [
        ([7, {"text": "", "finish": "stop", "tokens": 1, "images": []}], "can't read: images"),
        ([7, {"text": "", "finish": "never", "tokens": 1}], "is no sample"),
        ({}, "is no sample"),
    ],
)
def test_an_entry_that_is_another_one_is_refused(
    kind: Kind, folder: Folder, entry: object, match: str
) -> None:
    journal = rewritten(kind, folder, entry)
    with pytest.raises(SourceError, match=match):
        journal.find([bytes(16)])
    journal.close()
