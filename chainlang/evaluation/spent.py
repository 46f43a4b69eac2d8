"""Tokens that a tuning has spent, so that a killed one goes on with the budget that it had."""

from __future__ import annotations

import json
from pathlib import Path

from attrs import define, field

from chainlang.errors import error_of
from chainlang.store.cache import tokens_in


@define(eq=False)
class Ledger:
    """The tokens spent before each part of a tuning, in a file with a line for each.

    They are those of the samples in its cache. A part that was begun keeps its line, so that a
    repeated tuning decides as the first one did, though the cache has more samples by then.
    """

    path: Path
    cache: Path
    """Folder of the cache, which nothing else fills."""
    entries: dict[str, int] = field(factory=dict)

    @staticmethod
    def open(path: Path, cache: Path) -> Ledger:
        """Return the ledger in a file; an empty one if there is none.

        A line that a crash has cut off is none. Raises `SourceError` for a file of another kind.
        """
        found: dict[str, int] = {}
        lines = path.read_bytes().splitlines(keepends=True) if path.is_file() else []
        whole = [one for one in lines if one.endswith(b"\n")]
        for line in whole:
            try:
                entry = json.loads(line)
                found[str(entry["part"])] = int(entry["tokens"])
            except (ValueError, KeyError, TypeError) as error:
                raise error_of("file", f"{path}: not the ledger of a tuning") from error
        if len(whole) < len(lines):
            path.write_bytes(b"".join(whole))
        return Ledger(path, cache, found)

    def before(self, part: str) -> int:
        """Return the tokens spent before a part, which begins now."""
        if part not in self.entries:
            self.entries[part] = tokens_in(self.cache)
            line = json.dumps({"part": part, "tokens": self.entries[part]})
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return self.entries[part]
