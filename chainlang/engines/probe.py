"""Whether an address leads to a server that can be asked: found out before the first question.

A question that comes to nothing is asked again, for a while, and then fails its row. Where nobody
listens, or somebody else does, that would be so for every row; it is better said at once.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from chainlang.engines import chat
from chainlang.engines.endpoint import Endpoint, refuse

if TYPE_CHECKING:
    import httpx2

_PATIENCE = 10.0  # seconds; a server that says nothing for longer may be loading its model
_ENOUGH = 10_000  # bytes of an answer
_NO_KEY = 'pass it as api_key; in a file, api_key=env("OPENAI_API_KEY")'
_WRONG_KEY = "is it a key for this server, and whole?"
_ELSEWHERE = (
    "base_url is what stands before /chat/completions, and mostly ends in /v1; "
    "or has another program taken the port?"
)


def probe(endpoint: Endpoint, *, connect: float) -> None:
    """Put an empty question, which a server refuses at no cost, and look at how it does that.

    `connect` is how many seconds to wait for a connection. Raises `EngineError` where nobody
    listens, the key is not taken, or the answer is not that of a server for chat completions. A
    server that is in trouble is none of these.
    """
    import httpx2

    timeout = httpx2.Timeout(_PATIENCE, connect=connect)
    try:
        with (
            httpx2.Client(timeout=timeout, trust_env=not endpoint.loopback) as client,
            client.stream(
                "POST", endpoint.questions, content=b"{}", headers=endpoint.headers
            ) as answer,
        ):
            _judge(endpoint, answer, _beginning(answer))
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        hint = "start it, or write the address of one that runs as base_url"
        refuse(f"no server answers at {endpoint.url}: {chat.excerpt(reason)}", hint)
    except httpx2.RequestError:
        return


def _beginning(answer: httpx2.Response) -> bytes:
    received = bytearray()
    for part in answer.iter_bytes():
        received += part
        if len(received) > _ENOUGH:
            break
    return bytes(received)


def _judge(endpoint: Endpoint, answer: httpx2.Response, received: bytes) -> None:
    status = answer.status_code
    try:
        document = json.loads(received)
    except (ValueError, RecursionError):
        document = None
    told = chat.said(document, received.decode("utf-8", "replace"))
    words = f"answered {status}"
    if answer.has_redirect_location:
        told = answer.headers["location"]
    if told:
        words += f': "{chat.excerpt(endpoint.hide(told))}"'
    if status in {401, 403}:
        what, hint = "asks for an API key", _NO_KEY
        if endpoint.key:
            what, hint = "does not take the API key", _WRONG_KEY
        refuse(f"{endpoint.url} {what}: it {words}", hint)
    in_trouble = status in {408, 425, 429} or (status >= 500 and status not in {501, 505})
    if not in_trouble and not _in_the_protocol(status, document):
        refuse(f"{endpoint.url} is no server for chat completions: it {words}", _ELSEWHERE)


def _in_the_protocol(status: int, document: Any) -> bool:
    """Return whether an answer to an empty question is one of a server of this kind."""
    if not isinstance(document, dict):
        return False
    if status in {404, 405}:  # of the model perhaps, and not of the path
        return isinstance(document.get("error"), dict)
    return status >= 400 or "choices" in document or "error" in document
