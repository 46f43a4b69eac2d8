"""The store of a journal in a SQLite file of the run folder.

SQLite with a write-ahead log and full synchronisation: once a change returns, the data survives a
crash of the process or the machine. Entries are JSON with a checksum; reading imports and executes
nothing, and an entry whose checksum does not match is an error.

`FORMAT` is the version of the tables, in the file's `user_version`. The entry of a sample has the
number of its key's format; see `sample_codec`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import define

from chainlang.errors import ChainlangError, error_of
from chainlang.store.cleanup import JOURNAL
from chainlang.store.journal_check import fault_of
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, checksum, fits
from chainlang.store.sample_log import SCHEMA, SampleLog
from chainlang.store.sample_table import DURABLE, SampleTable
from chainlang.store.sqlite import Database, FileKind

FORMAT = 2
_FIRST_FORMAT = 1
"""Format of journals that index each sample at once; one that was begun so goes on so."""
_NOTES = (
    "CREATE TABLE notes (name TEXT PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL) "
    "WITHOUT ROWID"
)
_BEGIN_ANEW = "resume it with the version that started it, or start a new run"
_KIND = FileKind(
    name="journal",
    whole_name="journal of a run",
    mark=0x636861696E & 0x7FFFFFFF,  # "chain"
    format=FORMAT,
    schema=f"{SCHEMA}; {_NOTES}",
    earlier_formats={_FIRST_FORMAT: f"{DURABLE}; {_NOTES}"},
    pragmas=(
        "journal_mode = WAL",
        "synchronous = FULL",
        "cache_size = -16384",  # KB
        # 64 MB: a page that many samples change is written to its place once for them.
        "wal_autocheckpoint = 16384",
    ),
    check=fault_of,
    if_failed="finished samples are saved; re-run the same command to resume",
    if_damaged="start a new run in another folder; the results that are written stay readable",
    if_later=_BEGIN_ANEW,
    if_foreign="name another folder for the run",
)


@define(eq=False)
class SqliteStore:
    """The store in a folder, open in a single process, which has locked the folder."""

    _database: Database
    _samples: SampleLog | SampleTable
    is_new: bool = False

    @staticmethod
    def open(folder: Folder, *, private: bool = False) -> SqliteStore:
        """Open the store of a folder; create it if missing, with `private` for its owner only.

        Raises `SourceError` for a file that is not a journal, is damaged, or has a later version.
        """
        path = f"{folder.path}/{JOURNAL}"
        if folder.kind(JOURNAL) not in ("", "file"):
            raise error_of("file", f"{path}: expected the journal, found a link or a folder")
        is_new = not folder.kind(JOURNAL)
        if is_new:
            folder.create(JOURNAL, private=private).close()  # SQLite's other files follow it
        # Through the open folder, so that the path is not resolved again.
        database = Database.open(_KIND, path, f"/proc/self/fd/{folder.fd}/{JOURNAL}")
        try:
            if database.format == FORMAT:
                return SqliteStore(database, SampleLog.open(database), is_new)
        except BaseException:
            database.close()
            raise
        return SqliteStore(database, SampleTable(database, durable=True), is_new)

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        return self._samples.find(keys)

    def record(self, drawn: Mapping[bytes, Drawn], notes: Mapping[str, bytes]) -> None:
        """Record samples and save notes, all or none. Samples of keys that are present stay."""
        rows = [(name, entry, checksum(name.encode(), entry)) for name, entry in notes.items()]
        self._samples.record(drawn, rows)

    def read(self, name: str) -> bytes | None:
        """Return the note of a name; None if there is none."""
        question = "SELECT entry, sum FROM notes WHERE name = ?"
        with self._database.errors():
            row = self._database.connection.execute(question, [name]).fetchone()
        if row is None:
            return None
        entry, total = row
        if not fits(name.encode(), entry, total):
            raise self.damaged(f"the note {name!r} does not match its checksum")
        return bytes(entry)

    def names(self, prefix: str) -> list[str]:
        """Return the names of notes that begin with a prefix, sorted."""
        question = "SELECT name FROM notes WHERE name >= ? AND name < ? ORDER BY name"
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1) if prefix else "\x7f"
        with self._database.errors():
            found = self._database.connection.execute(question, [prefix, last]).fetchall()
        return [name for (name,) in found]

    def adopt(self, path: str) -> None:
        """Add the samples of another such file; those of keys that are here already stay.

        They are copied as they are, with their checksums, some at a time.
        """
        self.is_new = False
        self._log.adopt(path)

    def add(self, rows: Iterable[tuple[bytes, bytes, bytes]]) -> None:
        """Add samples with their checksums, as they are; those of keys that are here stay."""
        self.is_new = False
        self._log.add([*rows])

    @property
    def _log(self) -> SampleLog:
        assert isinstance(self._samples, SampleLog)  # it is made of others in a new folder
        return self._samples

    def damaged(self, what: str) -> ChainlangError:
        """Return the error of a damaged file."""
        return self._database.damaged(what)

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._database.close()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)
