"""Failed rows of a run, for `--retry-failed`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from chainlang.errors import error_of
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.store.journal import Journal
from chainlang.store.output import ERRORS
from chainlang.store.safe_files import Folder

REDRAWN = "redrawn"
"""Note in the journal with the number of times that each row was resampled."""


def redrawn(journal: Journal) -> dict[str, int]:
    """Return the number of times that failed rows are resampled, by id."""
    note: Mapping[str, int] = journal.note(REDRAWN) or {}
    return dict(note)


def again(journal: Journal, root: Folder) -> dict[str, int]:
    """Return these numbers, increased for each row that failed because of its samples.

    Rows that failed for another reason are not resampled: they run again with the samples that they
    have. Raises `SourceError` if the failed rows are unknown.
    """
    found = redrawn(journal)
    for row_id in _failed(root):
        found[row_id] = found.get(row_id, 0) + 1
    return found


def _failed(root: Folder) -> Iterator[str]:
    path = f"{root.path}/{ERRORS}"
    if root.kind(ERRORS) != "file":
        what = f"{path} is missing, so the failed rows are unknown"
        hint = "complete the run first: the same command without --retry-failed"
        raise error_of("file", what, hint)
    with root.read(ERRORS) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                row_id, cause = row["id"], row["cause"]
                drawn = FAILURE_MODES[cause].resampled
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f"{path}: line {number} is not the record of a failed row"
                hint = "run the same command without --retry-failed, which rewrites the file"
                raise error_of("file", message, hint) from error
            if drawn and isinstance(row_id, str):
                yield row_id
