"""The journal of a run: all its samples with what they cost, and the state of its output."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from decimal import Decimal
from types import UnionType
from typing import Any, ClassVar

from attrs import define, field

from chainlang.errors import ChainlangError
from chainlang.protocol.usage import ZERO, plus
from chainlang.store.protocol import Store
from chainlang.store.safe_files import Folder
from chainlang.store.sample_codec import Drawn, Paid
from chainlang.store.sqlite_store import SqliteStore

EARLIER = "earlier samples"
"""Name of samples whose costs were not recorded, in place of their models."""
SPENT = "spent"
"""Name of the note with the costs of all samples."""


def _encoded(value: Any) -> bytes:
    return json.dumps(value).encode()


def _texts(costs: Mapping[str, Decimal | None]) -> dict[str, str | None]:
    return {name: None if cost is None else str(cost) for name, cost in costs.items()}


@define(eq=False)
class Journal:
    """The journal of a run in its store, open in a single process."""

    keeps_costs: ClassVar[bool] = True
    """Whether its samples have their costs."""

    store: Store
    session: str = field(factory=lambda: secrets.token_hex(4))
    """Mark of this process."""
    _spent: dict[str, Decimal | None] | None = None
    _charged: set[bytes] = field(factory=set)

    @staticmethod
    def open(folder: Folder, *, private: bool = False) -> Journal:
        """Open the journal in a file of a folder; create it if missing.

        With `private` it is for its owner only. Raises `SourceError` for a file that is not a
        journal, is damaged, or has a later version.
        """
        return Journal(SqliteStore.open(folder, private=private))

    def close(self) -> None:
        """Close the store. Closing twice does nothing."""
        self.store.close()

    # ---- samples

    def find(self, keys: Iterable[bytes]) -> dict[bytes, Drawn]:
        """Return the recorded samples of the keys."""
        return self.store.find(keys)

    def record(
        self, drawn: Mapping[bytes, Drawn], spent: Mapping[str, Decimal | None] = {}
    ) -> None:
        """Record samples with what they cost by model, all or none.

        Samples under keys that are present are ignored; their costs are not.
        """
        found = self.spent
        for model, cost in spent.items():
            found[model] = plus(found.get(model, ZERO), cost)
        notes = {} if found == self.spent else {SPENT: _encoded(_texts(found))}
        self.store.record(drawn, notes)
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
            noted = self.note(SPENT)
            if noted is None:
                noted = {EARLIER: None} if len(self) else {}
            self._spent = {
                name: None if one is None else Decimal(one) for name, one in noted.items()
            }
        return dict(self._spent)

    @property
    def is_new(self) -> bool:
        """Whether this process has begun it, so that all keys in it are of the newest format."""
        return self.store.is_new

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.store)

    # ---- notes

    def save(self, notes: Mapping[str, Any]) -> None:
        """Save JSON values by name, all or none, replacing earlier values."""
        self.store.record({}, {name: _encoded(value) for name, value in notes.items()})

    def note(self, name: str, **types: type | UnionType) -> Any:
        """Return the saved value of a name; None if there is none.

        With `types` it is an object, and each of these fields that it has is of the type. Raises
        `SourceError` for a note that is damaged, or of another shape.
        """
        entry = self.store.read(name)
        if entry is None:
            return None
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
        return {name: self.note(name) for name in self.store.names(prefix)}

    def odd(self, name: str) -> ChainlangError:
        """Return the error of a note of another shape, although its checksum matches."""
        return self.store.damaged(f"the note {name!r} can't be read")
