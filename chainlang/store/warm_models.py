"""State files of warm models: each a server that `chainlang warmup` has started on this machine.

A file holds the key of its server, so only its user can read it, and only files of this user count.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import stat
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from attrs import asdict, field, frozen

from chainlang.protocol.secret import Secret
from chainlang.store.cache_folder import usual_folder

_FAREWELL = 10.0
"""Seconds that a server has to end by itself."""


@frozen
class WarmModel:
    """A model that a server of this machine keeps loaded."""

    name: str
    """Name of the state and the log, made of the model and its settings."""
    model: str
    """Path of the model's folder, or its name on the hub."""
    shown: str
    """The model as it was written."""
    settings: str
    """Settings of the model, as JSON with sorted names."""
    url: str
    key: Secret = field(converter=Secret, repr=False)
    pid: int
    """Process id of the server, which is also the id of its session and process group."""
    born: int
    """Start of the process, in clock ticks since the machine started."""
    started: str
    """Time of the start, in the format of ISO 8601."""
    fingerprint: Mapping[str, Any]
    batch_invariant: bool
    files: str
    """Digest of the names, sizes and times of the model's files; empty for a name on the hub."""
    log: str
    """Path of the server's log."""

    @property
    def is_running(self) -> bool:
        """Whether the process of the server is there, and not another one with its id."""
        return _born(self.pid) == self.born

    @property
    def processes(self) -> list[int]:
        """Ids of the processes of the server, children included."""
        return (
            [one for one in _all_processes() if _of_session(one) == self.pid]
            if (_born(self.pid) in (self.born, None))
            else []
        )

    def write(self) -> None:
        """Write the state, for this user alone."""
        path = _folder() / f"{self.name}.json"
        beside = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        beside.replace(path)

    def end(self) -> int:
        """End all processes of the server, remove the state and the log; return how many it were.

        Raises `TimeoutError` if a process can't be ended.
        """
        found = self.processes
        for sign in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + _FAREWELL
            if self.processes:
                with suppress(ProcessLookupError):
                    os.killpg(self.pid, sign)
            while self.processes and time.monotonic() < until:
                _reap(self.pid)
                time.sleep(0.05)
        if left := self.processes:
            raise TimeoutError(f"process {left[0]} does not end")
        for path in _folder().glob(f"{self.name}.*"):
            path.unlink(missing_ok=True)
        return len(found)


@contextmanager
def starting() -> Iterator[None]:
    """Hold the lock of the folder, so that two commands do not start the same server."""
    with (_folder() / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def name_of(model: str, settings: str) -> str:
    """Return the name of the state of a model with settings."""
    return sha256(f"{model}\0{settings}".encode()).hexdigest()[:16]


def log_of(name: str) -> Path:
    """Return the path of the log of a server."""
    return _folder() / f"{name}.log"


def find(model: str, settings: str) -> WarmModel | None:
    """Return the warm model with these settings, whether it is running or not."""
    return _read(_path() / f"{name_of(model, settings)}.json")


def warm_models() -> Iterator[WarmModel]:
    """Yield all warm models, running or not, the oldest first."""
    found = (_read(path) for path in _path().glob("*.json"))
    yield from sorted((one for one in found if one is not None), key=lambda one: one.started)


def born(pid: int) -> int:
    """Return the start of a process in clock ticks since the machine started; 0 if it has ended."""
    return _born(pid) or 0


def files_of(folder: Path) -> str:
    """Return a digest of the names, sizes and times of the files in a folder, without reading them.

    It is empty if there is no such folder.
    """
    if not folder.is_dir():
        return ""
    found = ((one.name, one.stat()) for one in sorted(folder.iterdir()) if one.is_file())
    return sha256(repr([(n, s.st_size, s.st_mtime_ns) for n, s in found]).encode()).hexdigest()


def _path() -> Path:
    return usual_folder() / "warm"


def _folder() -> Path:
    """Return the folder of the states, which only this user can enter."""
    path = _path()
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def _read(path: Path) -> WarmModel | None:
    """Return a state; None if there is none, or if it may be from another user."""
    try:
        with path.open(encoding="utf-8") as file:
            found = os.fstat(file.fileno())
            if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
                return None
            return WarmModel(**json.load(file))
    except (OSError, ValueError, TypeError):
        return None


# ---------------------------------------------------------------- processes, as Linux shows them


def _stat(pid: int) -> list[str] | None:
    """Return the fields of a process from its state on; None if there is none, or only its end."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a name may have spaces and parentheses
    return None if fields[0] in "ZX" else fields


def _born(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def _of_session(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None else int(fields[3])


def _all_processes() -> Iterator[int]:
    return (int(one.name) for one in Path("/proc").iterdir() if one.name.isdecimal())


def _reap(pid: int) -> None:
    """Collect the end of a process, if it is a child of this one."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
