"""Failed rows of a run, for `--retry-failed`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from chainlang.errors import error_of
from chainlang.protocol.failures import FAILURE_MODES
from chainlang.store.journal import Journal
from chainlang.store.output import ERRORS
from chainlang.store.safe_files import Folder

REDRAWN = "redrawn"
"""Note in the journal with the number of times that each row, or an arm of it, was resampled."""

Redrawn: TypeAlias = dict[str, dict[str, int]]
"""Number of times that failed rows are resampled, by id and arm; the arm is empty for a row."""


def redrawn(journal: Journal) -> Redrawn:
    """Return the number of times that failed rows and arms are resampled."""
    note: Mapping[str, int | Mapping[str, int]] = journal.note(REDRAWN) or {}
    if not isinstance(note, dict) or not all(map(_is_count, note.values())):
        raise journal.odd(REDRAWN)
    # A number is a note of a version in which no arm failed alone.
    return {
        row_id: {"": arms} if isinstance(arms, int) else dict(arms) for row_id, arms in note.items()
    }


def _is_count(arms: object) -> bool:
    """Return whether a value is the number of a row, or the numbers of its arms."""
    if isinstance(arms, dict):
        return all(isinstance(one, int) for one in arms.values())
    return isinstance(arms, int)


def again(journal: Journal, root: Folder, *, cut: bool = True) -> Redrawn:
    """Return these numbers, increased for each row and arm that failed because of its samples.

    Those that failed for another reason are not resampled: they run again with the samples that
    they have. So do those of which a reply was cut, unless `cut`: other bounds resample that reply.
    Raises `SourceError` if the failed rows are unknown.
    """
    found = redrawn(journal)
    for row_id, branch in _failed(root, cut=cut):
        arms = found.setdefault(row_id, {})
        arms[branch] = arms.get(branch, 0) + 1
    return found


def _failed(root: Folder, *, cut: bool) -> Iterator[tuple[str, str]]:
    path = f"{root.path}/{ERRORS}"
    if root.kind(ERRORS) != "file":
        what = f"{path} is missing, so the failed rows are unknown"
        hint = "complete the run first: the same command without --retry-failed"
        raise error_of("file", what, hint)
    with root.read(ERRORS) as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                row_id, cause, branch = row["id"], row["cause"], row.get("branch") or ""
                drawn = FAILURE_MODES[cause].resampled and (cut or cause != "cut")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                message = f"{path}: line {number} is not the record of a failed row"
                hint = "run the same command without --retry-failed, which rewrites the file"
                raise error_of("file", message, hint) from error
            if drawn and isinstance(row_id, str) and isinstance(branch, str):
                yield row_id, branch
