"""Approval of the tools that servers have: what is new or changed, and the lock file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from chainlang.engines.mcp.pins import Approved, differences, read_lock, write_lock
from chainlang.ir.declarations import Item
from chainlang.ir.tools import servers
from chainlang.models.open_engines import arguments_of
from chainlang.models.tool_servers import engine_of, whole_arguments
from chainlang.settings import RowSettings


@frozen
class Change:
    """The tools of a server as they are now, beside those that were approved."""

    name: str
    lock: Path
    now: Approved
    differences: tuple[str, ...]
    """Lines that are safe to print: the new, changed and missing tools; at first all of them."""


def changes(items: Iterable[Item], settings: RowSettings) -> Iterator[Change]:
    """Start or reach each server of some items, and yield it if it is not as it was approved.

    Raises `EngineError` for one that can't be reached, and for a damaged lock file.
    """
    for server in servers(tuple(items)).values():
        arguments = whole_arguments(server, arguments_of(server), settings)
        engine = engine_of(server, arguments)
        try:
            now = Approved(engine.start, engine.tools())
        finally:
            engine.close()
        lock = Path(arguments["lock"])
        before = read_lock(lock).get(server.name, Approved({}))
        if found := tuple(differences(server.name, before, now)):
            yield Change(server.name, lock, now, found)


def approve(change: Change) -> None:
    """Write the tools of a server as they are now into its lock file."""
    write_lock(change.lock, {**read_lock(change.lock), change.name: change.now})
