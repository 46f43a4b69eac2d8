"""The journal of a run: every sample that was drawn, and how far the output is.

SQLite with a write-ahead log and full synchronisation: what `record` and `save` have returned from
is on the disk, whatever happens to this process or this machine. Entries are JSON with a checksum;
nothing is imported or executed on reading, and an entry that does not fit its checksum is an error.

`FORMAT` is the number of the tables, in the file's `user_version`. An entry of a sample carries the
number of its key's format; see `sample_codec`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import define

from chainlang.errors import error_of
from chainlang.store.cleanup import JOURNAL
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, checksum, fits
from chainlang.store.sample_table import DURABLE, SampleTable
from chainlang.store.sqlite import Database, FileKind, transaction

FORMAT = 1
_NOTES = "CREATE TABLE notes (name TEXT PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL)"
_BEGIN_ANEW = "resume it with the version that began it, or begin a new run"
_KIND = FileKind(
    name="journal",
    whole_name="journal of a run",
    mark=0x636861696E & 0x7FFFFFFF,  # "chain"
    format=FORMAT,
    schema=f"{DURABLE}; {_NOTES} WITHOUT ROWID",
    pragmas=(
        "journal_mode = WAL",
        "synchronous = FULL",
        "cache_size = -16384",  # KB
        # 64 MB: a page that many samples change is written to its place once for them.
        "wal_autocheckpoint = 16384",
    ),
    is_checked=True,
    if_failed="what was recorded is kept: run the same command again",
    if_damaged="begin a new run in another folder; the results that are written stay readable",
    if_later=_BEGIN_ANEW,
    if_foreign="name another folder for the run",
)


@define(eq=False)
class Journal:
    """The journal of a folder. One process at a time has it: the folder is locked before."""

    _database: Database
    _samples: SampleTable

    @staticmethod
    def open(folder: Folder) -> Journal:
        """Open the journal of a folder, made where there is none.

        Raises `SourceError` for a file that is no journal, is damaged, or is of a later version.
        """
        path = f"{folder.path}/{JOURNAL}"
        if folder.kind(JOURNAL) not in ("", "file"):
            raise error_of("file", f"{path}: a link or a folder stands where the journal is needed")
        if not folder.kind(JOURNAL):
            folder.create(JOURNAL).close()  # so that it is its owner's alone
        # Through the open folder, so that the path is not walked again.
        database = Database.open(_KIND, path, f"/proc/self/fd/{folder.fd}/{JOURNAL}")
        return Journal(database, SampleTable(database, durable=True))

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._database.close()

    # ---- samples

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return those samples that were recorded, of the keys that are asked for."""
        return self._samples.find(keys)

    def record(self, drawn: Mapping[bytes, Drawn]) -> None:
        """Record samples, all or none. One that is there already stays as it is."""
        self._samples.record(drawn)

    def __len__(self) -> int:
        """Return the number of samples that are recorded."""
        return len(self._samples)

    # ---- notes

    def save(self, notes: Mapping[str, Any]) -> None:
        """Note values that JSON has, by name, all or none; they replace what was noted."""
        rows = []
        for name, value in notes.items():
            entry = json.dumps(value).encode()
            rows.append((name, entry, checksum(name.encode(), entry)))
        connection = self._database.connection
        with self._database.errors(), transaction(connection):
            connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)

    def note(self, name: str) -> Any:
        """Return what was noted under a name; None if nothing was."""
        question = "SELECT entry, sum FROM notes WHERE name = ?"
        with self._database.errors():
            row = self._database.connection.execute(question, [name]).fetchone()
        if row is None:
            return None
        entry, total = row
        if not fits(name.encode(), entry, total):
            raise self._database.damaged(f"the note {name!r} does not fit its checksum")
        return json.loads(entry)
