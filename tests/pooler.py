"""A pooler of PostgreSQL, as pgbouncer is one, as far as the tests need it."""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import define, field

_NO_ENCRYPTION = (80877103, 80877104)
_STARTUP = struct.pack("!I", 196608) + b"user\0me\0database\0postgres\0\0"


@define(eq=False)
class _Pool:
    """Sessions of the server that no client has; the last one is given out first."""

    server: str
    by_transaction: bool
    free: list[socket.socket] = field(factory=list)
    opened: list[socket.socket] = field(factory=list)
    """Everything that is to be closed at the end."""
    threads: list[threading.Thread] = field(factory=list)

    def take(self) -> socket.socket:
        """Return a session that is ready."""
        if self.free:
            return self.free.pop()
        session = socket.socket(socket.AF_UNIX)
        self.opened.append(session)
        session.connect(self.server)
        session.sendall(struct.pack("!I", len(_STARTUP) + 4) + _STARTUP)
        while _message(session)[0] != b"Z":
            pass
        return session

    def start(self, client: socket.socket) -> None:
        """Serve a client in a thread of its own."""
        self.opened.append(client)
        self.threads.append(threading.Thread(target=self.serve, args=(client,), daemon=True))
        self.threads[-1].start()

    def close(self) -> None:
        """End all sessions, and wait for the threads that serve them."""
        for one in self.opened:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self.threads:
            thread.join()
        for one in self.opened:
            one.close()

    def serve(self, client: socket.socket) -> None:
        """Relay what a client and its sessions say, until the client ends."""
        with suppress(OSError, struct.error), client:
            _greet(client)
            self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        session: socket.socket | None = None
        try:
            while True:
                ready = select.select([client, *([session] if session else [])], [], [])[0]
                if session in ready and session is not None:
                    kind, body = _message(session)
                    client.sendall(_packed(kind, body))
                    if kind == b"Z" and body == b"I" and self.by_transaction:
                        self.free.append(session)
                        session = None
                elif client in ready:
                    kind, body = _message(client)
                    if kind == b"X":
                        return
                    session = session or self.take()
                    session.sendall(_packed(kind, body))
        finally:
            if session is not None:
                session.close()


def _greet(client: socket.socket) -> None:
    """Let a client in, as a session with a number of the pooler's own."""
    while True:
        (length,) = struct.unpack("!I", _exactly(client, 4))
        (code,) = struct.unpack("!I", _exactly(client, length - 4)[:4])
        if code not in _NO_ENCRYPTION:
            break
        client.sendall(b"N")
    client.sendall(_packed(b"R", struct.pack("!I", 0)))
    said = {"server_version": "16.0", "client_encoding": "UTF8", "integer_datetimes": "on"}
    for name, value in said.items():
        client.sendall(_packed(b"S", f"{name}\0{value}\0".encode()))
    client.sendall(_packed(b"K", struct.pack("!II", 1, 1)) + _packed(b"Z", b"I"))


def _exactly(one: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = one.recv(count - len(found))
        if not more:
            raise OSError
        found += more
    return found


def _message(one: socket.socket) -> tuple[bytes, bytes]:
    kind = _exactly(one, 1)
    (length,) = struct.unpack("!I", _exactly(one, 4))
    return kind, _exactly(one, length - 4)


def _packed(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


@contextmanager
def pooler(server: Path, *, by_transaction: bool) -> Iterator[str]:
    """Yield the address of a pooler before the server whose socket is in a folder.

    A session is of one client until it ends, or `by_transaction` until its transaction does.
    """
    pool = _Pool(f"{server}/.s.PGSQL.5432", by_transaction)
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{folder}/.s.PGSQL.5432")
        listening.listen()

        def accept() -> None:
            with suppress(OSError):
                while True:
                    client, _ = listening.accept()
                    pool.start(client)

        accepting = threading.Thread(target=accept, daemon=True)
        accepting.start()
        try:
            yield f"postgresql://me@/postgres?host={folder}"
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()
            pool.close()
