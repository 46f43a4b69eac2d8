"""ASGI application: the routes of the protocol, and an error of its form for everything else."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, frozen
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from chainlang.serving.answering import Answering, Shared
from chainlang.serving.callers import Caller, Callers
from chainlang.serving.chat_request import LONGEST_BODY, noted, read_body, read_chat
from chainlang.serving.chat_stream import QUIET, EventStream
from chainlang.serving.offers import Offer
from chainlang.serving.openapi import page
from chainlang.serving.refusals import SERVER_ERROR, Refused, ending
from chainlang.serving.until_gone import Gone, until_gone

LOG = logging.getLogger("chainlang.serving")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "[::1]", "::1"})
"""Names of this machine."""
_CODES = {404: "not_found", 405: "method_not_allowed"}


@frozen(kw_only=True)
class Manner:
    """Manners of a server: its strictness and its log."""

    strict: bool = False
    """Whether a field without effect is an error; otherwise a header names it."""
    debug: bool = False
    """Whether the log has the texts of errors, which may hold prompts and replies."""
    quiet: float = QUIET
    """Seconds without an event after which a stream sends a comment."""


@define(eq=False)
class Application:
    """Models, callers and manners, which the routes share."""

    offers: dict[str, Offer]
    callers: Callers
    shared: Shared
    manner: Manner

    def asgi(self) -> Starlette:
        """Return the application."""
        slots = self.shared.slots
        self.shared.metrics.watch(lambda: slots.running, lambda: slots.waiting)
        routes = [
            Route("/v1/chat/completions", self._guarded(self._chat), methods=["POST"]),
            Route("/v1/models", self._guarded(self._models), methods=["GET"]),
            Route("/v1/models/{name:path}", self._guarded(self._model), methods=["GET"]),
            Route("/metrics", self._guarded(self._metrics), methods=["GET"]),
            Route("/openapi.json", self._guarded(self._openapi), methods=["GET"]),
            Route("/health", _health, methods=["GET"]),
        ]
        handlers: dict[Any, Any] = {
            HTTPException: _of_router,
            Refused: _refused,
        }
        made = Starlette(routes=routes, exception_handlers=handlers)
        made.router.redirect_slashes = False
        return made

    def report(self, error: Exception) -> Refused:
        """Log an error of ours, and return what the client reads of it.

        Without `debug` the log has the places of the error, and not its text.
        """
        if self.manner.debug:
            LOG.error("a request failed", exc_info=error)
        else:
            places = traceback.extract_tb(error.__traceback__)[-3:]
            where = ", ".join(f"{one.filename}:{one.lineno}" for one in places)
            LOG.error("a request failed: %s at %s", type(error).__name__, where)
        message = f"the server failed: {type(error).__name__}; its log says where"
        return Refused(500, message, SERVER_ERROR, code="internal_error")

    def _guarded(
        self, handler: Callable[[Request, Caller], Awaitable[ASGIApp]]
    ) -> Callable[[Request], Awaitable[Any]]:
        """Return a handler behind the key and, without keys, behind the name of the host.

        A page of another site can have its name resolve to this machine, and then send requests.
        """

        async def guarded(request: Request) -> Any:
            if not self.callers.has_keys and not _is_here(request):
                host = noted([request.headers.get("host", "")])
                message = f"without keys only requests to localhost are answered, not to {host!r}; "
                message += "give the server keys: --key me=env:NAME"
                raise Refused(403, message, code="wrong_host")
            caller = self.callers.of_header(request.headers.get("authorization", ""))
            try:
                return await handler(request, caller)
            except (ClientDisconnect, Gone):
                return Response(status_code=499)  # no client reads it
            except asyncio.CancelledError:  # the server has no more time
                return _answer(ending())
            except Refused:
                raise
            except Exception as error:  # noqa: BLE001  # whatever it is, the client reads an error
                return _answer(self.report(error))

        return guarded

    async def _chat(self, request: Request, caller: Caller) -> ASGIApp:
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media != "application/json":  # a page of another site can't send this one unasked
            raise Refused(415, "send Content-Type: application/json", code="unsupported_media_type")
        asked = read_chat(read_body(await _body(request)))
        offer = self._offer(asked.model, caller)
        row, unread = asked.row(offer)
        ignored = (*asked.ignored, *unread)
        if ignored and self.manner.strict:
            message = f"{noted(ignored)}: this has no effect on a chain, which says how it samples"
            raise Refused(400, message, param=noted(ignored[:1]), code="unsupported_parameter")
        try:
            caller.enter()
        except Refused:
            self.shared.metrics.limited(caller.name)
            raise
        self.shared.slots.check()
        answering = Answering.of(asked.seed, row, offer, caller, self.shared)
        headers = {"x-chainlang-ignored": noted(ignored)} if ignored else {}
        if asked.streams:
            return EventStream(
                lambda: answering.chunks(usage=asked.wants_usage),
                headers,
                self.report,
                self.manner.quiet,
            )
        reply = await until_gone(request.receive, answering.whole())
        return JSONResponse(reply, headers=headers)

    def _offer(self, name: str, caller: Caller) -> Offer:
        """Return the offer of a model, unless the caller may not use it."""
        if name not in self.offers or not caller.may_use(name):
            known = ", ".join(one for one in self.offers if caller.may_use(one))
            message = f"there is no model {name!r}; there are: {known}"
            raise Refused(404, message, param="model", code="model_not_found")
        return self.offers[name]

    async def _models(self, _: Request, caller: Caller) -> ASGIApp:
        data = [_described(one) for one in self._offered(caller)]
        return JSONResponse({"object": "list", "data": data})

    async def _model(self, request: Request, caller: Caller) -> ASGIApp:
        return JSONResponse(_described(self._offer(request.path_params["name"], caller)))

    async def _metrics(self, _: Request, __: Caller) -> ASGIApp:
        text, media = self.shared.metrics.text()
        return Response(text, media_type=media)

    async def _openapi(self, _: Request, caller: Caller) -> ASGIApp:
        return JSONResponse(page(self._offered(caller), has_keys=self.callers.has_keys))

    def _offered(self, caller: Caller) -> list[Offer]:
        return [one for one in self.offers.values() if caller.may_use(one.name)]


def _described(one: Offer) -> dict[str, Any]:
    """Return the description of a model; with further fields, what the row of a request has."""
    row = {"message": one.text_field, "fields": one.fields}
    more = {"chainlang": row} if one.fields["properties"] else {}
    return {"id": one.name, "object": "model", "created": 0, "owned_by": "chainlang", **more}


async def _health(_: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _body(request: Request) -> bytes:
    """Return the body of a request. Raises `Refused` if it is too long, before it is read whole."""
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > LONGEST_BODY:
            message = f"the body has more than {LONGEST_BODY >> 20} MiB"
            raise Refused(413, message, code="body_too_large", headers={"connection": "close"})
        parts.append(part)
    return b"".join(parts)


def _is_here(request: Request) -> bool:
    """Return whether a request names this machine as its host."""
    host = request.headers.get("host", "")
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return name.lower() in LOOPBACK


def _answer(refused: Refused) -> Response:
    return JSONResponse(refused.body, refused.status, headers=dict(refused.headers))


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return _answer(error)


async def _of_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = f"{error.detail}: {request.method} {request.url.path[:200]}"
    code = _CODES.get(error.status_code)
    headers = dict(error.headers or {})
    return _answer(Refused(error.status_code, message, code=code, headers=headers))
