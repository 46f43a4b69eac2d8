"""Beginning a run in a folder: a new one, or the one that the folder holds, gone on with."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import SourceError, error_of
from chainlang.store.cleanup import JOURNAL, OF_JOURNAL, clear
from chainlang.store.journal import Journal
from chainlang.store.output import Output
from chainlang.store.retry_failed import REDRAWN, again, redrawn
from chainlang.store.safe_files import Folder

_RUN = "run"
OUTPUT, PART = "output", "part"
"""The notes of a journal that say how far the output is: now, and when the last part was full."""

Inputs = Callable[[int], str]
"""Reads so many rows of the input, and returns their hash, as `read` makes it."""


def begun(
    root: Folder,
    identity: Mapping[str, Any],
    fresh: Output,
    inputs: Inputs | None,
    *,
    overwrite: bool,
    changed: bool,
    retry: bool,
) -> tuple[Journal, Output]:
    """Return the journal of a run, and its output.

    The journal of the run that the folder holds is gone on with, if that is the same run or
    `changed` allows that it is another. The output of the same run is gone on with, unless its
    files are not as they were left; else it is `fresh`, and the folder holds only the journal.
    With `retry` the rows that failed are noted as to be drawn again. Raises `SourceError`
    otherwise, and has removed nothing.
    """
    if retry:
        hold_retryable(root, overwrite=overwrite)
    if overwrite or root.kind(JOURNAL) != "file":
        clear(root, overwrite=overwrite)
        journal = Journal.open(root)
        journal.save({_RUN: identity})
        return journal, fresh
    journal = Journal.open(root)
    try:
        before = journal.note(_RUN)
        if before is not None and not changed:  # none: it ended before it began
            _hold_same(root.path, before, json.loads(json.dumps(identity)))
        output, files = fresh, None
        if inputs is not None and not changed:
            output, files = _left(journal, root, fresh)
        if files is None:
            # First of all, so that nothing is taken for written that is removed.
            rows = again(journal, root) if retry else redrawn(journal)
            journal.save({_RUN: identity, OUTPUT: None, PART: None, REDRAWN: rows})
        elif inputs is not None and inputs(output.rows) != output.inputs:
            _refuse_inputs(root.path, output.rows)
        clear(root, overwrite=True, keep={*OF_JOURNAL, *(files or ())})
        output.reopen()
    except BaseException:
        journal.close()
        raise
    return journal, output


def _left(journal: Journal, root: Folder, fresh: Output) -> tuple[Output, set[str] | None]:
    """Return the last output that was noted and is there still, and its files; else a fresh one."""
    for name in (OUTPUT, PART):
        note = journal.note(name)
        output = Output.noted(root, note) if note is not None else fresh
        files = output.kept() if note is not None and output.is_alike(fresh) else None
        if files is not None:
            return output, files
    return fresh, None


def hold_retryable(root: Folder, *, overwrite: bool) -> None:
    """Raise `SourceError` where there is no run whose failed rows could be drawn again."""
    if overwrite or root.kind(JOURNAL) != "file":
        why = "would be removed: --overwrite" if overwrite else "is none"
        what = f"{root.path}: the run whose failed rows are to be drawn again {why}"
        hint = "begin a run without --retry-failed, and then draw again what failed"
        raise error_of("file", what, hint)


def _refuse_inputs(path: str, rows: int) -> NoReturn:
    what = f"{path}: the first {rows:,} rows of the input are not those that this run has done"
    hint = (
        "give it the same input, longer if you like; or write its files anew with the samples that "
        "still fit: --changed, in Python changed=True"
    )
    raise error_of("file", what, hint)


def _hold_same(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise with every difference between the run in a folder and the one to come."""
    found = [
        Diagnostic("file", f"{name} was {shown(was, 200)}, and is now {shown(is_now, 200)}")
        for name, was, is_now in _differences("", before, now)
    ]
    if found:
        hint = (
            "name another folder; or go on with the samples that still fit: --changed, in Python "
            "changed=True; or begin again: --overwrite, in Python overwrite=True"
        )
        message = f"{path}: this folder holds another run"
        raise SourceError([Diagnostic("file", message, hint=hint), *found])


def _differences(
    above: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*before, *now]):
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            yield from _differences(f"{above}{name}.", was, is_now)
        elif was != is_now:
            yield f"{above}{name}", was, is_now
