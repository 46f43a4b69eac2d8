"""``chainlang ask EXPR|FILE QUESTION``: run a chain on one question and print its answer."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

from chainlang.cli.flags import Command, add_allow, add_flags, add_functions, given
from chainlang.cli.output import emit, report, say
from chainlang.cli.read_chain import read_chain
from chainlang.errors import RowError
from chainlang.semantics.record import below
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
    add_functions(parser)
    add_allow(parser)
    parser.add_argument(
        "--raw", action="store_true", help="print the answer as it is on a terminal, too"
    )
    parser.complete = _complete
    parser.set_defaults(run=run, prints=True)


def _complete(parser: Command) -> None:
    """Add the settings of a call, without those of the output and of failed rows."""
    from chainlang.settings import CallSettings

    add_flags(parser, CallSettings, without=("on_error", "outputs"))


def run(options: argparse.Namespace) -> int:
    """Print the answer; return 1 if the row failed."""
    chain, warned = read_chain(options.chain, options.functions, options.allow)
    if not options.json:
        report(warned)
    from chainlang.settings import CallSettings

    try:
        result = chain(
            options.question,
            **given(options, CallSettings),
            on_error="collect",
            progress=_print_progress,
        )
        if options.json and (result.ok or result.branches):
            emit(json.dumps(_plain(result), indent=2))
            return int(not result.ok)
        if not result.branches:
            emit(_text(result.answer), raw=options.raw)
            return 0
    except RowError as error:
        report(error.diagnostics, as_json=options.json)
        return 1
    for name, branch in _leaves(result):
        if branch.failure is None:
            emit(f"{name}: {_text(branch.answer)}", raw=options.raw)
        else:
            report(branch.failure.error().diagnostics)
    return int(not result.ok)


def _leaves(result: Result, path: str = "") -> Iterator[tuple[str, Result]]:
    """Yield the results of all branches, failed or not, by their paths."""
    for name, branch in result.branches.items():
        yield from _leaves(branch, below(path, name))
    if not result.branches:
        yield path, result


def _print_progress(message: str) -> None:
    say(message)


def _text(answer: Any) -> str:
    return answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)


def _plain(result: Result) -> dict[str, Any]:
    """Return a result as JSON values."""
    if result.branches:
        branches = {name: _plain(branch) for name, branch in result.branches.items()}
        return {"branches": branches}
    if result.failure is not None:
        failure = result.failure
        why = {"stage": failure.stage, "cause": failure.cause, "message": failure.message}
        return {"failure": why}
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
