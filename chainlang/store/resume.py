"""Start of a run in a folder: a new run, or the one in the folder, resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.diagnostics.render import shown
from chainlang.errors import ChainlangError, error_of
from chainlang.settings import WHOLE, Shard
from chainlang.store.cleanup import OF_JOURNAL, clear, removable
from chainlang.store.identity import (
    DATE,
    TEXTS,
    dated,
    differences,
    has_other_bounds,
    text_difference,
)
from chainlang.store.journal import Journal
from chainlang.store.journal_home import IN_FOLDER, JournalHome
from chainlang.store.output import Output
from chainlang.store.passed import Passed
from chainlang.store.retry_failed import REDRAWN, again, redrawn
from chainlang.store.safe_files import Folder, is_there

RUN = "run"
"""Note in the journal with the identity of the run."""
OUTPUT, PART = "output", "part"
"""Notes in the journal with the state of the output: the latest, and that of the last full part."""
MERGED = "merged"
"""Note in the journal of a folder that is made of shards, until a run resumes in it."""

Inputs = Callable[[int], str]
"""Function that reads a number of rows of the input and returns their hash, as `read` does."""


@frozen(kw_only=True)
class Source:
    """The input of a run, as far as a folder compares it with the rows that it has."""

    skip: Callable[[int, Passed], str] | None = None
    """Reads rows that are not run again, some of which it may pass; None if the run has to start
    with the first row."""
    look: Inputs | None = None
    """Reads rows ahead, which the run reads again; None if they can't be compared."""
    limit: int | None = None
    """Maximum number of rows of the whole input that are run."""
    shard: Shard = WHOLE
    """Shard of the input that the run has."""


NO_SOURCE = Source()


@frozen
class Begun:
    """A run that was started in a folder."""

    journal: Journal
    output: Output
    date: str | None = None
    """Date of the run, if the chat template of a model reads it."""
    before: Mapping[str, Any] | None = None
    """Identity of the run in the folder before, whose samples are looked up for this one."""


def begun(
    root: Folder,
    identity: Mapping[str, Any],
    fresh: Output,
    source: Source,
    *,
    overwrite: bool,
    changed: bool,
    retry: bool,
    private: bool,
    home: JournalHome = IN_FOLDER,
) -> Begun:
    """Return the journal of a run, its output, and the run before if it was another one.

    The journal in the folder is resumed if it is that of the same run, or of any run with
    `changed`. The output of the same run is resumed, unless its files have changed since or the
    bounds of length are others; else it is `fresh`, and the folder contains only the journal. With
    `retry` the failed rows are noted for resampling. A new journal is `private` to its owner.
    Raises `SourceError` otherwise, and where fewer or other rows would take the place of those in
    the folder, without removing anything.
    """
    if retry:
        hold_retryable(root, home, overwrite=overwrite)
    if overwrite or not home.holds(root):
        is_known = home.has_elsewhere(root)
        removable(root, overwrite=overwrite, is_known=is_known)
        home.erase()
        clear(root, overwrite=overwrite, is_known=is_known)
        journal = home.open(root, private=private)
        identity = dated(identity, {})
        journal.save({RUN: identity})
        return Begun(journal, fresh, identity.get(DATE))
    journal = home.open(root)
    try:
        before = journal.note(RUN, chain=str, plan=str, seed=int, models=dict, settings=dict)
        if before is not None and not {"chain", "plan"} <= before.keys():
            raise journal.odd(RUN)
        now = json.loads(json.dumps(dated(identity, before or {})))
        if before is not None and not changed:  # None: it was interrupted before its start
            _hold_same(root.path, before, now)
        resampled = before is not None and has_other_bounds(before, now)
        written = _written(journal)
        _hold_limit(root.path, written, source)
        output, files = fresh, None
        if source.skip is not None and not (changed or resampled or retry):
            output, files = _left(journal, root, fresh)
        if files is None:
            if written is not None and source.look is not None and not changed:
                _hold_inputs(root.path, source.look, written["rows"], written["inputs"])
            # Before files are removed, so that a crash in between leaves no note about them.
            rows = again(journal, root, cut=not resampled) if retry else redrawn(journal)
            journal.save({RUN: now, OUTPUT: None, PART: None, REDRAWN: rows})
        elif source.skip is not None:
            skip, passed = source.skip, output.passed
            _hold_inputs(root.path, lambda count: skip(count, passed), output.rows, output.inputs)
        if journal.note(MERGED):
            journal.save({MERGED: None})
        clear(root, overwrite=True, keep={*OF_JOURNAL, *(files or ())}, is_known=True)
        output.reopen()
    except BaseException:
        journal.close()
        raise
    return Begun(journal, output, now.get(DATE), before if changed or resampled else None)


