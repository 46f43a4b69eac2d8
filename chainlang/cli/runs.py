"""``chainlang runs list|show|compare|resume``: what is in run folders."""

from __future__ import annotations

import argparse
import json
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

from chainlang.api.chain import Chain
from chainlang.cli import run as run_command
from chainlang.cli.flags import Command, add_flags, add_functions, examples
from chainlang.cli.observed import add_metrics_port, add_trace_endpoint
from chainlang.cli.output import counted, emit
from chainlang.cli.read_chain import bind_file
from chainlang.cli.run_facts import answers_of, checked, facts_of, listed
from chainlang.protocol.messages import Usage
from chainlang.protocol.price import dollars
from chainlang.scale.progress import ShardProgress, progress_of
from chainlang.scale.shard_runs import shard_folders
from chainlang.semantics.functions_file import read_functions
from chainlang.settings import Shard
from chainlang.store.stored_results import is_run, no_run

_SHOWN = 10  # rows that differ


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "runs",
        help=about,
        description="List, show, compare and resume run folders.",
        epilog=examples(
            "chainlang runs list",
            "chainlang runs show runs/a",
            "chainlang runs compare runs/a runs/b",
            "chainlang runs resume runs/a -i rows.csv",
        ),
    )
    own = parser.add_subparsers(required=True, metavar="COMMAND", parser_class=Command)
    one = own.add_parser("list", help="list the run folders below a folder")
    one.add_argument("folder", nargs="?", type=Path, default=Path("runs"), metavar="FOLDER")
    one.set_defaults(run=list_runs)
    two = own.add_parser("show", help="show what a run has done")
    two.add_argument("folder", type=Path, metavar="FOLDER")
    two.set_defaults(run=show)
    three = own.add_parser("compare", help="show the rows whose answers differ in two runs")
    three.add_argument("folder", type=Path, metavar="FOLDER")
    three.add_argument("other", type=Path, metavar="OTHER")
    three.set_defaults(run=compare)
    for each in (one, two, three):
        each.add_argument("--json", action="store_true", help="print JSON")
        each.set_defaults(prints=True)
    four = own.add_parser(
        "resume",
        help="go on with a run: its chain is in the folder",
        usage="%(prog)s FOLDER -i ROWS [options]",
        description="Go on with a run. Its chain is in the folder; its rows are not, nor are the "
        "settings that it was started with. If one differs, nothing is run.",
    )
    four.add_argument("output", type=Path, metavar="FOLDER")
    four.add_argument("-i", "--input", required=True, type=Path, nargs="+", metavar="ROWS")
    four.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    add_functions(four)
    four.complete = _complete
    add_metrics_port(four)
    add_trace_endpoint(four)
    four.set_defaults(run=resume, log_format="text", is_kept=True, chain="")


def _complete(parser: Command) -> None:
    from chainlang.settings import RunSettings

    add_flags(parser, RunSettings)


def list_runs(options: argparse.Namespace) -> int:
    """Print a line for each run folder."""
    root: Path = options.folder
    if not root.is_dir():
        raise no_run(root, "no such folder")
    found = [listed(one.parent) for one in sorted(root.glob("**/graph.json"))]
    if options.json:
        emit(json.dumps(found, indent=2))
        return 0
    for one in found:
        rows = one["rows"] or {}
        counts = f"{rows.get('read', 0):,} rows, {rows.get('failed', 0):,} failed"
        emit(f"{one['folder']}  {one['status']}  {counts if rows else ''}".rstrip())
        emit(f"    {one['stopped'] if one['chain'] is None else _short(one['chain'])}")
    if not found:
        emit(f"no run folder below {root}")
    return 0


