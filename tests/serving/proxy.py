"""A reverse proxy as stands before a server: another name and path, connections that are kept."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from chainlang.serving.server import listening
from tests.serving.served import PATIENCE, until

PATH = "/llm"
NAME = "llm.example"
"""Name under which the proxy is known, which it passes on as the host."""
_OF_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@contextmanager
def proxied(url: str, *, name: str | None = NAME) -> Iterator[str]:
    """Stand before a server in the block; yield the address of its API behind the proxy.

    `name` is the host that it passes on; None for that of the server.
    """
    upstream = url.removesuffix("/v1")
    client = httpx2.AsyncClient(timeout=PATIENCE)

    async def passed_on(request: Request) -> StreamingResponse:
        headers = [
            (key, value) for key, value in request.headers.items() if key not in _OF_CONNECTION
        ]
        headers += [("x-forwarded-for", "203.0.113.7"), ("x-forwarded-proto", "https")]
        headers += [("x-forwarded-prefix", PATH)] + ([("host", name)] if name else [])
        path = request.url.path.removeprefix(PATH)
        sent = client.build_request(
            request.method, upstream + path, headers=headers, content=request.stream()
        )
        answer = await client.send(sent, stream=True)

        async def body() -> AsyncIterator[bytes]:
            try:
                async for part in answer.aiter_raw():
                    yield part
            finally:
                await answer.aclose()

        kept = {key: value for key, value in answer.headers.items() if key not in _OF_CONNECTION}
        return StreamingResponse(body(), answer.status_code, kept)

    methods = ["GET", "HEAD", "POST", "OPTIONS"]
    app = Starlette(routes=[Route(f"{PATH}/{{rest:path}}", passed_on, methods=methods)])
    with listening("127.0.0.1", 0) as at:
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
        thread = threading.Thread(target=lambda: asyncio.run(_served(server, at, client)))
        thread.start()
        try:
            until(lambda: server.started)
            yield f"http://127.0.0.1:{at.getsockname()[1]}{PATH}/v1"
        finally:
            server.should_exit = True
            thread.join()


async def _served(server: uvicorn.Server, at: object, client: httpx2.AsyncClient) -> None:
    await server.serve([at])  # type: ignore[list-item]
    await client.aclose()
