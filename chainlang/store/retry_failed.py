"""The rows of a run that failed, to be drawn again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from chainlang.errors import error_of
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.store.journal import Journal
from chainlang.store.output import ERRORS
from chainlang.store.safe_files import Folder

REDRAWN = "redrawn"
"""The note of a journal that says how often each row was drawn again in later runs."""


def redrawn(journal: Journal) -> dict[str, int]:
    """Return how often each row is drawn again, by the ids of those that are."""
    note: Mapping[str, int] = journal.note(REDRAWN) or {}
    return dict(note)


def again(journal: Journal, root: Folder) -> dict[str, int]:
    """Return the same, once more for each row whose failure lies in what was drawn.

    Rows that failed for another reason are not among them: they run again with the samples that
    they have. Raises `SourceError` where it is not known which rows failed.
    """
    found = redrawn(journal)
    for row_id in _failed(root):
        found[row_id] = found.get(row_id, 0) + 1
    return found


def _failed(root: Folder) -> Iterator[str]:
    path = f"{root.path}/{ERRORS}"
    if root.kind(ERRORS) != "file":
        what = f"{path} is not there, so it is not known which rows failed"
        hint = "let the run end first: the same command without --retry-failed"
        raise error_of("file", what, hint)
    with root.read(ERRORS) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                row_id, cause = row["id"], row["cause"]
                drawn = FAILURE_MODES[cause].resampled
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f"{path}: line {number} is not what a run has written"
                hint = "run the same command without --retry-failed, which writes it anew"
                raise error_of("file", message, hint) from error
            if drawn and isinstance(row_id, str):
                yield row_id
