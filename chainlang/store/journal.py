"""The journal of a run: every sample that was drawn, and how far the output is.

SQLite with a write-ahead log and full synchronisation: what `record` and `save` have returned from
is on the disk, whatever happens to this process or this machine. Entries are JSON with a checksum;
nothing is imported or executed on reading, and an entry that does not fit its checksum is an error.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import asdict, define, fields, frozen

from chainlang.diagnostics import Diagnostic
from chainlang.errors import SourceError
from chainlang.store.clear import JOURNAL
from chainlang.store.files import Folder
from chainlang.wire import Sample

FORMAT = 1
_MARK = 0x636861696E  # "chain", so that no other program's file is taken for a journal
_CACHE_KB = 16_384
_LOG_PAGES = 16_384  # 64 MB: a page that many samples change is written to its place once for them
_USUAL = {one.name: one.default for one in fields(Sample)}
_CHUNK = 500  # keys of one question; SQLite takes 32,766
# Samples stand in the order of their recording, and apart from their keys: keys are hashes, so an
# entry in their order would rewrite another page for each sample.
_SCHEMA = """
CREATE TABLE samples (key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL, sum BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;
"""


@frozen
class Drawn:
    """A sample that was drawn, and the length of the prompt it was drawn for."""

    sample: Sample
    prompt_tokens: int


@define(eq=False)
class Journal:
    """The journal of a folder. One process at a time has it: the folder is locked before."""

    path: str
    """For messages."""
    _database: sqlite3.Connection

    @staticmethod
    def open(folder: Folder) -> Journal:
        """Open the journal of a folder, made where there is none.

        Raises `SourceError` for a file that is no journal, is damaged, or is of a later version.
        """
        path = f"{folder.path}/{JOURNAL}"
        if folder.kind(JOURNAL) not in ("", "file"):
            raise _refusal(f"{path}: a link or a folder stands where the journal is needed")
        if not folder.kind(JOURNAL):
            folder.create(JOURNAL).close()  # so that it is its owner's alone
        with _told(path):
            # Through the open folder, so that the path is not walked again.
            database = sqlite3.connect(f"/proc/self/fd/{folder.fd}/{JOURNAL}", isolation_level=None)
            try:
                _prepare(database, path)
            except BaseException:
                database.close()
                raise
        return Journal(path, database)

    def close(self) -> None:
        """Let the file go. Closing twice does nothing."""
        self._database.close()

    # ---- samples

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return those samples that were recorded, of the keys that are asked for."""
        wanted = list(keys)
        found: dict[bytes, Drawn] = {}
        for start in range(0, len(wanted), _CHUNK):
            some = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(some))
            question = f"SELECT key, entry, sum FROM samples WHERE key IN ({marks})"  # noqa: S608
            with _told(self.path):
                rows = self._database.execute(question, some).fetchall()
            for key, entry, checksum in rows:
                found[key] = self._drawn(key, entry, checksum)
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, all or none. One that is there already stays as it is."""
        if not drawn:
            return
        rows = []
        for key, one in drawn.items():
            entry = _sample_entry(one)
            rows.append((key, entry, _sum(key, entry)))
        with _told(self.path), self._transaction():
            self._database.executemany("INSERT OR IGNORE INTO samples VALUES (?, ?, ?)", rows)

    def __len__(self) -> int:
        """How many samples are recorded."""
        with _told(self.path):
            (count,) = self._database.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)

    def _drawn(self, key: bytes, entry: object, checksum: object) -> Drawn:
        if not isinstance(entry, bytes) or _sum(key, entry) != checksum:
            raise _damaged(self.path, f"sample {key.hex()} does not fit its checksum")
        prompt_tokens, fields = json.loads(entry)
        if later := sorted(fields.keys() - _USUAL.keys()):
            what = f"{self.path}: this journal says what this version can't read: {later[0]}"
            raise _refusal(what, "resume it with the version that began it, or begin a new run")
        values: dict[str, Any] = {
            name: tuple(it) if isinstance(it, list) else it for name, it in fields.items()
        }
        return Drawn(Sample(**values), prompt_tokens)

    # ---- notes

    def save(self, notes: Mapping[str, Any]) -> None:
        """Note values that JSON has, by name, all or none; they replace what was noted."""
        rows = []
        for name, value in notes.items():
            entry = json.dumps(value).encode()
            rows.append((name, entry, _sum(name.encode(), entry)))
        with _told(self.path), self._transaction():
            self._database.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)

    def note(self, name: str) -> Any:
        """Return what was noted under a name; None if nothing was."""
        question = "SELECT entry, sum FROM notes WHERE name = ?"
        with _told(self.path):
            row = self._database.execute(question, [name]).fetchone()
        if row is None:
            return None
        entry, checksum = row
        if not isinstance(entry, bytes) or _sum(name.encode(), entry) != checksum:
            raise _damaged(self.path, f"the note {name!r} does not fit its checksum")
        return json.loads(entry)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.rollback()
            raise
        self._database.execute("COMMIT")


def _prepare(database: sqlite3.Connection, path: str) -> None:
    """Set a database up, or hold the one that is there to what we wrote."""
    (mark,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and mark != _MARK & 0x7FFFFFFF:
        raise _refusal(f"{path}: this is a database, but no journal of a run")
    if tables and version != FORMAT:
        what = f"{path}: this journal has format {version}, and this version reads {FORMAT}"
        raise _refusal(what, "resume it with the version that began it, or begin a new run")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute(f"PRAGMA cache_size = {-_CACHE_KB}")
    database.execute(f"PRAGMA wal_autocheckpoint = {_LOG_PAGES}")
    if not tables:
        # One transaction: a crash in between leaves an empty file, which is set up again.
        marks = f"PRAGMA application_id = {_MARK & 0x7FFFFFFF}; PRAGMA user_version = {FORMAT};"
        database.executescript(f"BEGIN IMMEDIATE; {marks} {_SCHEMA} COMMIT;")
        return
    (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, str(verdict))


def _sample_entry(drawn: Drawn) -> bytes:
    # What a sample has nothing of is left out, as an entry leaves out what came later than itself.
    found = asdict(drawn.sample, recurse=False)
    said = {name: value for name, value in found.items() if value != _USUAL[name]}
    return json.dumps([drawn.prompt_tokens, said]).encode()


def _sum(key: bytes, entry: bytes) -> bytes:
    return hashlib.blake2b(entry, key=key[:64], digest_size=8).digest()


@contextmanager
def _told(path: str) -> Iterator[None]:
    """Say of which journal SQLite speaks."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):  # the disk, not what is on it
            what = f"{path}: {error}"
            raise _refusal(what, "what was recorded is kept: run the same command again") from error
        raise _damaged(path, str(error)) from error


def _damaged(path: str, what: str) -> SourceError:
    hint = "begin a new run in another folder; the results that are written stay readable"
    return _refusal(f"{path}: the journal is damaged: {what}", hint)


def _refusal(message: str, hint: str | None = None) -> SourceError:
    return SourceError([Diagnostic("file", message, hint=hint)])
