"""Program of the ready process: it imports what `chainlang ask` needs, and runs it in children."""

from __future__ import annotations

import atexit
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import chainlang
from chainlang.ready.process import ReadyProcess

PROGRAM = (
    "import sys; sys.path[:] = sys.argv[1:]; "
    "from chainlang.cli.ready_process import main; main()"
)  # fmt: skip
"""Source of the process, whose arguments are the `sys.path` of the one that has started it."""
NEEDED = (
    "chainlang.cli.ask",
    "chainlang.engines.openai.warm_engine",
    "chainlang.session.session",
    "chainlang.settings.model",
    "httpx2",
    "httpcore2",
    "anyio._backends._asyncio",
    "h11",
    "http.cookiejar",
)
"""Modules that bring what a command imports as it runs."""


class _Exit:
    """The end of a child: at once after all other exit handlers.

    What Python does at the end of a process takes longer than a short command: it frees one by one
    the objects that the child shares with its parent.
    """

    status: int | None = None

    def __call__(self) -> None:
        if self.status is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.status)


def main() -> NoReturn:
    """Wait for commands, and run each in a child."""
    leave = _Exit()
    atexit.register(leave)  # the first that is registered is called last
    process = ReadyProcess(prepared())
    os.chdir("/")
    words = process.next_command(_Needed())
    from chainlang.cli import main as run

    try:
        run(words)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            leave.status = ended.code
        raise


def prepared() -> list[str]:
    """Import and make what commands need; return the files of data that this may have read."""
    for one in NEEDED:
        import_module(one)
    from chainlang import chain
    from chainlang.cli import command_line
    from chainlang.notation.grammar import grammar_path
    from chainlang.optimizer.compile import planned
    from chainlang.settings import CallSettings

    command_line("ask")
    planned(chain("3:E >> V >> (J & S) >> M").program(), CallSettings())
    package = Path(chainlang.__file__).parent
    data = (one for one in package.rglob("*.*") if one.suffix not in (".py", ".pyc"))
    return [str(one) for one in (grammar_path(), *data)]


class _Needed:
    """Look at whether there is a warm model; at first one may still be loading."""

    patience = 10

    def __call__(self) -> bool:
        from chainlang.store.warm_models import warm_models

        if any(one.is_running for one in warm_models()):
            self.patience = 0
            return True
        self.patience -= 1
        return self.patience > 0
