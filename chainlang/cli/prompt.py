"""``chainlang prompt EXPR|FILE QUESTION``: print the prompts that a question makes."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.api.chain import Chain
from chainlang.cli.flags import add_allow, add_chain, add_functions, examples
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.cli.row_fields import row_of
from chainlang.protocol.messages import Request


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "prompt",
        help=about,
        description="Print the messages of the first request that a question makes, and no model "
        "is loaded. With --all print those of all stages, after replies of a fake engine.",
        usage="%(prog)s EXPR|FILE QUESTION|NAME=VALUE... [options]",
        epilog=examples(
            "chainlang prompt 3:E 'What is 17 + 25?'",
            "chainlang prompt '3:E >> J' 'What is 17 + 25?' --all",
        ),
    )
    add_chain(parser)
    parser.add_argument("question", nargs="+", metavar="QUESTION", help="as in `chainlang ask`")
    parser.add_argument("--all", action="store_true", help="also those of later stages")
    parser.add_argument("--json", action="store_true", help="print the requests as JSON")
    add_functions(parser)
    add_allow(parser)
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the prompts."""
    chain, warned = read_chain(options.chain, options.functions, options.allow)
    report(warned)
    found = requests_of(chain, row_of(options.question, chain), {})
    asked = found if options.all else found[:1]
    if options.json:
        emit(json.dumps([_plain(one) for one in asked], indent=2))
    else:
        emit("\n\n".join(map(page_of, asked)))
    return 0


def requests_of(made: Chain, row: Any, settings: Mapping[str, Any]) -> tuple[Request, ...]:
    """Return the requests of a row, where the replies of earlier stages are a fake engine's.

    Raises `RowError` for a row that makes none.
    """
    from chainlang.engines.fake import FakeEngine
    from chainlang.errors import error_of

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
    return tuple(Recorder.seen)


def page_of(request: Request) -> str:
    """Return the messages of a request as a page."""
    lines = [f"[{one.role}]\n{one.text}" for one in request.messages]
    lines += [f"[assistant]\n{request.prefix}"] if request.prefix else []
    lines += [f"[schema]\n{request.schema}"] if request.schema else []
    return f"{request.count} × {request.model}\n\n" + "\n\n".join(lines)


def _plain(request: Request) -> dict[str, Any]:
    return {
        "model": request.model,
        "count": request.count,
        "messages": [{"role": one.role, "content": one.text} for one in request.messages],
        "prefix": request.prefix or None,
        "schema": None if request.schema is None else json.loads(request.schema),
    }
