"""The server: uvicorn at a socket, until a signal, with time for rows in flight."""

from __future__ import annotations

import asyncio
import errno
import math
import signal
import socket
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from chainlang.errors import error_of

KEPT = 75
"""Seconds for which an idle connection is kept: longer than by proxies, which keep theirs for 60
seconds, so that none sends a request on a connection that is just being closed."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """A server that ends with a signal, and lets its caller go on afterwards.

    Uvicorn raises the signal again: SIGTERM would then end the process before its engines are
    closed.
    """

    interrupted = False
    """Whether Ctrl-C ended it."""
    ready: Callable[[], object] | None = None
    ending: Callable[[int], object] | None = None
    """Called at the end, with the number of requests in flight if there are any."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Handle SIGTERM and Ctrl-C in the block, in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {one: signal.signal(one, self.handle_exit) for one in _SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; the second signal ends at once."""
        self.interrupted |= sig == signal.SIGINT
        self.force_exit = self.should_exit
        self.should_exit = True
        del frame

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started and self.ready is not None:
            self.ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Say how many requests are waited for, and end."""
        if self.server_state.tasks and self.ending is not None:
            self.ending(len(self.server_state.tasks))
        await super().shutdown(sockets)


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """Bind a socket in the block, so that a port that is taken is known before models are loaded.

    Raises `SettingError` for a host or a port that can't be had.
    """
    if not 0 <= port < 1 << 16:  # a larger one would be cut to 16 bits
        message, hint = f"{port} is no port", "ports are 1 to 65535; 0 is any free one"
        raise error_of("setting", message, hint, setting="port")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, proto)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind(address)
        except BaseException:
            found.close()
            raise
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        is_taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        message = f"{host}, port {port}: {why}"
        free = "name another port: --port 8001, or port=0 in Python for any free one"
        raise error_of("setting", message, free if is_taken else None, setting="port") from error
    with found:
        yield found


def server_of(
    app: ASGIApp,
    *,
    drain: float,
    debug: bool = False,
    ready: Callable[[], object] | None = None,
) -> Server:
    """Return the server of an application; rows in flight have `drain` seconds at its end."""
    config = uvicorn.Config(
        app,
        log_level="info" if debug else "error",
        access_log=debug,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=KEPT,
        timeout_graceful_shutdown=math.ceil(drain),
    )
    server = Server(config)
    server.ready = ready
    return server


def run(server: Server, at: socket.socket) -> None:
    """Run a server until it is asked to end. Raises `KeyboardInterrupt` after Ctrl-C."""
    asyncio.run(server.serve([at]))
    if server.interrupted:
        raise KeyboardInterrupt


def address(at: socket.socket) -> str:
    """Return the base URL of a server at a socket."""
    host, port = at.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
