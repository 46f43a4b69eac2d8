"""``chainlang serve EXPR|FILE``: serve chains as models of an HTTP server."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from chainlang.cli.flags import (
    Command,
    add_allow,
    add_flags,
    add_functions,
    examples,
    given,
)
from chainlang.cli.missing import missing
from chainlang.cli.observed import add_trace_endpoint, traced
from chainlang.cli.output import report, say
from chainlang.cli.read_chain import model_name, read_chain
from chainlang.errors import error_of

if TYPE_CHECKING:
    from chainlang.api.chain import Chain
    from chainlang.serving import Key

_BOUNDS = {
    "rate": ("N", "requests a minute", float),
    "burst": ("N", "requests at once; default: those of a second", int),
    "budget_tokens": ("N", "tokens of prompts and replies until the server ends", int),
    "budget_cost": ("DOLLARS", "cost until the server ends; each model needs a price", float),
    "offered": ("NAMES", "names of models that are offered, with commas between them", str),
}  # fmt: skip
"""Bounds of callers: the metavar of each, what it bounds, and its type."""
_OFFERED = "unused-definition"
"""Warning that does not hold here: each definition is offered."""


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "serve",
        help=about,
        description="Serve chains as models, for clients of OpenAI's API: chat completions, whole "
        "and streamed. A file offers its main under its own name, and its definitions behind it.",
        usage="%(prog)s EXPR|FILE... [options]",
        epilog=examples(
            "chainlang serve reviews.chain",
            "chainlang serve qa.chain --key me=env:CHAINLANG_KEY --host 0.0.0.0",
            "chainlang serve qa.chain --key a=env:KEY_A --key b=env:KEY_B --rate a=60 --rate b=600",
        ),
    )
    parser.add_argument(
        "chain",
        nargs="+",
        metavar="EXPR|FILE",
        help="a chain in quotes, or files ending in .chain",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address; any that other machines reach needs a key"
    )
    parser.add_argument(
        "--port", type=int, default=8000, metavar="N", help="default: 8000; 0 is any free one"
    )
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="NAME=env:VARIABLE",
        help="a caller, and the environment variable with its key; one flag for each",
    )
    for name, (metavar, words, _) in _BOUNDS.items():
        flag = f"--{name.replace('_', '-')}"
        parser.add_argument(
            flag, action="append", default=[], metavar=f"[NAME=]{metavar}",
            help=f"{words}; of each caller, or of one",
        )  # fmt: skip
    parser.add_argument(
        "--window", type=int, metavar="N", help="maximum number of rows in flight (default: 256)"
    )
    parser.add_argument(
        "--queue", type=int, metavar="N",
        help="maximum number of requests that wait, before others are refused (default: 1024)",
    )  # fmt: skip
    parser.add_argument(
        "--drain", type=float, default=30.0, metavar="SECONDS",
        help="how long rows in flight may take after SIGTERM (default: 30)",
    )  # fmt: skip
    parser.add_argument(
        "--strict", action="store_true", help="refuse fields of a request that have no effect"
    )
    parser.add_argument(
        "--origin", action="append", default=[], metavar="URL",
        help="site whose pages may use the server from a browser, such as https://ui.example",
    )  # fmt: skip
    parser.add_argument(
        "--debug", action="store_true", help="log each request, and the texts of errors"
    )
    add_trace_endpoint(parser)
    add_functions(parser)
    add_allow(parser)
    parser.complete = _complete
    parser.set_defaults(run=run)


def _complete(parser: Command) -> None:
    """Add the settings of a call, without those of its result."""
    from chainlang.settings import CallSettings

    add_flags(parser, CallSettings, without=("on_error", "outputs"))


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM; return 130 after Ctrl-C."""
    with missing("starlette", "serve"), missing("uvicorn", "serve"):
        from chainlang.serving.serve import serve
        from chainlang.serving.server import Server  # noqa: F401  # what else is missing
    from chainlang.settings import CallSettings

    chains: dict[str, Chain] = {}
    for text in options.chain:
        chain, warned = read_chain(text, options.functions, options.allow)
        report(one for one in warned if one.code != _OFFERED)
        name = model_name(text)
        if name in chains:
            message = f"two chains are called {name!r}"
            raise error_of("setting", message, "give one of the files another name")
        chains[name] = chain
    keys, bounds = callers_of(options)
    bounds |= {
        name: value for name in ("window", "queue") if (value := getattr(options, name)) is not None
    }
    with traced(options.trace_endpoint):
        serve(
            chains,
            host=options.host,
            port=options.port,
            drain=options.drain,
            keys=keys,
            strict=options.strict,
            origins=options.origin,
            debug=options.debug,
            ready=lambda address: say(f"serving {', '.join(chains)} at {address}"),
            progress=say,
            **bounds,
            **given(options, CallSettings),
        )
    return 0


def callers_of(options: argparse.Namespace) -> tuple[dict[str, Key], dict[str, Any]]:
    """Return the keys of the callers by name, and the bounds of those without their own."""
    from chainlang.serving.serve import Key  # 200 ms that other commands do not need

    variables = dict[str, str]()
    for text in options.key:
        name, equals, variable = text.partition("=")
        hint = "write --key NAME=env:VARIABLE, once for each name"
        if not equals or not name:  # it may be the key itself, so it is not shown
            message = "--key takes the name of a caller and of a variable, and this one has no name"
            raise error_of("setting", message, hint)
        if name in variables:
            raise error_of("setting", f"--key {name}=...: this name is there twice", hint)
        variables[name] = variable
    own: dict[str, dict[str, Any]] = {name: {} for name in variables}
    every: dict[str, Any] = {}
    for bound, (metavar, _, kind) in _BOUNDS.items():
        for text in getattr(options, bound):
            name, equals, value = text.rpartition("=")
            if equals and name not in own:
                known = ", ".join(own) or "none"
                message = f"--{bound.replace('_', '-')} {text}: no key is called {name!r}"
                raise error_of("setting", message, f"the keys are: {known}")
            _set(own[name] if equals else every, bound, value, kind, metavar)
    return {name: Key(variable=variables[name], **own[name]) for name in variables}, every


def _set(bounds: dict[str, Any], name: str, text: str, kind: Any, metavar: str) -> None:
    flag = f"--{name.replace('_', '-')}"
    if name in bounds:
        raise error_of("setting", f"{flag} is there twice", "the last one would hide the first")
    try:
        bounds[name] = [one.strip() for one in text.split(",")] if kind is str else kind(text)
    except ValueError as error:
        words = _BOUNDS[name][1]
        message = f"{flag} {text!r} is no number"
        raise error_of("setting", message, f"{flag} {metavar}: {words}") from error
