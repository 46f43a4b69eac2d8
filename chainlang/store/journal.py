"""The journal of a run: every sample that was drawn, and how far the output is.

SQLite with a write-ahead log and full synchronisation: what `record` and `save` have returned from
is on the disk, whatever happens to this process or this machine. Entries are JSON with a checksum;
nothing is imported or executed on reading, and an entry that does not fit its checksum is an error.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from attrs import define

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SourceError
from chainlang.store.cleanup import JOURNAL
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, LaterEntry, checksum, decoded, encoded, fits
from chainlang.store.sqlite import transaction

FORMAT = 1
_MARK = 0x636861696E  # "chain", so that no other program's file is taken for a journal
_CACHE_KB = 16_384
_LOG_PAGES = 16_384  # 64 MB: a page that many samples change is written to its place once for them
_CHUNK = 500  # keys of one question; SQLite takes 32,766
# Samples stand in the order of their recording, and apart from their keys: keys are hashes, so an
# entry in their order would rewrite another page for each sample.
_SCHEMA = """
CREATE TABLE samples (key BLOB NOT NULL UNIQUE, entry BLOB NOT NULL, sum BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL) WITHOUT ROWID;
"""


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
            for key, entry, total in rows:
                found[key] = self._drawn(key, entry, total)
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, all or none. One that is there already stays as it is."""
        if not drawn:
            return
        rows = []
        for key, one in drawn.items():
            entry = encoded(one)
            rows.append((key, entry, checksum(key, entry)))
        with _told(self.path), transaction(self._database):
            self._database.executemany("INSERT OR IGNORE INTO samples VALUES (?, ?, ?)", rows)

    def __len__(self) -> int:
        """How many samples are recorded."""
        with _told(self.path):
            (count,) = self._database.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)

    def _drawn(self, key: bytes, entry: object, total: object) -> Drawn:
        if not isinstance(entry, bytes) or not fits(key, entry, total):
            raise _damaged(self.path, f"sample {key.hex()} does not fit its checksum")
        try:
            return decoded(entry)
        except LaterEntry as error:
            what = f"{self.path}: this journal says what this version can't read: {error}"
            hint = "resume it with the version that began it, or begin a new run"
            raise _refusal(what, hint) from error

    # ---- notes

    def save(self, notes: Mapping[str, Any]) -> None:
        """Note values that JSON has, by name, all or none; they replace what was noted."""
        rows = []
        for name, value in notes.items():
            entry = json.dumps(value).encode()
            rows.append((name, entry, checksum(name.encode(), entry)))
        with _told(self.path), transaction(self._database):
            self._database.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)

    def note(self, name: str) -> Any:
        """Return what was noted under a name; None if nothing was."""
        question = "SELECT entry, sum FROM notes WHERE name = ?"
        with _told(self.path):
            row = self._database.execute(question, [name]).fetchone()
        if row is None:
            return None
        entry, total = row
        if not fits(name.encode(), entry, total):
            raise _damaged(self.path, f"the note {name!r} does not fit its checksum")
        return json.loads(entry)


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
    (verdict,) = database.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        raise _damaged(path, str(verdict))


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
    except UnicodeDecodeError as error:  # SQLite quotes what it can't read
        raise _damaged(path, "its tables are not those of a journal") from error


def _damaged(path: str, what: str) -> SourceError:
    hint = "begin a new run in another folder; the results that are written stay readable"
    return _refusal(f"{path}: the journal is damaged: {what}", hint)


def _refusal(message: str, hint: str | None = None) -> SourceError:
    return SourceError([Diagnostic("file", message, hint=hint)])
