"""The ready process: it waits for commands, and forks a child for each."""

from __future__ import annotations

import gc
import io
import os
import selectors
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import NamedTuple, TextIO

from chainlang.ready.meeting import (
    END,
    GO,
    LOOK,
    RUN,
    SECONDS,
    YES,
    address,
    connected,
    is_own,
    log_of,
    peer,
    received,
    send,
    short,
)

_IDLE = 60.0
"""Seconds between two looks at whether there is still a warm model."""


class _Request(NamedTuple):
    connection: socket.socket
    texts: list[bytes]
    files: list[int]


class _Child(NamedTuple):
    pid: int
    connection: socket.socket


class ReadyProcess:
    """The socket that commands come to, and the children that run them."""

    def __init__(self, files: Iterable[str]) -> None:
        """Listen; `files` are those that were read besides modules."""
        modules = (getattr(one, "__file__", None) for one in [*sys.modules.values()])
        self._loaded = {one: _changed(one) for one in (*modules, *files, sys.executable) if one}
        self._path = address()
        self._listener = _listener(self._path)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._children = dict[int, _Child]()
        """The children, by their pidfd."""

    def next_command(self, is_needed: Callable[[], bool]) -> list[str]:
        """Return the words of a command, in a child that is as the process that has sent it.

        The parent raises `SystemExit` once it was asked to end, or is not needed, or a file that it
        has loaded has changed.
        """
        gc.collect()
        gc.freeze()  # no collection looks at what the children share
        while self._children or self._is_open:
            found = self._selector.select(_IDLE)
            for key, _ in found:
                if key.fileobj is not self._listener:
                    self._attend(key)
                elif request := self._accepted():
                    pid = os.fork()
                    if not pid:
                        self._leave_to_child()
                        return _become(request)
                    self._watch(pid, request)
            if not found and not self._children and not is_needed():
                self._close()
        raise SystemExit

    @property
    def _is_open(self) -> bool:
        return self._listener.fileno() >= 0

    def _accepted(self) -> _Request | None:
        """Do what a connection asks for, and return a command that is to run."""
        files: list[int] = []
        try:
            connection, _ = self._listener.accept()
            connection.settimeout(SECONDS)
            if peer(connection)[1] == os.geteuid():
                what, texts, files = received(connection)
                if what == RUN and not self._is_stale():
                    connection.sendall(YES)
                    if connection.recv(1) == GO:
                        return _Request(connection, texts, files)
                if what == LOOK:
                    send(connection, YES, [str(len(self._children)).encode()], [])
                if what == END:
                    self._close()
                    send(connection, YES, [], [])
            connection.close()
        except OSError:
            pass  # the other side has gone away, or else runs its command itself
        for one in files:
            os.close(one)
        return None

    def _watch(self, pid: int, request: _Request) -> None:
        for one in request.files:
            os.close(one)
        request.connection.setblocking(True)
        number = os.pidfd_open(pid)
        self._children[number] = _Child(pid, request.connection)
        self._selector.register(number, selectors.EVENT_READ)
        self._selector.register(request.connection, selectors.EVENT_READ, number)

    def _attend(self, key: selectors.SelectorKey) -> None:
        """Send a child's signals on to it, or its status back, whichever there is."""
        number: int = key.data or key.fd
        if number not in self._children:
            return  # it has ended in this round
        pid, connection = self._children[number]
        if key.data is None:
            _, status = os.waitpid(pid, 0)
            self._forget(connection)
            self._forget(number)
            os.close(number)
            del self._children[number]
            with connection, suppress(OSError):
                connection.sendall(struct.pack("i", os.waitstatus_to_exitcode(status)))
            return
        signals = b""
        with suppress(OSError):
            signals = connection.recv(64)
        if not signals:  # the process that was started for the command was killed
            self._forget(connection)
        for one in signals or [signal.SIGKILL]:
            os.kill(pid, one)  # not waited for yet, so its id is no other's

    def _forget(self, what: int | socket.socket) -> None:
        if what in self._selector.get_map():
            self._selector.unregister(what)

    def _is_stale(self) -> bool:
        """Return whether a file that was loaded has changed; listen no more if so."""
        stale = any(_changed(path) != when for path, when in self._loaded.items())
        if stale:
            self._close()
        return stale

    def _close(self) -> None:
        """Listen no more; the process ends with its last child."""
        if self._is_open:
            self._selector.unregister(self._listener)
            self._listener.close()
            for one in (self._path, log_of(self._path)):
                with suppress(OSError):
                    os.unlink(one)

    def _leave_to_child(self) -> None:
        """Close what is the parent's alone."""
        self._selector.close()
        self._listener.close()
        for number, (_, connection) in self._children.items():
            os.close(number)
            connection.close()


def _become(request: _Request) -> list[str]:
    """Make this process like the one that has sent the command; return the words of the command."""
    os.setsid()  # signals reach it by its parent alone
    request.connection.detach()  # open until this process ends, even if its parent ends before
    for number, one in enumerate(request.files[:3]):
        os.dup2(one, number)
    os.fchdir(request.files[3])
    for one in request.files:
        os.close(one)
    (count,) = struct.unpack("I", request.texts[0])
    words = [os.fsdecode(one) for one in request.texts[1 : count + 1]]
    sys.path[0] = os.fsdecode(request.texts[count + 1])
    os.environ.clear()
    for pair in request.texts[count + 2 :]:
        name, _, value = pair.partition(b"=")
        os.environb[name] = value
    sys.argv = ["chainlang", *words]
    sys.stdin = _stream(0, "r", sys.stdin)
    sys.stdout = _stream(1, "w", sys.stdout)
    sys.stderr = _stream(2, "w", sys.stderr)
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    return words


def _stream(number: int, mode: str, like: TextIO) -> io.TextIOWrapper:
    """Open a standard stream as Python does when it starts."""
    assert isinstance(like, io.TextIOWrapper)
    raw = io.FileIO(number, mode, closefd=False)
    direct = like.write_through  # as with PYTHONUNBUFFERED
    buffer = io.BufferedReader(raw) if mode == "r" else raw if direct else io.BufferedWriter(raw)
    return io.TextIOWrapper(
        buffer,
        like.encoding,
        like.errors,
        newline="\n",
        line_buffering=not direct and (number == 2 or raw.isatty()),
        write_through=direct,
    )


def _listener(path: str) -> socket.socket:
    """Return the socket that listens. Raises `OSError` if another user could reach it."""
    if not is_own(os.path.dirname(path)):
        raise PermissionError(path)
    with suppress(OSError):
        connected(path)[0].close()
        sys.exit("another process is ready already")
    with suppress(FileNotFoundError):
        os.unlink(path)  # of one that was killed
    found = socket.socket(socket.AF_UNIX)
    with short(path) as name:
        found.bind(name)
    found.listen(16)
    return found


def _changed(path: str) -> int:
    """Return when a file has changed; 0 if it is missing."""
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
