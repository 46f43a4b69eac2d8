"""Health check of a server before the first request.

A request without a response is retried for a while and then fails its row. If there is no server,
or one with another protocol, that would happen for every row; the health check reports it at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from functools import partial
from typing import Any

from attrs import evolve, field, frozen

from chainlang.engines.event_loop_thread import EventLoopThread
from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.endpoint import Endpoint
from chainlang.engines.openai.new_client import new_client
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import kind_of_status

_PATIENCE = 10.0  # seconds; a server that takes longer may be loading its model
_STEP = 0.05  # seconds between two looks at an interrupt
_ENOUGH = 10_000  # bytes of a response
_NOT_HERE = frozenset({404, 405, 501})
_VERSION = re.compile(r"/v\d+\w*(/|$)")
_NO_KEY = 'pass it as api_key; in a file, api_key=env("OPENAI_API_KEY")'
_WRONG_KEY = "check that the key is complete and belongs to this server"
_OTHER_MODEL = "write the server's name of the model, or start the server with this model"
_ELSEWHERE = (
    "base_url is the address before /chat/completions, and usually ends in /v1; "
    "or another program uses the port"
)


def probe(endpoint: Endpoint, model: str | None, *, connect: float, met: bool = False) -> None:
    """Send a request without messages, which a server rejects at no cost, and check its response.

    `connect` is the timeout for a connection in seconds; the check as a whole takes ten seconds
    more at most. With `met`, a server that has answered before, a refused connection is not an
    error. Raises `EngineError` if no server answers, the key is missing or rejected, the response
    is not one of the chat completions API, or the server lacks the model. A server that is
    overloaded or failing passes.
    """
    import httpx2

    answer, reason = None, ""
    try:
        answer = _sent(endpoint, model, connect)
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        reason = chat_protocol.excerpt(_reason(error))
    except (httpx2.RequestError, TimeoutError):
        return
    if answer is None:  # not within the `except`: frames of the other error hold the headers
        if met:
            return
        hint = "start the server, or set base_url to the address of a running one"
        refuse(f"no server answers at {endpoint.url}: {reason}", hint, setting="base_url")
    _check(endpoint, model, answer, _at_version(endpoint, model, connect, answer))


def _reason(error: BaseException) -> str:
    """Return what the system says of a connection that failed."""
    name = type(error).__name__
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause.exceptions[0] if isinstance(cause, BaseExceptionGroup) else cause
    if (type(error) is OSError or isinstance(error, ConnectionError)) and error.errno:
        return os.strerror(error.errno)  # the event loop has words of its own
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or name


@frozen
class _Answer:
    """The response of a server, as far as it is read."""

    status: int
    received: bytes = field(repr=False)  # it may repeat the key
    location: str | None = field(default=None, repr=False)
    """Target of a redirect."""

    @property
    def document(self) -> Any:
        """Its content as JSON; None if it is not JSON."""
        try:
            return json.loads(self.received)
        except (ValueError, RecursionError):
            return None


def _sent(endpoint: Endpoint, model: str | None, connect: float) -> _Answer:
    """Return the response to a request without messages.

    It is sent in an event loop, where a deadline ends whatever the server keeps busy: headers that
    trickle, informational responses without an end.
    """
    thread = EventLoopThread[_Answer]("chainlang-health-check")
    try:
        thread.start([(0, partial(_exchange, endpoint, model, connect))])
        while not (found := thread.take(_STEP)):
            pass
    finally:
        thread.close()
    (_, answer) = found[0]
    if isinstance(answer, BaseException):
        raise answer
    return answer


async def _exchange(endpoint: Endpoint, model: str | None, connect: float) -> _Answer:
    import httpx2

    empty = {} if model is None else {"model": model, "messages": [], "max_tokens": 1}
    timeout = httpx2.Timeout(_PATIENCE, connect=connect)
    async with (
        asyncio.timeout(connect + _PATIENCE),
        new_client(endpoint, timeout=timeout) as client,
        client.stream(
            "POST", endpoint.completions_url, content=json.dumps(empty).encode()
        ) as answer,
    ):
        received = bytearray()
        async for part in answer.aiter_bytes():
            received += part
            if len(received) > _ENOUGH:
                break
        moved = answer.headers["location"] if answer.has_redirect_location else None
        return _Answer(answer.status_code, bytes(received), moved)


def _at_version(
    endpoint: Endpoint, model: str | None, connect: float, answer: _Answer
) -> Endpoint | None:
    """Return the endpoint with ``/v1`` at its end, if the server has its API there and not here."""
    import httpx2

    if answer.status not in _NOT_HERE or _VERSION.search(endpoint.url):
        return None
    other = evolve(endpoint, url=f"{endpoint.url}/v1")
    try:
        there = _sent(other, model, connect)
    except (httpx2.RequestError, TimeoutError):
        return None
    here = there.status not in _NOT_HERE or _lacks_model(there, model)
    return other if here and _is_chat_completions(there) else None


def _check(
    endpoint: Endpoint, model: str | None, answer: _Answer, elsewhere: Endpoint | None
) -> None:
    status, message = answer.status, endpoint.hide(_message(answer))
    answered = f"answered {status}"
    if message:
        answered += f': "{chat_protocol.excerpt(message)}"'
    if status in {401, 403}:
        what, hint = "requires an API key", _NO_KEY
        if endpoint.key:
            what, hint = "rejects the API key", _WRONG_KEY
        refuse(f"{endpoint.url} {what}: it {answered}", hint, setting="api_key")
    if kind_of_status(status) == "transport":
        return
    if elsewhere is not None:
        what = f"{endpoint.url} has no chat completions: it {answered}"
        refuse(what, f'write base_url="{elsewhere.url}"', setting="base_url")
    if not _is_chat_completions(answer):
        what = f"{endpoint.url} is not a chat completions server: it {answered}"
        refuse(what, _ELSEWHERE, setting="base_url")
    if model is not None and _lacks_model(answer, model):
        what = f"{endpoint.url} has no model {model!r}: it {answered}"
        refuse(what, _OTHER_MODEL, model=model)


def _message(answer: _Answer) -> str:
    text = answer.received.decode("utf-8", "replace")
    return answer.location or chat_protocol.error_message(answer.document, text)


def _lacks_model(answer: _Answer, model: str | None) -> bool:
    """Return whether an error is about the model's name, rather than the empty messages."""
    document, status = answer.document, answer.status
    error = document.get("error") if isinstance(document, dict) else None
    coded = (error.get("param"), error.get("code")) if isinstance(error, dict) else ()
    if "model_not_found" in coded:
        return True
    named = model and re.search(rf"(?<!\w){re.escape(model)}(?!\w)", _message(answer))
    return status in {400, 404} and ("model" in coded or (status == 404 and bool(named)))


def _is_chat_completions(answer: _Answer) -> bool:
    """Return whether a response to a request without messages has the form of the protocol."""
    document, status = answer.document, answer.status
    if not isinstance(document, dict):
        return False
    if status in {404, 405}:  # an unknown model has an error object; an unknown path has none
        return isinstance(document.get("error"), dict)
    return status >= 400 or "choices" in document or "error" in document
