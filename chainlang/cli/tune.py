"""``chainlang tune FAMILY -i rows``: the cheapest chain that is not worse than the best."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

from attrs import frozen

from chainlang.cli.evaluate import add_rows, add_scoring, rows_in, scoring_of
from chainlang.cli.flags import Command, add_allow, add_flags, add_functions, examples, given
from chainlang.cli.output import emit
from chainlang.cli.read_chain import read_chain
from chainlang.cli.sweep import text_of_family
from chainlang.diagnostics.render import shown
from chainlang.errors import error_of


@frozen
class Own:
    """A flag of this command alone, whose value is a number."""

    flag: str
    kind: Callable[[str], Any]
    metavar: str
    least: float
    below: float
    """The least number that is too large."""
    expected: str
    words: str
    is_open: bool = False
    """Whether the least number itself is too small."""

    @property
    def name(self) -> str:
        """Name of the keyword of `tune`."""
        return self.flag.removeprefix("--").replace("-", "_")

    def read(self, text: str) -> Any:
        """Return the number of a text. Raises `SettingError` for any other."""
        found = None
        with suppress(ValueError, ArithmeticError):
            found = self.kind(text)
        if found is None or not self.least <= found < self.below or (self.is_open and not found):
            message = f"invalid value for {self.flag}: {shown(text)}"
            raise error_of("setting", message, f"expected {self.expected}", subject=self.name)
        return found


OWN = (
    Own(
        "--budget", int, "TOKENS", 1, math.inf, "a number of tokens ≥ 1",
        "tokens to spend (default: 30 %% of all chains over all rows)",
    ),
    Own(
        "--budget-cost", Decimal, "DOLLARS", 0, 1e9, "a number of dollars > 0",
        "money to spend, where prices are known", is_open=True,
    ),
    Own(
        "--holdout", float, "SHARE", 0, 1, "a share of the rows: 0 ≤ SHARE < 1",
        "share of the rows that is held out (default: 0.3)",
    ),
    Own(
        "--margin", float, "SHARE", 0, 1, "a difference of shares: 0 ≤ SHARE < 1",
        "accuracy to give up for a cheaper chain (default: 0.02)",
    ),
    Own(
        "--batch", int, "ROWS", 1, math.inf, "a number of rows ≥ 1",
        "rows between two looks at the scores (default: 40)",
    ),
)  # fmt: skip


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "tune",
        help=about,
        description="Race the chains of a family over the same rows, under a budget of tokens. A "
        "chain that is shown to be worse than another leaves. The cheapest chain that is not worse "
        "than the best is chosen, and scored again on rows that were held out.",
        usage="%(prog)s FAMILY -i ROWS --target COLUMN [options]",
        epilog=examples(
            "chainlang tune '{1,3,5,9}:E:tiny:0.7 >> M' -i dev.csv --target sum --metric number",
            "chainlang tune '{1,9}:E:{a,b} >> {M, J:b}' -i dev.jsonl --target gold -o runs/tune",
        ),
    )
    parser.add_argument("family", metavar="FAMILY", help="a chain in quotes, with sets in braces")
    parser.add_argument(
        "--with",
        dest="beside",
        metavar="FILE",
        help="file ending in .chain whose ops, types and models the family uses",
    )
    add_rows(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="folder of its samples, to go on with"
    )
    add_scoring(parser, for_family=True)
    for one in OWN:
        parser.add_argument(one.flag, metavar=one.metavar, help=one.words)
    parser.add_argument("--json", action="store_true", help="print the table as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    from chainlang.settings import MapSettings

    add_flags(parser, MapSettings, without=("on_error", *_OF_CACHE))


_OF_CACHE = (
    "cache", "cache_folder", "cache_bytes", "cache_redis", "cache_seconds", "cache_shared_bytes",
    "store",
)  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Print what became of each chain, and the one that was chosen."""
    from chainlang.evaluation import family, tune
    from chainlang.settings import MapSettings

    if options.input is None:
        raise error_of("file", "no rows to run the chains over", "name them: -i ROWS")
    beside = None
    if options.beside is not None:
        beside = read_chain(options.beside, options.functions, options.allow)[0]
    scoring = scoring_of(options)
    texts = ((one, getattr(options, one.name)) for one in OWN)
    settings: dict[str, Any] = {one.name: one.read(text) for one, text in texts if text is not None}
    settings |= {"metric": scoring["metric"], "target": options.target, "answer": options.answer}
    made = family(text_of_family(options.family), beside)
    found = tune(
        made, rows_in(options), out=options.output, **settings, **given(options, MapSettings)
    )
    emit(json.dumps(found.to_dicts(), indent=2, ensure_ascii=False) if options.json else str(found))
    return 0
