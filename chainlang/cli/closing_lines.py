"""Last lines of a run in a shell: its counts, and where the rest is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import asdict

from chainlang.cli import interrupt
from chainlang.cli.output import counted, log, say
from chainlang.protocol.price import dollars, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from chainlang.protocol.messages import Usage
    from chainlang.session.summary import Summary

STOPPED = 3
"""Exit status of a run that stopped before its last row."""


def log_summary(summary: Summary, shown_rows: int, status: int) -> None:
    """Write the summary of a run as a line of JSON; of its failed rows some were shown."""
    names = {0: "complete", 1: "complete", STOPPED: "stopped", interrupt.STATUS: "interrupted"}
    fields = asdict(summary) | {"shown_failures": shown_rows}
    if summary.costs is None:
        del fields["costs"]
    log("summary", status=names[status], exit_status=status, **fields)


def say_summary(summary: Summary, shown_rows: int, status: int) -> None:
    """Write the last lines of a run; of its failed rows some were shown."""
    more = summary.failed - shown_rows
    if shown_rows and more:
        say(f"and {counted(more, 'more row')} failed\n")
    for line in closing_lines(summary, status):
        say(line)


def closing_lines(summary: Summary, status: int) -> Iterator[str]:
    """Yield the last lines of a run, with its exit status: its counts, and where the rest is."""
    usage = summary.usage
    begin = {interrupt.STATUS: "interrupted: ", STOPPED: "stopped: "}.get(status, "")
    yield (
        f"{begin}{counted(summary.rows, 'row')}, {summary.failed:,} failed, "
        f"{counted(usage.calls, 'call')}, {counted(usage.prompt_tokens, 'prompt token')} "
        f"({usage.cached_tokens:,} cached), {counted(usage.output_tokens, 'output token')}, "
        f"{_cost(summary)}{summary.seconds:.1f} s"
    )
    yield f"results: {summary.folder / 'flattened'}"
    for what, usages in (("model", summary.by_model), ("stage", summary.by_stage)):
        if len(usages) > 1:
            yield f"by {what}: {_usages(usages)}"
    if summary.distinct < summary.rows:
        rows = f"{counted(summary.rows, 'row')}, {summary.distinct:,} distinct"
        yield f"{rows}: equal rows share their samples; give them ids to sample each"
    if begin:
        yield "to resume, run the same command again"
    if summary.recorded:
        rest = f"; {summary.resumed}" if summary.resumed else ""
        yield f"from the journal: {counted(summary.recorded, 'sample')}{rest}"
    if summary.waited:
        yield f"waited for the database of the journal: {summary.waited:.1f} s"
    if summary.loads > 1:
        yield f"models were loaded {summary.loads:,} times"
    if summary.cached:
        yield f"from the cache: {counted(summary.cached, 'sample')}"
    if summary.events:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in sorted(summary.events.items()))
        yield f"events: {counts}; see {summary.folder / 'events.jsonl'}"
    if summary.left_out:
        fields = ", ".join(sorted(summary.left_out))
        yield f"left out of the tables, since JSON can't hold them: {fields}"
    if summary.failed:
        again = "; to retry these rows: --retry-failed"
        yield f"failures: {summary.folder / 'errors.jsonl'}{again}"
    if summary.costs:
        yield f"\n{summary.costs}"


def _cost(summary: Summary) -> str:
    """Return the cost of a run; nothing if no model has a price."""
    if summary.cost is not None:
        return f"{dollars(summary.cost)}, " if summary.usage.calls else ""
    known = {name: cost for name, cost in summary.cost_by_model.items() if cost is not None}
    if not known:
        return ""
    unknown = ", ".join(sorted(summary.cost_by_model.keys() - known.keys()))
    return f"at least {dollars(total(known))} (the price of {unknown} is not known), "


def _usages(usages: Mapping[str, Usage]) -> str:
    return "; ".join(
        f"{name} {counted(one.calls, 'call')}, {counted(one.prompt_tokens, 'prompt token')}, "
        f"{counted(one.output_tokens, 'output token')}"
        + ("" if one.cost is None else f", {dollars(one.cost)}")
        for name, one in usages.items()
    )
