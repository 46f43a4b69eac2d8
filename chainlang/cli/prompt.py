"""``chainlang prompt EXPR|FILE QUESTION``: print the prompts that a question makes."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.api.chain import Chain
from chainlang.cli.flags import add_allow, add_functions, examples
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.cli.row_fields import row_of


def add(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "prompt",
        help="print the prompt of a question, without a model",
        description="Print the messages of the first request that a question makes, and no model "
        "is loaded. With --all print those of all stages, after replies of a fake engine.",
        usage="%(prog)s EXPR|FILE QUESTION|NAME=VALUE... [options]",
        epilog=examples(
            "chainlang prompt 3:E 'What is 17 + 25?'",
            "chainlang prompt '3:E >> J' 'What is 17 + 25?' --all",
        ),
    )
    parser.add_argument(
        "chain", metavar="EXPR|FILE", help="a chain, a file ending in .chain, or - for stdin"
    )
    parser.add_argument("question", nargs="+", metavar="QUESTION", help="as in `chainlang ask`")
    parser.add_argument("--all", action="store_true", help="also those of later stages")
    add_functions(parser)
    add_allow(parser)
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the prompts."""
    chain, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned)
    emit(prompt_of(chain, row_of(options.question, chain), {}, every=options.all))
    return 0


def prompt_of(made: Chain, row: Any, settings: Mapping[str, Any], *, every: bool = False) -> str:
    """Return the messages of the first request of a row, or of all of them.

    The replies of earlier stages are those of a fake engine. Raises `RowError` for a row that makes
    no request.
    """
    from chainlang.engines.fake import FakeEngine
    from chainlang.errors import error_of
    from chainlang.protocol.messages import Request

    class Recorder(FakeEngine):
        seen: list[Request] = []  # noqa: RUF012  # one class for each call

        def submit(self, requests: Iterable[Request]) -> None:
            found = tuple(requests)
            self.seen += found
            super().submit(found)

    result = made(row, **settings, engine=Recorder(), on_error="collect")
    if not Recorder.seen:
        if result.failure is not None:
            raise result.failure.error()
        raise error_of("row", "this chain asks no model for that question")
    pages = []
    for request in Recorder.seen if every else Recorder.seen[:1]:
        lines = [f"[{one.role}]\n{one.text}" for one in request.messages]
        lines += [f"[assistant]\n{request.prefix}"] if request.prefix else []
        lines += [f"[schema]\n{request.schema}"] if request.schema else []
        pages.append(f"{request.count} × {request.model}\n\n" + "\n\n".join(lines))
    return "\n\n".join(pages)
