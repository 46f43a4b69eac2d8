"""Beginning a run in a folder: a new one, or the one that the folder holds, gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from chainlang.diagnostics import Diagnostic
from chainlang.errors import SourceError
from chainlang.report import shown
from chainlang.store.clear import JOURNAL, clear
from chainlang.store.files import Folder
from chainlang.store.journal import Journal

_RUN = "run"


def begun(root: Folder, identity: Mapping[str, Any], *, overwrite: bool, changed: bool) -> Journal:
    """Return the journal of a run; its folder holds nothing else afterwards.

    The journal of the run that the folder holds is gone on with, if that is the same run or
    `changed` allows that it is another. Raises `SourceError` otherwise, and has removed nothing.
    """
    if overwrite or root.kind(JOURNAL) != "file":
        clear(root, overwrite=overwrite)
        journal = Journal.open(root)
    else:
        journal = Journal.open(root)
        try:
            before = journal.note(_RUN)
            if before is not None and not changed:  # none: it ended before it began
                _hold_same(root.path, before, json.loads(json.dumps(identity)))
            clear(root, overwrite=True, keep_journal=True)
        except BaseException:
            journal.close()
            raise
    journal.save({_RUN: identity})
    return journal


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
