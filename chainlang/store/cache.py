"""Sample cache shared by runs, with a maximum size; the least recently used samples are evicted.

Its levels have one protocol, `store.protocol.Level`: a dictionary, a SQLite file that several
processes may share, and Redis and PostgreSQL, which several machines may share. A level may lose
samples, but never returns other ones than were recorded.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, evolve, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.errors import DiskError, SourceError, warn
from chainlang.store.io_errors import FULL
from chainlang.store.protocol import Level
from chainlang.store.sample_codec import Drawn
from chainlang.store.sample_table import EARLIER, EVICTING, SampleTable
from chainlang.store.sqlite import Database, FileKind

FILE = "cache.sqlite"
FORMAT = 1
_PATIENCE = 10.0  # seconds to wait while another process writes
_REMOVE = "remove it, or name another folder: cache_folder=..."
_KIND = FileKind(
    name="cache",
    whole_name="cache",
    mark=0x63616368,  # "cach"
    format=FORMAT,
    schema=EVICTING,
    earlier=(EARLIER,),
    pragmas=("journal_mode = WAL", "synchronous = NORMAL"),
    if_failed='to run without it: cache="off"',
    if_damaged="remove it; its samples are generated again",
    if_later=_REMOVE,
    if_foreign=_REMOVE,
)


@define(eq=False)
class InMemory:
    """A level in this process, of about `most` bytes.

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
        """Return the samples of the keys that are present."""
        found: dict[bytes, Drawn] = {}
        with self._lock:
            for key in keys:
                if key in self._kept:
                    self._kept.move_to_end(key)
                    found[key] = self._kept[key]
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, and evict the least recently used."""
        with self._lock:
            for key, one in drawn.items():
                if key in self._kept:
                    self._size -= _weight(self._kept.pop(key))
                self._kept[key] = one
                self._size += _weight(one)
            while self._size > self.most:
                self._size -= _weight(self._kept.popitem(last=False)[1])

    def close(self) -> None:
        """Remove all samples."""
        self._kept.clear()
        self._size = 0


def _weight(drawn: Drawn) -> int:
    """Return the approximate size of a sample in memory, in bytes."""
    sample = drawn.sample
    numbers = len(sample.token_ids) + len(sample.logprobs)
    numbers += 4 * sum(map(len, sample.top_logprobs))
    return 500 + 2 * (len(sample.text) + len(sample.reasoning)) + 40 * numbers


@define(eq=False)
class Dispensable:
    """A level that a run can do without: after a failure, which is a warning, it is not used."""

    level: Level
    has_failed: bool = False

    def find(self, keys: Iterable[bytes]) -> Mapping[bytes, Drawn]:
        """Return the samples of the keys that are present; none after a failure."""
        if not self.has_failed:
            with self._warned():
                return self.level.find(keys)
        return {}

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, unless the level has failed."""
        if not self.has_failed:
            with self._warned():
                self.level.record(drawn)

    def close(self) -> None:
        """Close the level."""
        self.level.close()

    @contextmanager
    def _warned(self) -> Iterator[None]:
        try:
            yield
        except SourceError as error:
            self.has_failed = True
            _warn(error)


@define(eq=False)
class Levels:
    """Several levels, the fastest first; a hit is copied to the levels before it.

    Entries have the time of their recording. One that is older than `seconds`, or has none, counts
    as missing.
    """

    levels: tuple[Level, ...]
    seconds: float | None = None

    @property
    def has_failed(self) -> bool:
        """Whether a level has failed, so that it is to be opened again."""
        return any(isinstance(one, Dispensable) and one.has_failed for one in self.levels)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the samples that any level has."""
        found: dict[bytes, Drawn] = {}
        missing = list(dict.fromkeys(keys))
        for index, level in enumerate(self.levels):
            if not missing:
                break
            there = self._current(level.find(missing))
            for before in self.levels[:index] if there else ():
                before.record(there)
            found |= there
            missing = [key for key in missing if key not in there]
        return found

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples in each level, the last one first, since others share it."""
        now = int(time.time())
        drawn = {key: evolve(one, made=now) for key, one in drawn.items()}
        for level in reversed(self.levels):
            level.record(drawn)

    def _current(self, found: Mapping[bytes, Drawn]) -> Mapping[bytes, Drawn]:
        """Return the samples that are not too old."""
        if self.seconds is None:
            return found
        oldest = time.time() - self.seconds
        return {key: one for key, one in found.items() if (one.made or 0) >= oldest}

    def close(self) -> None:
        """Close every level."""
        for level in self.levels:
            level.close()


def open_on_disk(folder: Path, most: int, seconds: float | None = None) -> SampleTable:
    """Return the level in a SQLite file of a folder, of at most `most` bytes; create it if missing.

    Entries that were last used more than `seconds` ago are removed.

    Threads and processes may share it. A crash may lose the samples that were recorded last. An
    entry whose checksum does not match is removed, and counts as missing. Raises `SourceError`.
    """
    path = folder / FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):  # prompts of all runs are in it: it is private
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except OSError as error:
        message = f"{folder}: can't create the cache: {error.strerror}"
        hint = "name another folder: cache_folder=..."
        kind = DiskError if error.errno in FULL else SourceError
        raise kind([Diagnostic("file", message, hint=hint)]) from error
    address = str(path)
    settings = {"timeout": _PATIENCE, "check_same_thread": False}
    database = Database.open(_KIND, address, address, **settings)
    table = SampleTable(database, durable=False, evict=most)
    if seconds is not None:
        table.expire(seconds)
    return table


def tokens_in(folder: Path) -> int:
    """Return the tokens of all samples of a cache, prompts and replies; 0 if there is no file.

    Raises `SourceError` for a file that is damaged, or no cache.
    """
    if not (folder / FILE).is_file():
        return 0
    table = open_on_disk(folder, 1 << 62)
    try:
        return table.tokens()
    finally:
        table.close()


def opened_on_disk(folder: Path, most: int, seconds: float | None) -> Dispensable:
    """Return the level of `open_on_disk`; a warning and an unused one if the disk or a lock fails.

    Raises `SourceError` for a file that is no cache.
    """
    try:
        return Dispensable(open_on_disk(folder, most, seconds))
    except DiskError as error:
        _warn(error)
        return Dispensable(InMemory(0), has_failed=True)


def _warn(error: SourceError) -> None:
    for one in error.diagnostics:
        message = f"{one.message}; the run continues without this cache"
        warn(evolve(one, code="cache", message=message))
