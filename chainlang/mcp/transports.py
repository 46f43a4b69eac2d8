"""Servers of chains at work: over standard input and output, or over HTTP."""

from __future__ import annotations

import hmac
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen

from chainlang.engines.http.endpoint import is_loopback
from chainlang.errors import error_of

if TYPE_CHECKING:
    from mcp.server import Server

KEY = "CHAINLANG_MCP_KEY"
"""Variable of the environment with the key that clients over HTTP send."""
PATH = "/mcp"
_App = Callable[[Any, Any, Any], Awaitable[None]]


def over_stdio(server: Server[Any]) -> None:
    """Serve one client over standard input and output, until it hangs up."""
    import anyio
    from mcp.server.stdio import stdio_server

    async def main() -> None:
        async with stdio_server() as (read, write):
            await server.run(read, write, server.create_initialization_options())

    anyio.run(main)


def app_of(server: Server[Any], host: str) -> _App:
    """Return the ASGI app of a server that listens at a host.

    On this machine a request has to name it as its host, so that no web page can send one under a
    name of its own (DNS rebinding). With a key in the environment each request has to bring it.
    Raises `SettingError` for another host without a key.
    """
    key = os.environ.get(KEY, "")
    if not (key or is_loopback(host)):
        message = f"{host} is reachable from other machines, and there is no key"
        hint = f"set {KEY}, which clients send as a bearer token; or listen at 127.0.0.1"
        raise error_of("setting", message, hint)
    app: _App = server.streamable_http_app(streamable_http_path=PATH, host=host)
    return _Guarded(app, f"Bearer {key}".encode()) if key else app


def over_http(server: Server[Any], host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve clients over HTTP until an interrupt; `ready` is called with the address."""
    import uvicorn

    config = uvicorn.Config(app_of(server, host), host=host, port=port, log_level="warning")
    ready(f"http://{host}:{port}{PATH}")
    uvicorn.Server(config).run()


@frozen
class _Guarded:
    """An app that answers 401 to requests without the key."""

    inner: _App
    expected: bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope.get("headers", ())).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(given, self.expected):
            await self.inner(scope, receive, send)
            return
        headers = [(b"content-type", b"text/plain"), (b"www-authenticate", b"Bearer")]
        await send({"type": "http.response.start", "status": 401, "headers": headers})
        await send({"type": "http.response.body", "body": b"the key is missing or wrong"})
