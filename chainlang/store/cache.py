"""The cache: samples that any run has drawn, kept for all runs up to a size, the latest used first.

Levels speak one protocol, `find` and `record`, and stand one behind the other: a dictionary, a file
of SQLite that several processes may use at once, and Redis, which several machines may share. A
level may lose what it keeps; what it returns is what was recorded, or it is an error.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

from attrs import define, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import SourceError
from chainlang.store.sample_codec import Drawn, LaterEntry, checksum, decoded, encoded, fits
from chainlang.store.sqlite import transaction

FILE = "cache.sqlite"
FORMAT = 1
_MARK = 0x63616368  # "cach", so that no other program's file is taken for a cache
_CHUNK = 500  # keys of one question; SQLite takes 32,766
_PATIENCE = 30.0  # seconds that another process may be writing
_HOUR = 3600  # how exactly it is known when an entry was used; a write for each use would cost more
_SPARE = 0.9  # of the size, what is left when it has been exceeded
_SCHEMA = """
CREATE TABLE samples (key BLOB PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL, used INTEGER);
CREATE INDEX by_use ON samples (used);
"""


class Level(Protocol):
    """Keeps samples by key, for as long as it has room."""

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return those that are there."""
        ...

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples, in the place of those that are there under the same keys."""
        ...

    def close(self) -> None:
        """Give back what the level holds. Closing twice does no harm."""
        ...


@define(eq=False)
class InMemory:
    """A level in this process, of about so many bytes.

    >>> from chainlang.protocol.messages import Sample
    >>> level = InMemory(most=2000)
    >>> level.record({key: Drawn(Sample("four" * 100, "stop", 100), 7) for key in (b"a", b"b")})
    >>> list(level.find([b"a", b"b"]))
    [b'b']
    """

    most: int = 64 << 20
    _kept: OrderedDict[bytes, Drawn] = field(factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(factory=threading.Lock)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return those that are there."""
        found: dict[bytes, Drawn] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples; the ones that were used least lately go."""
        with self._lock:
            for key, one in drawn.items():
                if key in self._kept:
                    self._size -= _weight(self._kept.pop(key))
                self._kept[key] = one
                self._size += _weight(one)
            while self._size > self.most:
                self._size -= _weight(self._kept.popitem(last=False)[1])

    def close(self) -> None:
        """Forget everything."""
        self._kept.clear()
        self._size = 0


def _weight(drawn: Drawn) -> int:
    """Return about how many bytes a sample takes as Python has it."""
    sample = drawn.sample
    numbers = len(sample.token_ids) + len(sample.logprobs)
    return 500 + 2 * (len(sample.text) + len(sample.reasoning)) + 40 * numbers


@define(eq=False)
class Levels:
    """Levels one behind the other, the quickest first: what one has, those before it are told."""

    levels: tuple[Level, ...]

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return those that any level has."""
        found: dict[bytes, Drawn] = {}
        missing = list(dict.fromkeys(keys))
        for index, level in enumerate(self.levels):
            if not missing:
                break
            there = level.find(missing)
            for before in self.levels[:index] if there else ():
                before.record(there)
            found |= there
            missing = [key for key in missing if key not in there]
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples in every level, in the last first, which is the one that others share."""
        for level in reversed(self.levels):
            level.record(drawn)

    def close(self) -> None:
        """Close every level."""
        for level in self.levels:
            level.close()


@define(eq=False)
class OnDisk:
    """A level in a file, of so many bytes. Threads and processes may use it at the same time.

    A crash may lose what was recorded last, and no more. An entry that does not fit its checksum
    is taken out, and counts as missing.
    """

    path: Path
    most: int
    _database: sqlite3.Connection
    _lock: threading.Lock = field(factory=threading.Lock)

    @staticmethod
    def open(folder: Path, most: int) -> OnDisk:
        """Open the cache of a folder, made where there is none. Raises `SourceError`."""
        path = folder / FILE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            message = f"{folder}: no cache can be there: {error.strerror}"
            raise _refusal(message, "name another folder: cache_folder=...") from error
        with _told(path):
            database = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(database, path)
            except BaseException:
                database.close()
                raise
        return OnDisk(path, most, database)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return those that are there."""
        wanted, found = list(keys), dict[bytes, Drawn]()
        now = int(time.time())
        with self._lock, _told(self.path):
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                marks = ",".join("?" * len(some))
                question = f"SELECT key, entry, sum, used FROM samples WHERE key IN ({marks})"  # noqa: S608
                rows = self._database.execute(question, some).fetchall()
                damaged = [(key,) for key, entry, total, _ in rows if not fits(key, entry, total)]
                old = [(now, key) for key, _, _, used in rows if used < now - _HOUR]
                if damaged or old:
                    with transaction(self._database):
                        remove, use = "DELETE FROM samples WHERE key = ?", "UPDATE samples SET used"
                        self._database.executemany(remove, damaged)
                        self._database.executemany(f"{use} = ? WHERE key = ?", old)
                for key, entry, total, _ in rows:
                    if fits(key, entry, total):
                        with suppress(LaterEntry):  # of a later version, which has its own use
                            found[key] = decoded(entry)
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Keep samples, all or none; the ones that were used least lately go."""
        if not drawn:
            return
        now, rows = int(time.time()), []
        for key, one in drawn.items():
            entry = encoded(one)
            rows.append((key, entry, checksum(key, entry), now))
        with self._lock, _told(self.path), transaction(self._database):
            self._database.executemany("INSERT OR REPLACE INTO samples VALUES (?, ?, ?, ?)", rows)
            if self.size() > self.most:
                self._shrink()

    def size(self) -> int:
        """Return how many bytes of the file are in use."""
        ask = self._database.execute
        (pages,), (free,) = (ask(f"PRAGMA {name}").fetchone() for name in _COUNTS)
        (each,) = ask("PRAGMA page_size").fetchone()
        return int((pages - free) * each)

    def __len__(self) -> int:
        """How many samples there are."""
        with self._lock, _told(self.path):
            (count,) = self._database.execute("SELECT count(*) FROM samples").fetchone()
        return int(count)

    def close(self) -> None:
        """Let the file go. Closing twice does nothing."""
        with self._lock:
            self._database.close()

    def _shrink(self) -> None:
        """Take out what was used least lately, until there is some room again."""
        oldest = "SELECT key FROM samples ORDER BY used, rowid LIMIT max(1, ?)"
        while self.size() > self.most * _SPARE:
            (count,) = self._database.execute("SELECT count(*) FROM samples").fetchone()
            if not count:
                return
            remove = f"DELETE FROM samples WHERE key IN ({oldest})"  # noqa: S608
            self._database.execute(remove, [count // 10])


_COUNTS = ("page_count", "freelist_count")


def _prepare(database: sqlite3.Connection, path: Path) -> None:
    """Set a database up, or hold the one that is there to what we wrote."""
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    with transaction(database):  # of two processes that begin, one sets it up
        (mark,) = database.execute("PRAGMA application_id").fetchone()
        (version,) = database.execute("PRAGMA user_version").fetchone()
        (tables,) = database.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if tables and (mark, version) != (_MARK, FORMAT):
            what = "this is a database, but no cache"
            if mark == _MARK:
                what = f"this cache has format {version}, and this version reads {FORMAT}"
            raise _refusal(f"{path}: {what}", "remove it, or name another folder: cache_folder=...")
        if not tables:
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA application_id = {_MARK}")
            database.execute(f"PRAGMA user_version = {FORMAT}")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say of which cache SQLite speaks."""
    try:
        yield
    except sqlite3.OperationalError as error:  # the disk, or another process
        raise _refusal(f"{path}: {error}", 'to go on without it: cache="off"') from error
    except sqlite3.DatabaseError as error:
        hint = "remove it; what it kept is drawn again"
        raise _refusal(f"{path}: the cache is damaged: {error}", hint) from error


def _refusal(message: str, hint: str) -> SourceError:
    return SourceError([Diagnostic("file", message, hint=hint)])