def show(options: argparse.Namespace) -> int:
    """Print what a run has done."""
    if not is_run(options.folder) and (folders := shard_folders(options.folder)):
        _show_shards(options.folder, progress_of(folders), as_json=options.json)
        return 0
    found = facts_of(checked(options.folder))
    if options.json:
        emit(json.dumps(found, indent=2))
        return 0
    emit(found["chain"].strip())
    emit("")
    emit(f"status   {found['status']}" + (f": {found['stopped']}" if found["stopped"] else ""))
    if found["rows"]:
        rows, done = found["rows"], "read" if found["seconds"] is not None else "written so far"
        emit(f"rows     {rows['read']:,} {done}, {rows['failed']:,} failed")
    if found["usage"]:
        usage = found["usage"]
        prompts, replies = usage["prompt_tokens"], usage["output_tokens"]
        emit(f"usage    {counted(usage['calls'], 'call')}, {prompts:,} + {replies:,} tokens")
        costs = {name: cost and Decimal(cost) for name, cost in found["cost_by_model"].items()}
        for name, cost in costs.items() if any(costs.values()) else ():
            emit(f"cost     {name}: {dollars(cost)}")
        if found["seconds"] is not None:
            emit(f"time     {found['seconds']:,.1f} s, started {found['started']}")
    if found["events"]:
        events = ", ".join(f"{count:,} {kind}" for kind, count in found["events"].items())
        emit(f"events   {events}")
    for model in found["models"]:
        emit(f"model    {model}")
    if found["samples"]:
        emit(f"journal  {counted(found['samples'], 'sample')}, which are not asked for again")
    if found["status"] != "complete":
        again = f"chainlang runs resume {options.folder} -i ROWS"
        emit(f"to go on, run the same command again, or {again}")
    elif found["rows"] and found["rows"]["failed"]:
        emit("to retry the rows that failed, run the same command with --retry-failed")
    return 0


def _show_shards(folder: Path, shards: list[ShardProgress], *, as_json: bool) -> None:
    """Print how far the shards of a run are, each and together."""
    usage = Usage.total(one.usage for one in shards)
    rows, failed = sum(one.rows for one in shards), sum(one.failed for one in shards)
    if as_json:
        each = [
            {"shard": str(one.shard), "status": one.status, "rows": one.rows, "failed": one.failed}
            for one in shards
        ]
        whole = {"folder": str(folder), "rows": {"read": rows, "failed": failed}}
        emit(json.dumps({**whole, "usage": usage.as_json(), "shards": each}, indent=2))
        return
    for status, several in groupby(sorted(shards, key=lambda one: one.status), _status):
        group = [*several]
        names = ", ".join(str(one.shard) for one in group[:_SHOWN])
        names += ", ..." if len(group) > _SHOWN else ""
        done = sum(one.rows for one in group)
        emit(f"{counted(len(group), 'shard')} {status}: {counted(done, 'row')} ({names})")
    emit("")
    emit(f"rows     {rows:,} written, {failed:,} failed")
    calls, prompts = counted(usage.calls, "call"), usage.prompt_tokens
    emit(f"usage    {calls}, {prompts:,} + {usage.output_tokens:,} tokens")
    if all(one.status == "complete" for one in shards):
        emit(f"to make one folder: chainlang merge {folder}")


def _status(one: ShardProgress) -> str:
    return one.status


def compare(options: argparse.Namespace) -> int:
    """Print the rows whose answers differ; return 1 if there are some."""
    first, second = (answers_of(checked(one)) for one in (options.folder, options.other))
    both = [one for one in first if one in second]
    differing = [one for one in both if first[one] != second[one]]
    found = {
        "rows": len(both),
        "equal": len(both) - len(differing),
        "only_in_first": len(first) - len(both),
        "only_in_second": len(second) - len(both),
        "differing": [{"id": one, "first": first[one], "second": second[one]} for one in differing],
    }
    if options.json:
        emit(json.dumps(found, indent=2, ensure_ascii=False))
        return int(bool(differing))
    emit(
        f"{counted(len(both), 'row')} in both: {found['equal']:,} equal, {len(differing):,} differ"
    )
    for name, where in (("only_in_first", options.folder), ("only_in_second", options.other)):
        if found[name]:
            emit(f"{found[name]:,} only in {where}")
    for one in differing[:_SHOWN]:
        emit(f"{one}: {_short(first[one])} | {_short(second[one])}")
    if len(differing) > _SHOWN:
        emit(f"and {counted(len(differing) - _SHOWN, 'more row')}")
    return int(bool(differing))


def resume(options: argparse.Namespace) -> int:
    """Run the chain of a folder over its rows again; what is recorded is not run again."""
    if options.shard is None and (shard := Shard.named(options.output.resolve().name)):
        options.shard = str(shard)
    text = (checked(options.output) / "graph.json").read_text(encoding="utf-8")
    chain = Chain.from_json(text)
    if options.functions is not None:
        chain = bind_file(chain, read_functions(options.functions))
    return run_command.run_chain(chain, options)


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= 60 else one_line[:59] + "…"
