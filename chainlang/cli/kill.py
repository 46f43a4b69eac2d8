"""``chainlang kill [MODEL]``: end the servers of warm models."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from chainlang.cli.flags import examples
from chainlang.cli.output import counted, emit
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.ready.control import Ready


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "kill",
        help=about,
        description="End the servers of `chainlang warmup`, with all of their processes; with the "
        "last one the process that is ready for `chainlang ask`, once it runs no command.",
        usage="%(prog)s [MODEL] [options]",
        epilog=examples("chainlang kill", "chainlang kill tiny"),
    )
    parser.add_argument(
        "model", nargs="?", metavar="MODEL", help="the model to end, whatever its settings; "
        "default: all",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print what has ended as JSON")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """End the servers and print which."""
    from chainlang.diagnostics.suggest import suggest
    from chainlang.store.warm_models import warm_models

    there = list(warm_models())
    found = [one for one in there if options.model in (None, one.shown, one.model)]
    if options.model is not None and not found:
        known = list(dict.fromkeys(one.shown for one in there))
        hint = suggest(options.model, known, None)
        hint = hint or (f"warm are: {', '.join(known)}" if known else "none is: chainlang warmup")
        raise error_of("engine", f"the model {options.model!r} is not warm", hint, kind="model")
    ended = []
    for one in found:
        try:
            ended.append((one, one.end()))
        except TimeoutError as error:
            raise error_of("engine", f"the server of {one.shown} can't be ended: {error}") from None
    ready = end_ready() if next(warm_models(), None) is None else []
    if options.json:
        shown = [{"model": one.shown, "pid": one.pid, "processes": count} for one, count in ended]
        emit(json.dumps([*shown, *({"command": "ask", "pid": one.pid} for one in ready)], indent=2))
        return 0
    for one, count in ended:
        what = counted(count, "process").replace("processs", "processes")
        emit(f"ended {one.shown}: {what}" if count else f"{one.shown} had ended already")
    for process in ready:
        runs = {0: "", 1: " with the command that it runs"}.get(process.running or 0)
        runs = f" with the {process.running} commands that it runs" if runs is None else runs
        emit(f"the ready process {process.pid} ends{runs}")
    if not (ended or ready):
        emit("no model is warm")
    return 0


def end_ready() -> list[Ready]:
    """End the ready processes of this user, and return them."""
    if sys.platform != "linux":  # there are none
        return []
    from chainlang.ready.control import end, ready_processes

    found = list(ready_processes())
    for one in found:
        end(one)
    return found
