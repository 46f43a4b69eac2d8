"""Command line: run, explain, check, format and show chains.

Exit status: 0 success; 1 a row failed, or a file is not formatted or has warnings; 2 bad input;
3 a run stopped and can be resumed; 130 interrupted.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from importlib import import_module
from typing import NoReturn

from chainlang.cli import interrupt
from chainlang.cli.flags import Command
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import ChainlangError, ChainlangWarning, SourceError

SUCCESS, BAD_INPUT = 0, 2
COMMANDS: Mapping[str, str] = {
    "ask": "run a chain on one question",
    "run": "run a chain over rows, into a folder",
    "merge": "make one run folder of the shards of a run",
    "explain": "show the plan of a chain, and its cost",
    "prompt": "print the prompt of a question, without a model",
    "resolve": "print a chain with the values that a model decides for it",
    "check": "find mistakes in .chain files",
    "fmt": "format .chain files",
    "show": "print a chain as a tree, notation, Python, Mermaid or JSON",
    "eval": "score the answers of a chain over rows with targets",
    "compare": "compare two chains over the same rows, or two runs with scores",
    "sweep": "evaluate every chain of a family over the same rows",
    "tune": "choose the cheapest chain of a family that is not worse than the best",
    "mcp": "approve the tools that a chain calls, or serve a chain as a tool",
    "serve": "serve chains as models of an HTTP server",
    "plugins": "list the plugins that are installed",
    "repl": "ask chains line by line; the same as chainlang alone",
    "runs": "list, show, compare and resume run folders",
    "warmup": "keep a model loaded for later commands",
    "kill": "end the servers of warm models",
    "new": "write the folder of a new project: chain, rows, test, README",
    "doctor": "say what is missing, and the command that installs it",
    "models": "list the models that names mean, and those that servers have",
    "schema": "print the JSON schema of YAML files of steps, for editors",
    "completion": "print a completion script for bash, zsh or fish",
    "lsp": "run the language server, for editors",
}
"""Commands, and what each is for."""
_MODULES = {"eval": "evaluate"}
"""Modules of commands whose name is not that of the command; each is imported when it is used."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command and exit with its status."""
    closed = _closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a tree holds characters that ASCII lacks
            stream.reconfigure(errors="backslashreplace")
    try:
        with interrupt.handled():
            status = execute(arguments, closed)
            if not sys.stdout.closed:  # as by the language server
                sys.stdout.flush()
    except KeyboardInterrupt as interrupted:
        status = interrupt.STATUS
        if "--worker" not in (sys.argv if arguments is None else arguments):  # its parent says so
            _say_interrupted(interrupted)
    except BrokenPipeError:  # the reader, such as `head`, has closed the pipe
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (
            sys.stdout,
            sys.stderr,
        ):  # Python would flush them on exit and print an error
            os.dup2(nowhere, stream.fileno())
        status = SUCCESS
    if status == interrupt.STATUS and "vllm" in sys.modules:
        from chainlang.models.open_engines import close_engines

        gc.freeze()  # vLLM would scan all objects of the process, which can take seconds
        with interrupt.bounded():
            close_engines()
        interrupt.leave()
    sys.exit(status)


def _say_interrupted(interrupted: KeyboardInterrupt) -> None:
    """Say that a command was interrupted, and how to go on with its run, if it has one."""
    from chainlang.cli.closing_lines import closing_lines
    from chainlang.cli.output import say

    summary = getattr(interrupted, "summary", None)  # of `Interrupted`, which takes long to import
    lines = ["interrupted"] if summary is None else closing_lines(summary, interrupt.STATUS)
    for line in lines:
        say(line)


def _closed() -> frozenset[str]:
    """Open each standard stream that is closed to nowhere, and return the names of these.

    Else Python has none to write to, and the next file that is opened takes its number.
    """
    found = set[str]()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115
            found.add(name)
    return frozenset(found)


def execute(arguments: Sequence[str] | None = None, closed: Collection[str] = ()) -> int:
    """Run a command and return its exit status; `closed` are standard streams that are closed."""
    from chainlang.cli.output import NoOutput, report

    words = sys.argv[1:] if arguments is None else arguments
    if not words:
        from chainlang.cli.repl import run_alone

        return run_alone(command_line("").format_help())
    parser = command_line(words[0])
    _check_command(words, parser)
    options = parser.parse_args(words)
    options.words = tuple(words)

    def log_format() -> str:  # the command may change it
        return getattr(options, "log_format", "text")

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if isinstance(message, ChainlangWarning):
            report(message.diagnostics, log_format=log_format())

    as_json = getattr(options, "json", False)
    try:
        if "stdout" in closed and (as_json or getattr(options, "prints", False)):
            hint = "redirect it to a file, or to /dev/null"
            message = "stdout is closed, so there is no place for the result"
            raise NoOutput([Diagnostic("file", message, hint=hint)])
        _check_folder()
        _check_stdin(options)
        with warnings.catch_warnings():
            warnings.simplefilter("always", ChainlangWarning)
            warnings.showwarning = show
            status: int = options.run(options)
    except ChainlangError as error:
        as_json = as_json and not isinstance(error, NoOutput)
        report(error.diagnostics, as_json=as_json, log_format=log_format())
        return BAD_INPUT
    return status


def _check_stdin(options: argparse.Namespace) -> None:
    """Raise `SourceError` if two arguments are read from stdin."""
    several = (getattr(options, name, None) for name in ("chain", "input", "question"))
    words = (one for each in several for one in (each if isinstance(each, list) else [each]))
    if sum(str(one) == "-" for one in words) > 1:
        hint = "write the chain, the rows or the question into a file"
        raise SourceError([Diagnostic("file", "- is stdin, which can be read once", hint=hint)])


def _check_folder() -> None:
    """Raise `SourceError` if the current folder has been removed, or can't be entered."""
    try:
        os.getcwd()  # noqa: PTH109
    except OSError as error:
        message = f"the current folder can't be read: {error.strerror}"
        raise SourceError([Diagnostic("file", message, hint="change to another: cd ~")]) from error


def command_line(only: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of all commands; with `only`, that command alone has its arguments."""
    from chainlang import __version__

    parser = argparse.ArgumentParser(
        prog="chainlang",
        description="Run, explain, check, format and show chains of LLM calls.",
        epilog="exit status: 0 success; 1 a row failed, `fmt --check` found a file that is not "
        "formatted, or `check --strict` found warnings; 2 the chain, a file or an option is "
        "invalid; 3 a run stopped and can be resumed; 130 interrupted",
    )
    parser.add_argument("--version", action="version", version=f"chainlang {__version__}")
    commands = parser.add_subparsers(
        required=True, metavar="COMMAND", dest="command", parser_class=Command
    )
    for name, about in COMMANDS.items():
        if only in (None, name):
            module = import_module(f"chainlang.cli.{_MODULES.get(name, name)}")
            module.add(commands, about)
        else:
            commands.add_parser(name, help=about, add_help=False)
    parser.set_defaults(whole=command_line)
    return parser


def _check_command(words: Sequence[str], parser: argparse.ArgumentParser) -> None:
    """End the program for a command that does not exist, with the one that may be meant."""
    (known,) = (one.choices for one in parser._actions if one.dest == "command" and one.choices)
    first = words[0]
    if first.startswith("-") or first in known:
        return
    hint = suggest(first, known, None)
    if first.endswith((".chain", ".yaml", ".yml")):
        hint = f"to run it: chainlang run {first} -i ROWS -o FOLDER"
    parser.error(f"unknown command '{first}'" + (f": {hint}" if hint else ""))
