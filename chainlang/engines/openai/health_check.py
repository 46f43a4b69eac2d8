"""Whether an address leads to a server that can be asked: found out before the first question.

A question that comes to nothing is asked again, for a while, and then fails its row. Where nobody
listens, or somebody else does, that would be so for every row; it is better said at once.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.endpoint import Endpoint
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import kind_of_status

if TYPE_CHECKING:
    import httpx2

_PATIENCE = 10.0  # seconds; a server that says nothing for longer may be loading its model
_ENOUGH = 10_000  # bytes of an answer
_NO_KEY = 'pass it as api_key; in a file, api_key=env("OPENAI_API_KEY")'
_WRONG_KEY = "is it a key for this server, and whole?"
_OTHER_MODEL = "write the name that the server has for it, or start the server with this model"
_ELSEWHERE = (
    "base_url is what stands before /chat/completions, and mostly ends in /v1; "
    "or has another program taken the port?"
)


def probe(endpoint: Endpoint, model: str | None, *, connect: float, met: bool = False) -> None:
    """Put a question without messages, which a server refuses at no cost; look at how it does that.

    `connect` is how many seconds to wait for a connection. One that was `met` before may not answer
    now. Raises `EngineError` where nobody
    listens, the key is not taken, the answer is not that of a server for chat completions, or says
    that there is no such model. A server that is in trouble is none of these.
    """
    import httpx2

    timeout = httpx2.Timeout(_PATIENCE, connect=connect)
    empty = {} if model is None else {"model": model, "messages": [], "max_tokens": 1}
    try:
        with (
            httpx2.Client(timeout=timeout, trust_env=not endpoint.loopback) as client,
            client.stream(
                "POST",
                endpoint.questions,
                content=json.dumps(empty).encode(),
                headers=endpoint.headers,
            ) as answer,
        ):
            _judge(endpoint, model, answer, _beginning(answer))
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        if met:
            return
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        hint = "start it, or write the address of one that runs as base_url"
        message = f"no server answers at {endpoint.url}: {chat_protocol.excerpt(reason)}"
        refuse(message, hint, setting="base_url")
    except httpx2.RequestError:
        return


def _beginning(answer: httpx2.Response) -> bytes:
    received = bytearray()
    for part in answer.iter_bytes():
        received += part
        if len(received) > _ENOUGH:
            break
    return bytes(received)


def _judge(endpoint: Endpoint, model: str | None, answer: httpx2.Response, received: bytes) -> None:
    status = answer.status_code
    try:
        document = json.loads(received)
    except (ValueError, RecursionError):
        document = None
    told = chat_protocol.said(document, received.decode("utf-8", "replace"))
    words = f"answered {status}"
    if answer.has_redirect_location:
        told = answer.headers["location"]
    if told:
        words += f': "{chat_protocol.excerpt(endpoint.hide(told))}"'
    if status in {401, 403}:
        what, hint = "asks for an API key", _NO_KEY
        if endpoint.key:
            what, hint = "does not take the API key", _WRONG_KEY
        refuse(f"{endpoint.url} {what}: it {words}", hint, setting="api_key")
    if kind_of_status(status) == "transport":
        return
    if not _in_the_protocol(status, document):
        message = f"{endpoint.url} is no server for chat completions: it {words}"
        refuse(message, _ELSEWHERE, setting="base_url")
    if model is not None and _lacks_the_model(status, document, told, model):
        message = f"{endpoint.url} has no model {model!r}: it {words}"
        refuse(message, _OTHER_MODEL, model=model)


def _lacks_the_model(status: int, document: Any, told: str, model: str) -> bool:
    """Return whether an error is about the name of the model, and not about what is empty."""
    error = document.get("error")
    coded = (error.get("param"), error.get("code")) if isinstance(error, dict) else ()
    if "model_not_found" in coded:
        return True
    named = re.search(rf"(?<!\w){re.escape(model)}(?!\w)", told) is not None
    return status in {400, 404} and ("model" in coded or (status == 404 and named))


def _in_the_protocol(status: int, document: Any) -> bool:
    """Return whether an answer to an empty question is one of a server of this kind."""
    if not isinstance(document, dict):
        return False
    if status in {404, 405}:  # of the model perhaps, and not of the path
        return isinstance(document.get("error"), dict)
    return status >= 400 or "choices" in document or "error" in document
