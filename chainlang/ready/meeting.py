"""Socket at which a command and the ready process meet, of one user and for processes alike.

What a process has from its start, and can't be sent to another one, is in the name of the socket.
So a command finds a ready process that would run it as its own process would, or none. Linux only.
Only the standard library is imported here, and little of it: each command waits for it.
"""

from __future__ import annotations

import os
import resource
import socket
import stat
import struct
import sys
from collections.abc import Iterator

from chainlang.ready.cache_folder import cache_folder

ENVIRONMENT = ("PYTHON", "LC_", "LANG", "TZ", "LD_", "OPENSSL_")
"""Beginnings of the variables that Python and its libraries read once, as they start."""
_NAMESPACES = ("mnt", "net", "pid", "user")
SECONDS = 5.0
"""Seconds that either side waits for the other, but for the end of a command."""
RUN, LOOK, END = b"r", b"l", b"e"
"""Requests to the ready process: to run a command, to say how many it runs, to end."""
YES, GO = b"y", b"g"
"""Its word that it would run a command, and the order to, after which nothing else runs it."""


def folder() -> str:
    """Return the folder of warm models, which may be missing."""
    return os.path.join(cache_folder(), "warm")


def likeness() -> str:
    """Return what two processes have in common whose commands do the same."""
    umask = os.umask(0o077)
    os.umask(umask)
    found = [
        sys.version, sys.prefix, __file__, sys.flags, sys._xoptions,
        sys.warnoptions, sys.path[1:], umask, os.getresuid(), os.getresgid(), os.getgroups(),
        os.getpriority(os.PRIO_PROCESS, 0),
        *map(_kind, (sys.__stdin__, sys.__stdout__, sys.__stderr__)),
        *(os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES),
        *(
            resource.getrlimit(getattr(resource, name))
            for name in dir(resource) if name.startswith("RLIMIT_")
        ),
        *sorted(one for one in os.environ.items() if one[0].startswith(ENVIRONMENT)),
    ]  # fmt: skip
    return repr(found)


def _kind(stream: object) -> tuple[object, ...]:
    """Return what Python has chosen for a stream; how it handles errors, a command changes."""
    return getattr(stream, "encoding", None), getattr(stream, "write_through", None)


def address() -> str:
    """Return the path of the socket of processes that are like this one."""
    from hashlib import sha256

    name = sha256(likeness().encode(errors="surrogateescape")).hexdigest()[:16]
    return os.path.join(folder(), f"ready-{name}.sock")


def log_of(path: str) -> str:
    """Return the path of the log of a ready process, by that of its socket."""
    return path.removesuffix(".sock") + ".log"


def addresses() -> Iterator[str]:
    """Yield the paths of all sockets of the user's ready processes."""
    try:
        names = sorted(os.listdir(folder()))
    except OSError:
        return
    yield from (
        os.path.join(folder(), one)
        for one in names
        if one.startswith("ready-") and one.endswith(".sock")
    )


def is_own(path: str) -> bool:
    """Return whether a folder belongs to this user, and no other can enter it."""
    found = os.stat(path)
    return found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077


def connected(path: str) -> tuple[socket.socket, int]:
    """Return a connection to a ready process of this user, and the id of that process.

    Raises `OSError` if there is none.
    """
    if not is_own(os.path.dirname(path)):
        raise PermissionError(path)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(SECONDS)
        with short(path) as name:
            connection.connect(name)
        pid, uid = peer(connection)
        if uid != os.geteuid():
            raise PermissionError(path)
    except BaseException:
        connection.close()
        raise
    return connection, pid


class short:  # noqa: N801  # a context manager
    """A path of a socket that is short enough for the system, in the block."""

    def __init__(self, path: str) -> None:
        self.folder, self.name = os.path.split(path)

    def __enter__(self) -> str:
        self.number = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        return f"/proc/self/fd/{self.number}/{self.name}"

    def __exit__(self, *_: object) -> None:
        os.close(self.number)


def peer(connection: socket.socket) -> tuple[int, int]:
    """Return the ids of the process at the other side and of its user, as the system knows them."""
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("3i", found)
    return pid, uid


def send(connection: socket.socket, what: bytes, texts: list[bytes], files: list[int]) -> None:
    """Send a message of texts, and of open files by their numbers."""
    body = what + b"".join(struct.pack("I", len(one)) + one for one in texts)
    socket.send_fds(connection, [struct.pack("Q", len(body))], files)
    connection.sendall(body)


def received(connection: socket.socket) -> tuple[bytes, list[bytes], list[int]]:
    """Return a message: what is asked, texts, and open files. Raises `OSError` if it is cut."""
    begin, files, _, _ = socket.recv_fds(connection, struct.calcsize("Q"), 16)
    texts: list[bytes] = []
    try:
        (size,) = struct.unpack("Q", begin)
        body = bytearray()
        while len(body) < size:
            more = connection.recv(size - len(body))
            if not more:
                raise EOFError
            body += more
        at = 1
        while at < size:
            (length,) = struct.unpack_from("I", body, at)
            at += struct.calcsize("I") + length
            texts.append(bytes(body[at - length : at]))
        return bytes(body[:1]), texts, files
    except (EOFError, struct.error) as error:
        for one in files:
            os.close(one)
        raise ConnectionError(str(error)) from None
