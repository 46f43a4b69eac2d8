"""``chainlang mcp FILE``: serve a chain as a tool; with ``approve``, approve the tools it calls."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from chainlang.cli.flags import add_allow, add_flags, add_functions, examples, given
from chainlang.cli.output import emit, report
from chainlang.cli.read_chain import read_chain
from chainlang.errors import error_of

APPROVE = "approve"


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    from chainlang.settings import CallSettings

    parser = commands.add_parser(
        "mcp",
        help=about,
        description="Serve a chain as a tool of an MCP server, over stdin and stdout or over HTTP. "
        "With approve, look at the tools of the servers that a chain calls: what is new or has "
        "changed is shown, and chainlang.mcp.lock beside the chain keeps what is approved.",
        usage="%(prog)s FILE [options] | %(prog)s approve FILE [--yes]",
        epilog=examples(
            "chainlang mcp reviews.chain",
            "chainlang mcp reviews.chain --http 127.0.0.1:8765",
            "chainlang mcp approve notes.chain",
        ),
    )
    parser.add_argument("named", nargs="+", metavar="FILE", help="the chain; approve before it")
    parser.add_argument("--http", metavar="HOST:PORT", help="serve over HTTP at this address")
    parser.add_argument(
        "--tool", action="append", default=[], metavar="NAME",
        help="definition of the file to serve as a tool of its own, beside main",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="approve without a question")
    add_allow(parser)
    add_functions(parser)
    add_flags(parser, CallSettings, without=("on_error", "outputs"))
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve the chain, or approve its tools; return 1 if they are not approved."""
    first, *rest = options.named
    if first == APPROVE and len(rest) == 1:
        return _approve(rest[0], options)
    if rest:
        message = f"mcp takes a file, found: {' '.join(options.named)}"
        hint = "write: chainlang mcp FILE, or chainlang mcp approve FILE"
        raise error_of("setting", message, hint)
    return _serve(first, options)


def _serve(path: str, options: argparse.Namespace) -> int:
    if find_spec("mcp") is None:
        hint = "run: pip install 'chainlang[mcp]'"
        raise error_of("engine", "serving a chain as a tool needs the package mcp", hint)
    from chainlang.api.chain import Chain
    from chainlang.diagnostics.suggest import unknown
    from chainlang.errors import SettingError
    from chainlang.ir.declarations import bodies_of
    from chainlang.mcp.served import Exported, served
    from chainlang.mcp.transports import over_http, over_stdio
    from chainlang.settings import CallSettings

    address = None if options.http is None else _address(options.http)
    chain, warned = read_chain(path, options.functions, options.allow)
    report(warned)
    settings = given(options, CallSettings)
    name = Path(path).stem if path.endswith(".chain") else "chain"
    exported = [Exported(name, chain, _description(path), settings)]
    bodies = bodies_of(chain.items)
    for one in options.tool:
        if one not in bodies:
            raise SettingError([unknown("definition", one, sorted(bodies), code="setting")])
        own = Chain(bodies[one], chain.items, bound=chain.bound, is_checked=True)
        exported.append(Exported(one, own, f"{one} of {name}", settings))
    server = served(exported, name)
    if address is None:
        over_stdio(server)
    else:
        over_http(server, *address, lambda where: print(f"serving at {where}", file=sys.stderr))
    return 0


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise error_of("setting", f"--http {text} is no address", "write --http 127.0.0.1:8765")
    return host.strip("[]"), int(port)


def _description(path: str) -> str:
    """Return the comment that a file begins with."""
    lines: list[str] = []
    if path.endswith(".chain"):
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            if not line.startswith("#"):
                break
            lines.append(line.lstrip("#").strip())
    return " ".join(filter(None, lines))


def _approve(path: str, options: argparse.Namespace) -> int:
    from chainlang.ir.tools import servers
    from chainlang.models.approval import approve, changes
    from chainlang.settings import CallSettings

    chain, _ = read_chain(path, allow=options.allow)
    if not servers(chain.items):
        emit(f"{path} declares no server of tools")
        return 0
    found = list(changes(chain.items, CallSettings.of({})))
    if not found:
        emit("all tools are as they were approved")
        return 0
    for one in found:
        emit("\n".join(one.differences))
    if not (options.yes or _agreed()):
        emit("nothing was approved")
        return 1
    for one in found:
        approve(one)
        emit(f"approved {len(one.now.tools)} tools of {one.name} in {one.lock}")
    return 0


def _agreed() -> bool:
    """Ask on the terminal; without one there is no agreement."""
    if not sys.stdin.isatty():
        emit("to approve without a terminal, add --yes")
        return False
    return input("approve these tools? [y/N] ").strip().lower() in ("y", "yes")