def models_of(path: Path, home: JournalHome = IN_FOLDER) -> Mapping[str, Any]:
    """Return the description of each model of the run in a folder; none if it holds no run."""
    if not is_there(path):
        return {}
    root = Folder.open(path)
    try:
        if not home.holds(root):
            return {}
        with home.read(root) as journal:
            found = journal.note(RUN, models=dict)
    finally:
        root.close()
    return {} if found is None else dict(found["models"])


def _written(journal: Journal) -> Mapping[str, Any] | None:
    """Return the last note of an output; None if the folder has none."""
    note: Mapping[str, Any] | None = _output(journal, OUTPUT)
    return note if note is not None else _output(journal, PART)


def _output(journal: Journal, name: str) -> Mapping[str, Any] | None:
    note: Mapping[str, Any] | None = journal.note(name, rows=int, inputs=str, part_rows=int)
    if note is not None and not {"rows", "inputs"} <= note.keys():
        raise journal.odd(name)
    return note


def _left(journal: Journal, root: Folder, fresh: Output) -> tuple[Output, set[str] | None]:
    """Return the last noted output whose files are unchanged, with them; else a fresh output."""
    for name in (OUTPUT, PART):
        note = _output(journal, name)
        try:
            output = Output.noted(root, note, fresh) if note is not None else fresh
            files = output.kept() if note is not None and output.is_alike(fresh) else None
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise journal.odd(name) from error
        if files is not None:
            return output, files
    return fresh, None


def hold_retryable(root: Folder, home: JournalHome, *, overwrite: bool) -> None:
    """Raise `SourceError` if the folder contains no run whose failed rows can be retried."""
    if overwrite or not home.holds(root):
        raise no_retry(root.path, overwrite=overwrite)


def no_retry(path: str, *, overwrite: bool) -> ChainlangError:
    """Return the error of a folder that has no run to retry, or whose run is to be replaced."""
    why = "no run to retry in this folder"
    if overwrite:
        why = "--overwrite would remove the run to retry"
    hint = "run without --retry-failed first, then retry the rows that failed"
    return error_of("file", f"{path}: {why}", hint)


def _hold_limit(path: str, written: Mapping[str, Any] | None, source: Source) -> None:
    """Raise `SourceError` if a limit leaves out rows whose results are in the folder."""
    rows = 0 if written is None else int(written["rows"])
    if source.limit is not None and rows:
        hold_limit(path, rows, source.shard.row(rows - 1) + 1, source.limit)


def hold_limit(path: str, rows: int, last: int, limit: int) -> None:
    """Raise `SourceError` if a limit leaves out some of the rows of a folder up to the `last`."""
    if limit >= last:
        return
    what = (
        f"{path}: this folder has the results of {rows:,} rows, and limit={limit} leaves some out"
    )
    hint = (
        f"leave out the limit, or raise it: --limit {last}, in Python limit={last}\n"
        "or write the first rows into another folder\n"
        "or delete the run in the folder: --overwrite, in Python overwrite=True"
    )
    raise error_of("file", what, hint, kind="setting", subject="limit", setting="limit")


def _hold_inputs(path: str, read: Inputs, rows: int, expected: str) -> None:
    """Raise `SourceError` if the first rows of the input are not those of the folder."""
    if read(rows) == expected:
        return
    what = f"{path}: the first {rows:,} rows of the input are not those that this run completed"
    hint = (
        "use the same input, to which rows may be added at the end; or resume although it changed, "
        "reusing identical samples: --changed, in Python changed=True"
    )
    raise error_of("file", what, hint)


def _hold_same(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `SourceError` with the differences between the run in a folder and a new one."""
    found = differences(before, now)
    if found:
        said = [
            f"the {name} differs"
            if name in TEXTS
            else f"{name} was {shown(was, 200)} and is now {shown(is_now, 200)}"
            for name, was, is_now in found
        ]
        what = f"{path}: this folder contains a different run: {'; '.join(said)}"
        raise error_of("file", what, _ANOTHER, lines=text_difference(found))


_ANOTHER = """write the new run into another folder
or run the new chain here and reuse the samples that are the same: --changed, in Python changed=True
or delete the run in the folder: --overwrite, in Python overwrite=True"""
