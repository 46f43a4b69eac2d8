"""Monty: an interpreter of a subset of Python without files, processes and network.

Programs run in worker processes of their own; the interpreter offers them nothing of the machine.
Its clock stands still, a sleep returns at once, and random numbers come from the program's seed.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from chainlang.sandboxes.program import (
    NOW,
    PROGRAM,
    TESTS,
    Program,
    Run,
    SandboxError,
    at_line,
    finished,
    too_much,
    too_slow,
)

_GRACE = 0.5
_FLUSH = 0.05


class MontySandbox:
    """The sandbox of the package `pydantic-monty`, with as many workers as the machine has cores.

    >>> sandbox = MontySandbox()
    >>> sandbox.run(Program(source="print('hi'); sum(numbers)", inputs={"numbers": [1, 2]}))
    Run(ok=True, value=3, stdout='hi\\n', error=None)
    >>> sandbox.close()
    """

    def __init__(self) -> None:
        self._pool: Any = None
        self._lock = threading.Lock()

    @property
    def version(self) -> str:
        """Version of Monty."""
        from importlib.metadata import version

        return f"monty {version('pydantic-monty')}"

    def probe(self) -> str | None:
        """Return why Monty can't run here: its package is not installed, or does not work."""
        try:
            found = self.run(Program(source="1 + 1"))
        except ImportError:
            return "it is not installed: pip install 'chainlang[sandbox]'"
        except SandboxError as error:
            return f"{error}; reinstall it: pip install --force-reinstall 'chainlang[sandbox]'"
        return None if found.value == 2 else f"1 + 1 gave {found.value!r}: {found.error}"

    def run(self, program: Program) -> Run:
        """Run a program in a worker."""
        import pydantic_monty as monty

        printed, where, value = _Printed(program.output), PROGRAM, None
        limits: Any = {
            "max_feed_duration_secs": program.seconds,
            "max_memory": program.memory << 20,
            "max_total_sleep_secs": 0.0,
        }
        policy: Any = {
            "datetime": datetime.fromtimestamp(NOW, UTC),
            "process_time": "zero",
            "random_start": {"seed": program.seed},
            "sleep": "zero",
            "timezone": "utc",
        }
        try:
            with self._workers().checkout(
                limits=limits,
                os_policy=policy,
                print_flush_interval=_FLUSH,
                assert_message_annotations=False,
            ) as session:
                try:
                    value = session.feed_run(
                        program.source, inputs=dict(program.inputs), print_callback=printed
                    )
                    if program.tests:
                        where = TESTS
                        session.feed_run(program.tests, print_callback=printed)
                except (monty.MontySyntaxError, monty.MontyRuntimeError) as found:
                    return _failed(program, found, printed, where)
        except monty.MontyCrashedError as found:
            if found.timed_out:
                return too_slow(program, printed.text)
            return Run(False, None, printed.text, "MemoryError: the interpreter has crashed")
        except (monty.MontyError, OSError, TimeoutError) as found:
            raise SandboxError(f"monty failed: {found}") from found
        return finished(program, value, printed.text)

    def close(self) -> None:
        """End the workers."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            with suppress(RuntimeError):
                pool.__exit__(None, None, None)

    def _workers(self) -> Any:
        from pydantic_monty import Monty

        with self._lock:
            if self._pool is None:
                pool = Monty(max_processes=os.cpu_count() or 1, feed_duration_limit_grace=_GRACE)
                self._pool = pool.__enter__()
            return self._pool


class _Printed:
    """Output of a program, up to a length."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.text = ""
        self.is_full = False

    def __call__(self, stream: str, text: str) -> None:
        """Add a text; raise `ValueError`, which ends the program, if there is too much."""
        if stream != "stdout":
            return
        self.text += text[: self.most + 1 - len(self.text)]
        self.is_full = len(self.text) > self.most
        if self.is_full:
            raise ValueError


def _failed(program: Program, error: Any, printed: _Printed, where: str) -> Run:
    if printed.is_full:
        return too_much(program, printed.text)
    message = error.display("type-msg")
    if message.startswith("TimeoutError: feed time limit exceeded"):
        return too_slow(program, printed.text)
    if message.startswith(
        "MemoryError: memory limit exceeded"
    ):  # its numbers differ from run to run
        message = f"MemoryError: it needed more than {program.memory} MiB"
    frames = error.traceback()
    return Run(False, None, printed.text, at_line(message, frames[-1].line if frames else 0, where))
