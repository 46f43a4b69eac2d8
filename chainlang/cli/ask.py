"""``chainlang ask EXPR|FILE QUESTION``: run a chain on one question and print its answer."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from chainlang.cli.flags import Command, add_flags, given
from chainlang.cli.output import report
from chainlang.cli.read_chain import read_chain
from chainlang.errors import RowError
from chainlang.session.result import Result


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "ask",
        help="run a chain on one question",
        description="Run a chain on one question, and print its answer.",
        usage="%(prog)s EXPR|FILE QUESTION [options]",
    )
    parser.add_argument("chain", metavar="EXPR|FILE", help="a chain, or a file ending in .chain")
    parser.add_argument("question", metavar="QUESTION", help="the query of the row")
    parser.add_argument("--json", action="store_true", help="print the whole result as JSON")
    parser.complete = _complete
    parser.set_defaults(run=run)


def _complete(parser: Command) -> None:
    """Add the settings of a call, without those of the output and of failed rows."""
    from chainlang.settings import CallSettings

    add_flags(parser, CallSettings, without=("on_error", "outputs"))


def run(options: argparse.Namespace) -> int:
    """Print the answer; return 1 if the row failed."""
    chain, warned = read_chain(options.chain)
    if not options.json:
        report(warned)
    from chainlang.settings import CallSettings

    try:
        result = chain(options.question, **given(options, CallSettings), progress=_print_progress)
    except RowError as error:
        report(error.diagnostics, as_json=options.json)
        return 1
    if options.json:
        print(json.dumps(_plain(result), indent=2))
    elif result.branches:
        for name, branch in result.branches.items():
            print(f"{name}: {_text(branch.answer)}")
    else:
        print(_text(result.answer))
    return 0


def _print_progress(message: str) -> None:
    print(message, file=sys.stderr)


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _plain(result: Result) -> dict[str, Any]:
    """Return a result as JSON values."""
    if result.branches:
        branches = {name: _plain(branch) for name, branch in result.branches.items()}
        return {"branches": branches}
    found = [
        {
            "answer": one.answer,
            "fields": dict(one.fields),
            "text": one.text,
            "reasoning": one.reasoning or None,
            "finish": one.finish,
            "logprob": one.logprob,
        }
        for one in result.candidates
    ]
    usage = {
        "calls": result.usage.calls,
        "prompt_tokens": result.usage.prompt_tokens,
        "cached_tokens": result.usage.cached_tokens,
        "output_tokens": result.usage.output_tokens,
    }
    return {"answer": result.answer, "candidates": found, "usage": usage}
