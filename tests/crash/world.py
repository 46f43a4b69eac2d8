"""A world for one run: every step that the disk sees passes `Boundary.cross`.

It is built in a process of its own, a fork of one that has imported everything, since it replaces
what `os` and `sqlite3` do for good.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from attrs import define, field

from chainlang.store import run_folder, safe_files, sqlite
from tests.crash import vfs
from tests.crash.homes import HOME


@define
class Boundary:
    """Counts what the disk sees, and does something at one of these points.

    A point lies before each step, and in the middle of each write; what is before one step is after
    the one that came before it.
    """

    act: Callable[[str], None] = lambda _: None
    at: int = -1
    """At which point `act` is called, with its name."""
    forever: bool = False
    """Whether it is called at all points after that, too."""
    points: int = 0
    names: list[str] = field(factory=list)

    def cross(self, name: str) -> bool:
        """Pass a point; return whether it was the one."""
        self.names.append(name)
        number, self.points = self.points, self.points + 1
        if number == self.at or (self.forever and number > self.at):
            self.act(name)
        return number == self.at


def kill(_: str) -> None:
    """Die as by `kill -9`."""
    os.kill(os.getpid(), signal.SIGKILL)


def full(name: str) -> None:
    """Be a disk that is full."""
    if name in _NEEDS_ROOM:
        raise OSError(errno.ENOSPC, "No space left on device")


def broken(_: str) -> None:
    """Be a disk that breaks."""
    raise OSError(errno.EIO, "Input/output error")


def short(_: str) -> None:
    """Write less than was asked for, and say so: see `_writing`."""


_NEEDS_ROOM = ("create", "mkdir", "rename", "write", "half a write", "sqlite write", "fsync")


def build(boundary: Boundary, *, seconds: float = 5.0, within: bool = False) -> None:
    """Put points before all that this process does to a disk; each row takes a second.

    `within` puts them before what SQLite does, too, and not only before its commits.
    """
    clock = _Clock()
    run_folder.time = clock
    run_folder.NOTE_SECONDS = seconds
    for name in ("fsync", "rename", "unlink", "rmdir", "mkdir", "ftruncate"):
        setattr(os, name, _before(boundary, name, getattr(os, name)))
    os.open = _opening(boundary, os.open)
    safe_files.os.fdopen = _writing(boundary, os.fdopen)
    if within:
        vfs.install(boundary.cross)
    else:
        sqlite.sqlite3 = _Recording(boundary)
        if HOME.server is not None:
            _record_transactions(boundary)


class _Clock:
    now = 0.0

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


def _before(boundary: Boundary, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any, **settings: Any) -> Any:
        boundary.cross(name)
        return real(*args, **settings)

    return call


def _opening(boundary: Boundary, real: Callable[..., int]) -> Callable[..., int]:
    def call(path: Any, flags: int, *args: Any, **settings: Any) -> int:
        if flags & os.O_CREAT:
            boundary.cross("create")
        return real(path, flags, *args, **settings)

    return call


def _writing(boundary: Boundary, real: Callable[..., Any]) -> Callable[..., Any]:
    class Raw(io.FileIO):
        def write(self, data: Any) -> int | None:
            boundary.cross("write")
            half = len(data) // 2
            if half:
                super().write(memoryview(data)[:half])
                if boundary.cross("half a write") and boundary.act is short:
                    return half
            written = super().write(memoryview(data)[half:])
            return half + (written or 0)

    def call(fd: int, mode: str) -> Any:
        return real(fd, mode) if mode == "rb" else io.BufferedWriter(Raw(fd, mode))

    return call


def _record_transactions(boundary: Boundary) -> None:
    """Put a point before each commit of a database."""
    import psycopg

    real = psycopg.Connection.transaction

    @contextmanager
    def transaction(connection: Any) -> Iterator[Any]:
        with real(connection) as begun:
            yield begun
            boundary.cross("commit")

    psycopg.Connection.transaction = transaction


class _Recording:
    """The module `sqlite3` with a point before each commit."""

    def __init__(self, boundary: Boundary) -> None:
        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *args: Any) -> Any:
                if sql == "COMMIT":
                    boundary.cross("commit")
                return super().execute(sql, *args)

        self.factory = Connection

    def connect(self, *args: Any, **settings: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=self.factory, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(sqlite3, name)
