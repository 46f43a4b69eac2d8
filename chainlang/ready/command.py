"""A command in the ready process, seen from the process that was started for it."""

from __future__ import annotations

import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from types import FrameType

from chainlang.ready.meeting import GO, RUN, YES, address, connected, send

_OTHER_FILES = ("/dev/fd/", "/proc/")
"""Paths that name open files of this process, and would name others there."""
_STOPS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
_FORWARDED = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGCONT, *_STOPS,
)  # fmt: skip


def run_ready(words: Sequence[str]) -> None:
    """Run a command in the ready process, and exit as it does; return if it is to run here."""
    if any(part in one for one in words for part in _OTHER_FILES):
        return
    signals = _Signals()
    try:
        for number in (0, 1, 2):
            os.fstat(number)  # raises if it is closed, of which the command has to know
        connection, _ = connected(address())
        with connection:
            signals.keep()
            here = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
            count = struct.pack("I", len(words))
            pairs = (name + b"=" + value for name, value in os.environb.items())
            texts = [count, *map(os.fsencode, (*words, sys.path[0])), *pairs]
            send(connection, RUN, texts, [0, 1, 2, here])
            os.close(here)
            if connection.recv(1) != YES:
                raise ConnectionError
            connection.settimeout(None)
            connection.sendall(GO)
            signals.forward(connection)
            _end(connection.recv(4))
    except OSError:
        signals.restore()


class _Signals:
    """Signals to this process, which are sent on to the process of the command."""

    def __init__(self) -> None:
        self.before = dict[signal.Signals, object]()
        self.waiting = list[int]()
        self.connection: socket.socket | None = None

    def keep(self) -> None:
        """Keep signals until it is known where the command runs; those ignored remain so."""
        for one in _FORWARDED:
            if signal.getsignal(one) is not signal.SIG_IGN:
                self.before[one] = signal.signal(one, self._handle)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})

    def forward(self, connection: socket.socket) -> None:
        """Send the signals on, from now on."""
        self.connection = connection
        waiting, self.waiting = self.waiting, []
        for one in waiting:
            self._handle(one, None)

    def restore(self) -> None:
        """Handle signals as before, and those that were kept."""
        for one, handler in self.before.items():
            signal.signal(one, handler)  # type: ignore[arg-type]  # what `signal` has returned
        for number in self.waiting:
            os.kill(os.getpid(), number)

    def _handle(self, number: int, _: FrameType | None) -> None:
        if self.connection is None:
            self.waiting.append(number)
            return
        stops = number in _STOPS
        try:
            self.connection.sendall(bytes([signal.SIGSTOP if stops else number]))
        except OSError:
            return  # it has ended: its status is about to be read
        if stops:
            os.kill(os.getpid(), signal.SIGSTOP)


def _end(status: bytes) -> None:
    """Exit with a status, or by the signal that ended the command."""
    if len(status) < struct.calcsize("i"):
        os.write(2, b"the ready process has ended, and the exit status of the command is unknown\n")
        os._exit(1)
    (code,) = struct.unpack("i", status)
    if code >= 0:
        os._exit(code)
    if -code != signal.SIGKILL:
        signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
    os._exit(128 - code)
