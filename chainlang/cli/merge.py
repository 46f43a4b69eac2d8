"""``chainlang merge FOLDER``: one run folder of the folders of all shards."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from chainlang.cli.closing_lines import closing_lines
from chainlang.cli.flags import examples
from chainlang.cli.output import say


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "merge",
        help=about,
        description="Make one run folder of all shards of a run. It has the files of one run over "
        "the whole input, and resumes as one. The folders of the shards stay as they are.",
        usage="%(prog)s FOLDER... [-o FOLDER] [options]",
        epilog=examples(
            "chainlang run '9:E >> M' -i questions.jsonl -o runs/a --shard 1/2",
            "chainlang run '9:E >> M' -i questions.jsonl -o runs/a --shard 2/2",
            "chainlang merge runs/a",
            "chainlang merge /disk1/shard-0001-of-0002 /disk2/shard-0002-of-0002 -o runs/b",
        ),
    )
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="the folder with the folders of all shards; or each folder of a shard",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="folder of the merged run; default: the one folder that has all shards",
    )
    parser.add_argument(
        "--format",
        choices=("jsonl", "csv", "parquet"),
        default="jsonl",
        help="file format of the tables (default: jsonl)",
    )
    parser.add_argument(
        "--part-rows",
        type=int,
        default=10_000,
        metavar="N",
        help="number of input rows in each file of a table (default: 10000)",
    )
    parser.add_argument(
        "--escape-formulas",
        action="store_true",
        help="put an apostrophe before texts in CSV that a spreadsheet would compute",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace another run in the folder"
    )
    parser.add_argument(
        "--store",
        metavar='env("NAME")',
        help="database that has the journals of the shards, as of their runs",
    )
    parser.add_argument("--json", action="store_true", help="write errors as JSON to stdout")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Merge the shards; return 1 if rows of them failed, as their run did."""
    from chainlang.scale import merge  # 200 ms that other commands do not need

    several: list[Path] = options.folders
    summary = merge(
        several[0] if len(several) == 1 else several,
        options.output,
        format=options.format,
        part_rows=options.part_rows,
        escape_formulas=options.escape_formulas,
        overwrite=options.overwrite,
        store=options.store,
    )
    for line in closing_lines(summary, 0):
        say(line)
    return int(summary.failed > 0)
