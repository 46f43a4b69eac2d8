"""The journal of a run: all its samples, and the state of its output.

SQLite with a write-ahead log and full synchronisation: once `record` or `save` returns, the data
survives a crash of the process or the machine. Entries are JSON with a checksum; reading imports
and executes nothing, and an entry whose checksum does not match is an error.

`FORMAT` is the version of the tables, in the file's `user_version`. The entry of a sample has the
number of its key's format; see `sample_codec`.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, ClassVar

from attrs import define, field

from chainlang.errors import ChainlangError, error_of
from chainlang.protocol.usage import ZERO, plus
from chainlang.store.cleanup import JOURNAL
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, Paid, checksum, fits
from chainlang.store.sample_table import DURABLE, SAVE, SampleTable
from chainlang.store.sqlite import Database, FileKind, transaction

FORMAT = 1
_NOTES = "CREATE TABLE notes (name TEXT PRIMARY KEY, entry BLOB NOT NULL, sum BLOB NOT NULL)"
_BEGIN_ANEW = "resume it with the version that started it, or start a new run"
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
    if_failed="finished samples are saved; re-run the same command to resume",
    if_damaged="start a new run in another folder; the results that are written stay readable",
    if_later=_BEGIN_ANEW,
    if_foreign="name another folder for the run",
)


EARLIER = "earlier samples"
"""Name of samples whose costs were not recorded, in place of their models."""
_SPENT = "spent"
"""Name of the note with the costs of all samples."""


def _noted(name: str, value: Any) -> tuple[str, bytes, bytes]:
    entry = json.dumps(value).encode()
    return name, entry, checksum(name.encode(), entry)


def _texts(costs: Mapping[str, Decimal | None]) -> dict[str, str | None]:
    return {name: None if cost is None else str(cost) for name, cost in costs.items()}


@define(eq=False)
class Journal:
    """The journal in a folder, open in a single process, which has locked the folder."""

    keeps_costs: ClassVar[bool] = True
    """Whether its samples have their costs."""

    _database: Database
    _samples: SampleTable
    session: str = field(factory=lambda: secrets.token_hex(4))
    """Mark of this process."""
    _spent: dict[str, Decimal | None] | None = None
    _charged: set[bytes] = field(factory=set)

    @staticmethod
    def open(folder: Folder, *, private: bool = False) -> Journal:
        """Open the journal of a folder; create it if missing, with `private` for its owner only.

        Raises `SourceError` for a file that is not a journal, is damaged, or has a later version.
        """
        path = f"{folder.path}/{JOURNAL}"
        if folder.kind(JOURNAL) not in ("", "file"):
            raise error_of("file", f"{path}: expected the journal, found a link or a folder")
        if not folder.kind(JOURNAL):
            folder.create(JOURNAL, private=private).close()  # SQLite's other files follow it
        # Through the open folder, so that the path is not resolved again.
        database = Database.open(_KIND, path, f"/proc/self/fd/{folder.fd}/{JOURNAL}")
        return Journal(database, SampleTable(database, durable=True))

    def close(self) -> None:
        """Close the file. Closing twice does nothing."""
        self._database.close()

    # ---- samples

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        return self._samples.find(keys)

    def record(
        self, drawn: Mapping[bytes, Drawn], spent: Mapping[str, Decimal | None] = {}
    ) -> None:
        """Record samples with what they cost by model, all or none.

        Samples under keys that are present are ignored; their costs are not.
        """
        found = self.spent
        for model, cost in spent.items():
            found[model] = plus(found.get(model, ZERO), cost)
        notes = [] if found == self.spent else [_noted(_SPENT, _texts(found))]
        self._samples.record(drawn, notes)
        self._spent = found

    def charge(self, key: bytes, paid: Paid, row: int) -> Decimal:
        """Return the cost of a sample for a row that has found it here.

        That is nothing, unless the row generated it in an earlier process and was not charged.
        """
        if paid.session == self.session or paid.row != row or key in self._charged:
            return ZERO
        self._charged.add(key)
        return paid.cost

    @property
    def spent(self) -> dict[str, Decimal | None]:
        """Cost of all samples by model, in dollars; None if it is not known."""
        if self._spent is None:
            noted = self.note(_SPENT)
            if noted is None:
                noted = {EARLIER: None} if len(self) else {}
            self._spent = {
                name: None if one is None else Decimal(one) for name, one in noted.items()
            }
        return dict(self._spent)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    # ---- notes

    def save(self, notes: Mapping[str, Any]) -> None:
        """Save JSON values by name, all or none, replacing earlier values."""
        rows = [_noted(name, value) for name, value in notes.items()]
        connection = self._database.connection
        with self._database.errors(), transaction(connection):
            connection.executemany(SAVE, rows)

    def note(self, name: str, **types: type | UnionType) -> Any:
        """Return the saved value of a name; None if there is none.

        With `types` it is an object, and each of these fields that it has is of the type. Raises
        `SourceError` for a note that is damaged, or of another shape.
        """
        question = "SELECT entry, sum FROM notes WHERE name = ?"
        with self._database.errors():
            row = self._database.connection.execute(question, [name]).fetchone()
        if row is None:
            return None
        entry, total = row
        if not fits(name.encode(), entry, total):
            raise self._database.damaged(f"the note {name!r} does not match its checksum")
        try:
            value = json.loads(entry)
        except (ValueError, RecursionError) as error:
            raise self.odd(name) from error
        if value is None or not types:
            return value
        if not isinstance(value, dict) or not all(
            isinstance(value[field], types[field]) for field in types.keys() & value.keys()
        ):
            raise self.odd(name)
        return value

    def notes(self, prefix: str) -> dict[str, Any]:
        """Return the saved values whose names begin with a prefix, in the order of the names."""
        question = "SELECT name FROM notes WHERE name >= ? AND name < ? ORDER BY name"
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        with self._database.errors():
            found = self._database.connection.execute(question, [prefix, last]).fetchall()
        return {name: self.note(name) for (name,) in found}

    def odd(self, name: str) -> ChainlangError:
        """Return the error of a note of another shape, although its checksum matches."""
        return self._database.damaged(f"the note {name!r} can't be read")
