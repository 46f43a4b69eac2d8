"""Messages before a changed run in a folder: how it differs, and which samples it reuses."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from chainlang.plan.visit import calls, leaves
from chainlang.runtime.lookup import look_up
from chainlang.runtime.prepared import Prepared
from chainlang.session.rows import Rows
from chainlang.settings import WHOLE
from chainlang.store import RunFolder
from chainlang.store.identity import differences, text_difference
from chainlang.store.retry_failed import redrawn

_INDENT = "\n  "


def reused(folder: RunFolder, prepared: Prepared, rows: Rows) -> Iterator[str]:
    """Yield what differs from the run in the folder, and how many of its samples fit."""
    before, now = folder.replaced, folder.about.identity()
    if before is None:
        return
    if lines := text_difference(differences(before, now)):
        yield _INDENT.join(["the chain differs from that of the run in the folder:", *lines])
    there = len(folder.journal)
    if not there:
        return
    where = "the folder" if prepared.shard == WHOLE else f"shard {prepared.shard}"
    unknown = _unknown(prepared, rows)
    if unknown is not None:
        yield f"samples in {where}: {there:,}; {unknown}, so it is not known how many fit"
        return
    found = look_up(prepared, rows.ahead(), folder.journal, redrawn(folder.journal))
    several = len(list(islice(leaves(prepared.plan.root), 2))) > 1
    more = ", and what depends on them" if found.missing and several else ""
    yield (
        f"samples in {where}: {there:,}; {found.found:,} fit, "
        f"{found.missing:,} are sampled anew{more}"
    )


def _unknown(prepared: Prepared, rows: Rows) -> str | None:
    """Return why the samples can't be looked up before the run; None if they can."""
    if any(calls(prepared.plan.root)):  # a function may have effects
        return "the chain calls functions"
    return None if rows.can_repeat else "the rows can be read only once"
