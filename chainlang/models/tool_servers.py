"""Servers of tools that chains declare: how each is started or reached, and its engine."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from chainlang.engines.http.endpoint import Endpoint, Service
from chainlang.engines.protocol import refuse
from chainlang.ir.declarations import Model
from chainlang.ir.tools import is_address
from chainlang.models.declaration import OWN_HOSTS
from chainlang.settings import RowSettings

if TYPE_CHECKING:
    from chainlang.engines.mcp import McpEngine
    from chainlang.engines.mcp.pins import Approved

_PATH = "PATH"
_LARGEST = 8 << 20  # bytes of a message, at least: lists of tools are long
_SANDBOX, _BWRAP = "sandbox", "bwrap"
_OF_SYSTEM = "/usr/local/bin:/usr/bin:/bin"


def lock_of(server: Model) -> Path:
    """Return the path of the lock file of a server: beside the file that declares it.

    That of a server without a file is in the current folder.
    """
    from chainlang.engines.mcp.pins import LOCK

    name = "" if server.span is None else server.span.source.name
    folder = Path(name).parent if name and not name.startswith("<") else Path()
    return (folder if folder.is_dir() else Path()).resolve() / LOCK


def opened_server(server: Model, arguments: Mapping[str, Any]) -> McpEngine:
    """Return the engine of a server with its approved tools.

    `arguments` are its settings, the lock file and the allowed hosts. Raises `EngineError` for a
    server that was not approved, or was approved as another command, for a damaged lock file,
    and a command without a sandbox.
    """
    from chainlang.engines.mcp.pins import Approved, differences, read_lock

    path = Path(arguments["lock"])
    start = start_of(server, arguments)
    approved = read_lock(path).get(server.name)
    hint = "look at its tools, and approve them: chainlang mcp approve FILE"
    if approved is None:
        refuse(f"the tools of the server {server.name!r} are not approved in {path}", hint)
    if found := list(differences(server.name, Approved(approved.start), Approved(start))):
        refuse(f"the server is not the one that was approved: {found[0]}", hint)
    return engine_of(server, arguments, approved)


def whole_arguments(
    server: Model, arguments: Mapping[str, Any], settings: RowSettings
) -> dict[str, Any]:
    """Return the arguments of a server with its lock file and the hosts that are allowed."""
    lock = lock_of(server)
    state = hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else ""
    hosts = (*settings.allowed_hosts, *arguments.get(OWN_HOSTS, ()))
    own = {"lock": str(lock), "approved": state, "name": server.name, OWN_HOSTS: hosts}
    return {**arguments, **own}


def start_of(server: Model, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a server is started or reached, as the lock file has it."""
    if is_address(server.source):
        return {"address": server.source}
    return {
        "command": [server.source, *_several(arguments.get("args"))],
        "env": sorted(_several(arguments.get("env"))),
        "network": bool(arguments.get("network", False)),
        "read": _several(arguments.get("read")),
        _SANDBOX: arguments.get(_SANDBOX, _BWRAP),
        "write": _several(arguments.get("write")),
    }


def engine_of(
    server: Model, arguments: Mapping[str, Any], approved: Approved | None = None
) -> McpEngine:
    """Return the engine of a server; without approved tools it is for looking at them alone."""
    from chainlang.engines.mcp import McpEngine
    from chainlang.engines.mcp.engine import CONCURRENCY, MAX_BYTES, SECONDS

    most = int(arguments.get("max_bytes", MAX_BYTES))
    message = max(_LARGEST, 8 * most)
    target: _Address | _Process
    if is_address(server.source):
        target = _Address(_endpoint(server, arguments), message)
    else:
        argv, environment = _command(server, arguments), _environment(arguments)
        target = _Process(argv, environment, message, _confined(argv, arguments))
    return McpEngine(
        target.connect,
        name=server.name,
        approved=approved,
        start=start_of(server, arguments),
        why=target.why,
        seconds=float(arguments.get("seconds", SECONDS)),
        max_bytes=most,
        max_concurrency=int(arguments.get("max_concurrency", CONCURRENCY)),
    )


def _several(value: Any) -> list[str]:
    return [] if value is None else [value] if isinstance(value, str) else list(value)


# ---------------------------------------------------------------- commands


class _Process:
    """A server that is a command, and its last process."""

    def __init__(self, *new: Any) -> None:
        self._new = new
        self._last: Any = None

    def connect(self) -> Any:
        """Return the transport of a new process."""
        from chainlang.engines.mcp.stdio import Command

        self._last = Command(*self._new)
        return self._last.streams()

    def why(self) -> str:
        """Return why its last process can't be talked to; empty if it is not known."""
        if self._last is None or not self._last.fault:
            return ""
        said = self._last.said
        return f"{self._last.fault}; it said: {said}" if said else str(self._last.fault)


def _command(server: Model, arguments: Mapping[str, Any]) -> list[str]:
    found = shutil.which(server.source)
    if found is None:
        message = f"there is no command {server.source!r} for the server {server.name!r}"
        refuse(message, "install it, or write its path")
    return [found, *_several(arguments.get("args"))]


def _confined(argv: list[str], arguments: Mapping[str, Any]) -> Any:
    """Return the function that puts a command into its sandbox; None for one without.

    Raises `EngineError` if there is no sandbox here, and for a path outside the server's folder.
    """
    if arguments.get(_SANDBOX, _BWRAP) == "none":
        return None
    from chainlang.sandboxes.available import sandbox
    from chainlang.sandboxes.command import confined

    sandbox(_BWRAP)  # or the reason why there is none
    folder = Path(arguments["lock"]).parent
    read, write = (
        tuple(_inside(folder, one, name) for one in _several(arguments.get(name)))
        for name in ("read", "write")
    )
    network = bool(arguments.get("network", False))
    return partial(confined, argv, folder=folder, read=read, write=write, network=network)


def _inside(folder: Path, name: str, setting: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder) or not path.exists():
        what = "is not there" if path.is_relative_to(folder) else "is outside the folder"
        refuse(f"{setting} names {name!r}, which {what}: {folder}", None, setting=setting)
    return path


def _environment(arguments: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables that a command has: the path, and those that are declared."""
    found = {_PATH: os.environ.get(_PATH, os.defpath)}
    if arguments.get(_SANDBOX, _BWRAP) != "none":
        found = {_PATH: _OF_SYSTEM, "HOME": "/tmp"}  # noqa: S108  # its own
    for name in _several(arguments.get("env")):
        if name not in os.environ:
            refuse(f"the variable {name!r} of a server is not set", f"export {name}=...")
        found[name] = os.environ[name]
    return found


# ---------------------------------------------------------------- addresses


@frozen
class _Address:
    """A server with an address."""

    endpoint: Endpoint
    most: int

    def connect(self) -> Any:
        """Return the transport of a new session."""
        from chainlang.engines.mcp.http import streams

        return streams(self.endpoint, self.most)

    def why(self) -> str:
        """Return nothing: the error of a request says why."""
        return ""


def _endpoint(server: Model, arguments: Mapping[str, Any]) -> Endpoint:
    return Endpoint.of(
        Service("mcp", "", "", "Authorization", "Bearer "),
        server.source,
        arguments.get("api_key"),
        arguments.get(OWN_HOSTS, ()),
        arguments.get("headers"),
    )
