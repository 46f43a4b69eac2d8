"""Journals and caches that another program wrote: an error, and no change."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chainlang import chain
from chainlang.engines.fake import FakeEngine
from chainlang.errors import ChainlangError, SourceError
from chainlang.protocol.messages import Sample
from chainlang.store.cache import FILE, open_on_disk
from chainlang.store.sample_codec import _FITS, _USUAL, OddEntry, checksum, decoded
from tests.laws import law

ODD_ENTRIES = [
    b"5",
    b"[]",
    b'[7, {"text": 5, "finish": "stop", "tokens": 2}]',
    b'[7, {"text": "a", "finish": [], "tokens": 2}]',
    b'[7, {"text": "a", "finish": "stop", "tokens": "two"}]',
    b'["7", {"text": "a", "finish": "stop", "tokens": 2}]',
    b'[7, {"finish": "stop"}]',
    b'[7, {"text": "a", "finish": "stop", "tokens": 2, "logprobs": {}}]',
    b'[7, {"text": "a", "finish": "stop", "tokens": 2, "under": 5}]',
    b"\xff",
    b"[" * 100_000,
]
ENDLESS = (
    "CREATE VIEW samples AS WITH RECURSIVE n(key) AS (SELECT 1 UNION ALL SELECT key + 1 FROM n)"
    " SELECT key, key AS entry, key AS sum FROM n"
)
MADE = ("CREATE VIEW samples AS SELECT 1 AS key, 2 AS entry, 3 AS sum", ENDLESS)


def ran(path: Path, **more: Any) -> Any:
    return chain("2:E").run([{"id": "a", "query": "q"}], path, engine=FakeEngine(), **more)


def changed(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


# ---------------------------------------------------------------- entries of another shape


def test_the_table_has_every_field_of_a_sample() -> None:
    assert _FITS.keys() == _USUAL.keys()


@pytest.mark.parametrize("entry", ODD_ENTRIES, ids=lambda entry: entry[:60].decode("latin-1"))
def test_an_entry_of_another_shape_is_an_error_of_the_journal(entry: bytes, tmp_path: Path) -> None:
    ran(tmp_path / "run")
    with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as database, database:
        (key,) = database.execute("SELECT key FROM samples").fetchone()
        database.execute(
            "UPDATE samples SET entry = ?, sum = ? WHERE key = ?",
            [entry, checksum(key, entry), key],
        )
    with pytest.raises(SourceError, match="the journal is damaged: sample"):
        ran(tmp_path / "run", changed=True)


@law(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.floats(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from([*_USUAL, "format", "under"]), inner),
    max_leaves=8,
))  # fmt: skip
def test_any_json_is_a_sample_or_refused(value: Any) -> None:
    said = {"text": "a", "finish": "stop", "tokens": 2}
    inner = {**said, **value} if isinstance(value, dict) else value
    try:
        found = decoded(json.dumps([7, inner]).encode())
    except (OddEntry, ValueError):
        return
    assert isinstance(found.sample, Sample)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run", "output", "redrawn"])
@pytest.mark.parametrize("value", [5, "x", [1], {"rows": "x"}, {"a": "b"}], ids=str)
def test_a_note_of_another_shape_is_no_traceback(name: str, value: Any, tmp_path: Path) -> None:
    ran(tmp_path / "run")
    entry = json.dumps(value).encode()
    with closing(sqlite3.connect(tmp_path / "run" / "journal.sqlite")) as database, database:
        database.execute(
            "INSERT OR REPLACE INTO notes VALUES (?, ?, ?)",
            [name, entry, checksum(name.encode(), entry)],
        )
    with pytest.raises(ChainlangError):
        ran(tmp_path / "run", retry_failed=name == "redrawn")


# ---------------------------------------------------------------- tables of another shape


@pytest.mark.parametrize("made", MADE)
def test_a_view_in_the_place_of_a_table_is_an_error(made: str, tmp_path: Path) -> None:
    ran(tmp_path / "run")
    changed(tmp_path / "run" / "journal.sqlite", "DROP TABLE samples", made)
    with pytest.raises(SourceError, match="its tables are not those of a journal"):
        ran(tmp_path / "run")
    open_on_disk(tmp_path, 1 << 20).close()
    changed(tmp_path / FILE, "DROP TABLE samples", made)
    with pytest.raises(SourceError, match="its tables are not those of a cache"):
        open_on_disk(tmp_path, 1 << 20)


def test_so_is_a_trigger_beside_it(tmp_path: Path) -> None:
    open_on_disk(tmp_path, 1 << 20).close()
    trigger = "CREATE TRIGGER t AFTER INSERT ON samples BEGIN DELETE FROM samples; END"
    changed(tmp_path / FILE, trigger)
    with pytest.raises(SourceError, match="its tables are not those of a cache"):
        open_on_disk(tmp_path, 1 << 20)


def test_a_schema_that_is_no_text_is_an_error(tmp_path: Path) -> None:
    """Python raises it without a code of SQLite."""
    ran(tmp_path / "run")
    open_on_disk(tmp_path, 1 << 20).close()
    for file in (tmp_path / "run" / "journal.sqlite", tmp_path / FILE):
        file.write_bytes(file.read_bytes().replace(b"key BLOB", b"k\xffy BLOB"))
    with pytest.raises(SourceError, match="the journal is damaged: Could not decode"):
        ran(tmp_path / "run")
    with pytest.raises(SourceError, match="the cache is damaged: Could not decode"):
        open_on_disk(tmp_path, 1 << 20)


@pytest.mark.parametrize(
    "statements",
    [
        ("CREATE TABLE theirs (a)", "PRAGMA user_version = 7"),
        ("PRAGMA application_id = 99",),
        ("PRAGMA journal_mode = WAL", "CREATE TABLE theirs (a)", "INSERT INTO theirs VALUES (1)"),
        ("PRAGMA page_size = 512", "CREATE TABLE samples (key, entry, sum)"),
    ],
    ids=["tables", "an empty one", "with a log", "with our names"],
)
def test_a_database_of_another_program_is_not_changed(
    statements: tuple[str, ...], tmp_path: Path
) -> None:
    file = tmp_path / FILE
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
        before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}
        with pytest.raises(SourceError, match="this database is not a cache"):
            open_on_disk(tmp_path, 1 << 20)
        after = {name: (tmp_path / name).read_bytes() for name in before}
        if not any(name.endswith("-shm") for name in before):
            assert after == before
        assert after[FILE] == before[FILE]


# ---------------------------------------------------------------- permissions and locks


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_file_of_the_cache_is_its_owners_alone(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        disk = open_on_disk(tmp_path, 1 << 20)
        modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        disk.close()
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert FILE in modes


FORKING = """
import os, sys, time
from chainlang.store.safe_files import Folder
folder = Folder.open(sys.argv[1])
folder.lock()
if os.fork() == 0:
    print("forked", flush=True)
    time.sleep(60)
    os._exit(0)
sys.stdin.read()
os._exit(9)  # as if killed
"""


@pytest.mark.slow
def test_a_forked_process_keeps_no_lock(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [sys.executable, "-c", FORKING, str(run)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, start_new_session=True) as parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"forked\n"
        with pytest.raises(SourceError, match="another run is writing to this folder"):
            ran(run)
        parent.stdin.close()
        assert parent.wait() == 9
        try:
            assert ran(run).rows == 1
        finally:
            os.killpg(parent.pid, 9)
