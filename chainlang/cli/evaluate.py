"""``chainlang eval EXPR|FILE|FOLDER``: score the answers of a chain, or of a run."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chainlang.cli.flags import (
    Command,
    add_allow,
    add_flags,
    add_functions,
    examples,
    given,
)
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.evaluation.evaluation import Evaluation

WORSE_THAN_ASKED = 1
"""Exit status of an evaluation below the accuracy that was asked for."""


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "eval",
        help=about,
        description="Run a chain over rows and score its answers by a column of targets, or score "
        "a run that is finished. The accuracy has an interval of 95 %; failed rows and answers "
        "that can't be read are counted apart, as wrong.",
        usage="%(prog)s EXPR|FILE -i ROWS --target COLUMN [options]\n"
        "       %(prog)s RUN --target COLUMN [options]",
        epilog=examples(
            "chainlang eval '9:E >> M' -i test.csv --target sum --metric number",
            "chainlang eval qa.chain -i test.jsonl --target gold -o runs/a --group topic",
            "chainlang eval runs/a --target gold --metric text",
        ),
    )
    parser.add_argument(
        "chain",
        metavar="EXPR|FILE|RUN",
        help="a chain in quotes, a file ending in .chain, or the folder of a finished run",
    )
    add_rows(parser)
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FOLDER", help="run folder, created or resumed"
    )
    parser.add_argument(
        "--at-least",
        type=_share,
        metavar="SHARE",
        help="exit with 1 if the accuracy is below this share, such as 0.8",
    )
    add_scoring(parser)
    parser.add_argument("--json", action="store_true", help="print the evaluation as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def add_rows(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the rows."""
    parser.add_argument(
        "-i",
        "--input",
        type=Path,
        nargs="+",
        metavar="ROWS",
        help="files or folders of rows with their targets: .jsonl, .csv, .tsv or .parquet",
    )


def add_scoring(parser: argparse.ArgumentParser, *, for_family: bool = False) -> None:
    """Add the flags that say how answers are scored."""
    parser.add_argument(
        "--target",
        default="answer",
        metavar="COLUMN",
        help="column with the right answers (default: answer)",
    )
    parser.add_argument(
        "--metric",
        default="exact",
        metavar="NAME",
        help="exact, text, number, choice, contains, f1, regex:PATTERN, code or pass@K (the "
        "target has the tests; :bwrap after it names the sandbox), @name of --functions, or a "
        "file ending in .chain that judges `reply` by `target` (default: exact)",
    )
    parser.add_argument("--answer", default="answer", metavar="OUTPUT", help="output to score")
    if for_family:
        return
    parser.add_argument("--group", metavar="COLUMN", help="column to show accuracies by")
    parser.add_argument(
        "--cluster", metavar="COLUMN", help="column whose equal values mark dependent rows"
    )


def _complete(parser: Command) -> None:
    from chainlang.settings import RunSettings

    add_flags(parser, RunSettings, without=("on_error",))


def run(options: argparse.Namespace) -> int:
    """Print the evaluation; return 1 if it is below --at-least."""
    from chainlang.evaluation import Judge, evaluate, score_run
    from chainlang.settings import MapSettings
    from chainlang.store.stored_results import is_run

    scoring = scoring_of(options)
    folder = Path(options.chain)
    if options.input is None:
        if not folder.is_dir():
            raise error_of("file", "no rows to run the chain over", "name them: -i ROWS")
        is_judged = isinstance(scoring["metric"], Judge)
        refuse_unused(options, {} if is_judged else given_by_hand(options), "nothing is run")
        settings = given(options, MapSettings) if is_judged else {}
        found = score_run(folder, **scoring, **settings)
    else:
        if is_run(folder):
            what = f"{folder} is a folder of a run, which has its rows"
            raise error_of("file", what, "leave -i out, or name a chain")
        chain, warned = read_chain(options.chain, options.functions, options.allow)
        report(warned)
        settings = {"progress": True, **given_for(options)}
        found = evaluate(chain, rows_in(options), out=options.output, **scoring, **settings)
    emit(json.dumps(_plain(found), indent=2, ensure_ascii=False) if options.json else str(found))
    if found.folder is not None and not options.json:
        emit(f"  scores: {found.folder / 'scores.jsonl'}")
    least = options.at_least
    return WORSE_THAN_ASKED if least is not None and found.accuracy < least else 0


def _share(text: str) -> float:
    """Return a share from 0 to 1. Raises `ArgumentTypeError` for any other text."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share from 0 to 1, such as 0.8")
    return found


def given_by_hand(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that flags give, without the one that is on in every command."""
    from chainlang.settings import RunSettings

    return {name: one for name, one in given(options, RunSettings).items() if name != "use_warm"}


def given_for(options: argparse.Namespace) -> dict[str, Any]:
    """Return the settings of a run into -o, or of none. Raises for those that only a run has."""
    from chainlang.settings import MapSettings, RunSettings

    if options.output is not None:
        return given(options, RunSettings)
    found = given(options, MapSettings)
    for name in sorted(RunSettings.names() - MapSettings.names()):
        if getattr(options, name, None) is not None:
            flag = f"--{name.replace('_', '-')}"
            message = f"{flag} is for a run folder, and there is none"
            raise error_of("setting", message, f"name one: -o FOLDER; or leave {flag} out")
    return found


def refuse_unused(options: argparse.Namespace, settings: Iterable[str], why: str) -> None:
    """Raise `SettingError` for -o and flags of settings that would have no effect."""
    flags = ["-o"] if options.output is not None else []
    flags += (f"--{name.replace('_', '-')}" for name in settings)
    if flags:
        raise error_of("setting", f"{', '.join(flags)} would have no effect: {why}")


def rows_in(options: argparse.Namespace) -> Any:
    """Return the source of rows that -i names."""
    return options.input if len(options.input) > 1 else options.input[0]


def scoring_of(options: argparse.Namespace) -> dict[str, Any]:
    """Return the arguments of `evaluate` that the flags of scoring give."""
    metric: Any = options.metric
    if metric.startswith("@"):
        metric = _function(metric[1:], options.functions)
    elif metric.endswith(".chain"):
        from chainlang.evaluation import Judge

        metric = Judge(read_chain(metric, options.functions, options.allow)[0])
    names = ("target", "answer", "group", "cluster")
    return {"metric": metric} | {name: getattr(options, name, None) for name in names}


def _function(name: str, file: Path | None) -> Any:
    """Return a function of the file of --functions."""
    from chainlang.diagnostics.suggest import suggest
    from chainlang.semantics.functions_file import read_functions

    if file is None:
        raise error_of("file", f"the metric @{name} is a function", "name its file: --functions")
    found = read_functions(file).public
    if name not in found:
        raise error_of("file", f"{file} has no function {name}", suggest(name, found))
    return found[name]


def _plain(found: Evaluation) -> dict[str, Any]:
    """Return an evaluation as JSON values."""
    from attrs import asdict

    return {
        "chain": found.name,
        "metric": found.metric,
        "rows": found.rows,
        "accuracy": found.accuracy,
        "interval": found.interval,
        "outcomes": dict(found.counts),
        "groups": {name: asdict(one) for name, one in found.groups.items()},
        "usage": found.usage.as_json(),
        "scores": None if found.folder is None else str(found.folder / "scores.jsonl"),
    }
