"""Start of a run in a folder: a new run, or the one in the folder, resumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from chainlang.diagnostics.render import shown
from chainlang.errors import error_of
from chainlang.store.cleanup import JOURNAL, OF_JOURNAL, clear
from chainlang.store.journal import Journal
from chainlang.store.output import Output
from chainlang.store.retry_failed import REDRAWN, again, redrawn
from chainlang.store.safe_files import Folder

_RUN = "run"
OUTPUT, PART = "output", "part"
"""Notes in the journal with the state of the output: the latest, and that of the last full part."""

Inputs = Callable[[int], str]
"""Function that reads a number of rows of the input and returns their hash, as `read` does."""


def begun(
    root: Folder,
    identity: Mapping[str, Any],
    fresh: Output,
    inputs: Inputs | None,
    *,
    overwrite: bool,
    changed: bool,
    retry: bool,
    private: bool,
) -> tuple[Journal, Output]:
    """Return the journal of a run, and its output.

    The journal in the folder is resumed if it is that of the same run, or of any run with
    `changed`. The output of the same run is resumed, unless its files have changed since; else it
    is `fresh`, and the folder contains only the journal. With `retry` the failed rows are noted for
    resampling. A new journal is `private` to its owner. Raises `SourceError` otherwise, without
    removing anything.
    """
    if retry:
        hold_retryable(root, overwrite=overwrite)
    if overwrite or root.kind(JOURNAL) != "file":
        clear(root, overwrite=overwrite)
        journal = Journal.open(root, private=private)
        journal.save({_RUN: identity})
        return journal, fresh
    journal = Journal.open(root)
    try:
        before = journal.note(_RUN)
        if before is not None and not changed:  # None: it was interrupted before its start
            _hold_same(root.path, before, json.loads(json.dumps(identity)))
        output, files = fresh, None
        if inputs is not None and not changed:
            output, files = _left(journal, root, fresh)
        if files is None:
            # Before files are removed, so that a crash in between leaves no note about them.
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
    """Return the last noted output whose files are unchanged, with them; else a fresh output."""
    for name in (OUTPUT, PART):
        note = journal.note(name)
        output = Output.noted(root, note, fresh.stages) if note is not None else fresh
        files = output.kept() if note is not None and output.is_alike(fresh) else None
        if files is not None:
            return output, files
    return fresh, None


def hold_retryable(root: Folder, *, overwrite: bool) -> None:
    """Raise `SourceError` if the folder contains no run whose failed rows can be retried."""
    if overwrite or root.kind(JOURNAL) != "file":
        why = "no run to retry in this folder"
        if overwrite:
            why = "--overwrite would remove the run to retry"
        what = f"{root.path}: {why}"
        hint = "run without --retry-failed first, then retry the rows that failed"
        raise error_of("file", what, hint)


def _refuse_inputs(path: str, rows: int) -> NoReturn:
    what = f"{path}: the first {rows:,} rows of the input are not those that this run completed"
    hint = (
        "use the same input, to which rows may be added at the end; or resume although it changed, "
        "reusing identical samples: --changed, in Python changed=True"
    )
    raise error_of("file", what, hint)


def _hold_same(path: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `SourceError` with the differences between the run in a folder and a new one."""
    found = list(_differences("", before, now))
    if any(name == "chain" for name, _, _ in found):  # its plan differs because of it
        found = [one for one in found if one[0] != "plan"]
    if found:
        what = "; ".join(
            f"{name} was {shown(was, 200)} and is now {shown(is_now, 200)}"
            for name, was, is_now in found
        )
        raise error_of("file", f"{path}: this folder contains a different run: {what}", _ANOTHER)


_ANOTHER = """write the new run into another folder
or run the new chain here and reuse the samples that are the same: --changed, in Python changed=True
or delete the run in the folder: --overwrite, in Python overwrite=True"""


def _differences(
    above: str, before: Mapping[str, Any], now: Mapping[str, Any]
) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*before, *now]):
        was, is_now = before.get(name), now.get(name)
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            yield from _differences(f"{above}{name}.", was, is_now)
        elif was != is_now:
            yield f"{above}{name}", was, is_now
