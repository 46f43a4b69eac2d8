"""Tokens and money that a tuning has spent, so that a killed one goes on with the budget it had."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

from attrs import define, field, frozen

from chainlang.errors import error_of
from chainlang.protocol.usage import plus
from chainlang.store.cache import tokens_in


@frozen
class Spent:
    """Amounts that a tuning has spent."""

    tokens: int
    cost: Decimal | None
    """Dollars; None if a price is unknown."""


@define(eq=False)
class Ledger:
    """Amounts spent before each part of a tuning, in a file with a line for each.

    Tokens are those of the samples in its cache; money is that of the parts that ended, so that a
    part that was killed counts as its repetition does. A part that was begun keeps its line, so
    that a repeated tuning decides as the first one did, though the cache has more samples by then.
    """

    path: Path
    cache: Path
    """Folder of the cache, which nothing else fills."""
    entries: dict[str, Spent] = field(factory=dict)
    _cost: Decimal | None = Decimal(0)
    """Money spent so far."""

    @staticmethod
    def open(path: Path, cache: Path) -> Ledger:
        """Return the ledger in a file; an empty one if there is none.

        A line that a crash has cut off is none. Raises `SourceError` for a file of another kind.
        """
        found: dict[str, Spent] = {}
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        whole = [one for one in lines if one.endswith(b"\n")]
        for line in whole:
            try:
                entry = json.loads(line)
                cost = entry["cost"]
                found[str(entry["part"])] = Spent(
                    int(entry["tokens"]), None if cost is None else Decimal(cost)
                )
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise error_of("file", f"{path}: not the ledger of a tuning") from error
        if len(whole) < len(lines):
            path.write_bytes(b"".join(whole))
        return Ledger(path, cache, found)

    def add(self, cost: Decimal | None) -> None:
        """Add the money that a part has spent; None if a price is unknown."""
        self._cost = plus(self._cost, cost)

    def before(self, part: str) -> Spent:
        """Return what was spent before a part, which begins now."""
        if part not in self.entries:
            found = self.entries[part] = Spent(tokens_in(self.cache), self._cost)
            cost = None if found.cost is None else str(found.cost)
            line = json.dumps({"part": part, "tokens": found.tokens, "cost": cost})
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        self._cost = self.entries[part].cost
        return self.entries[part]
