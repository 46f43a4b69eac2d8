"""Origins: pages of other sites that may use a server from a browser."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chainlang.diagnostics.diagnostic import Diagnostic

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

_SHOWN = ("retry-after", "x-chainlang-ignored", "x-should-retry")
"""Headers of answers that a page may read."""


def open_to(app: ASGIApp, origins: Collection[str]) -> ASGIApp:
    """Return an application that pages of these origins may use; others get no word of it.

    What their browsers ask before a request is answered without a key, which they do not send.
    """
    if not origins:
        return app
    from starlette.datastructures import Headers
    from starlette.middleware.cors import CORSMiddleware

    allowed = {one for one in map(normal, origins) if one}
    answering = CORSMiddleware(
        app,
        allow_origins=[*allowed],
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=_SHOWN,
    )

    async def asgi(scope: Scope, receive: Receive, send: Send) -> None:
        is_http = scope["type"] == "http"
        origin = Headers(scope=scope).get("origin") if is_http else None
        await (answering if origin in allowed else app)(scope, receive, send)

    return asgi


def faults(origins: Collection[str]) -> Iterator[Diagnostic]:
    """Yield what is wrong with origins."""
    for one in origins:
        if normal(one) is None:
            message = f"{one!r} is no origin"
            hint = "write scheme and host as a browser sends them: https://ui.example"
            yield Diagnostic("setting", message, None, hint, setting="origins")


def normal(origin: str) -> str | None:
    """Return an origin as browsers send it; None for anything else.

    >>> normal("https://UI.example:443/"), normal("http://localhost:3000"), normal("*")
    ('https://ui.example', 'http://localhost:3000', None)
    """
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    more = (parts.path.strip("/"), parts.query, parts.fragment, parts.username, parts.password)
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not host or any(more) or not host.isascii():
        return None
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port not in (None, usual) else "")
