"""Start, state and end of the ready process, for the commands that keep models warm."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from chainlang.ready.meeting import (
    END,
    ENVIRONMENT,
    LOOK,
    address,
    addresses,
    connected,
    log_of,
    received,
    send,
)

_NEEDED = ("HOME", "PATH", "TMPDIR", "VIRTUAL_ENV", "XDG_CACHE_HOME")
_STEP = 0.02


class Ready(NamedTuple):
    """A ready process of this user."""

    path: str
    pid: int
    running: int | None
    """Number of commands that it runs now; None if it does not answer."""
    is_alike: bool
    """Whether commands of this Python, in this environment, find it."""


class Started(NamedTuple):
    """A process that is to be ready, and the path of its socket then."""

    process: subprocess.Popen[bytes]
    path: str


def ready_processes() -> Iterator[Ready]:
    """Yield the ready processes of this user."""
    for path in addresses():
        with suppress(OSError):
            connection, pid = connected(path)
            running = None
            with connection, suppress(OSError):
                send(connection, LOOK, [], [])
                running = int(received(connection)[1][0])
            yield Ready(path, pid, running, path == address())


def start(program: str) -> Started:
    """Start a process that is to be ready, with `program` as its source, in the background.

    It gets no variable of the environment but those that Python reads: each command brings its own.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _NEEDED or name.startswith(ENVIRONMENT)
    }
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    path = address()
    log = os.open(log_of(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603  # this Python, and a program of this package
            [sys.executable, *flags, "-c", program, *sys.path],
            env=kept,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # signals of this terminal do not reach it
        )
    finally:
        os.close(log)
    return Started(process, path)


def end(one: Ready) -> None:
    """End a ready process: at once if it runs no command, else after them."""
    try:
        connection, _ = connected(one.path)
        with connection:
            send(connection, END, [], [])
            received(connection)
    except OSError:  # it does not answer
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
        with suppress(FileNotFoundError):
            os.unlink(one.path)


def wait(started: Started) -> Ready | None:
    """Wait until a process is ready; return None if it has ended before."""
    process, path = started
    while process.poll() is None:
        for one in ready_processes():
            if one.pid == process.pid or one.path == path:
                process.returncode = 0  # it outlives this process, which `Popen` would warn of
                return one
        time.sleep(_STEP)
    return None
