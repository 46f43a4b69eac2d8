"""Health check of a server before the first request.

A request without a response is retried for a while and then fails its row. If there is no server,
or one with another protocol, that would happen for every row; the health check reports it at once.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from chainlang.engines.openai import chat_protocol
from chainlang.engines.openai.certificates import certificates
from chainlang.engines.openai.endpoint import Endpoint
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import kind_of_status

if TYPE_CHECKING:
    import httpx2

_PATIENCE = 10.0  # seconds; a server that takes longer may be loading its model
_ENOUGH = 10_000  # bytes of a response
_NO_KEY = 'pass it as api_key; in a file, api_key=env("OPENAI_API_KEY")'
_WRONG_KEY = "check that the key is complete and belongs to this server"
_OTHER_MODEL = "write the server's name of the model, or start the server with this model"
_ELSEWHERE = (
    "base_url is the address before /chat/completions, and usually ends in /v1; "
    "or another program uses the port"
)


def probe(endpoint: Endpoint, model: str | None, *, connect: float, met: bool = False) -> None:
    """Send a request without messages, which a server rejects at no cost, and check its response.

    `connect` is the timeout for a connection in seconds. With `met`, a server that has answered
    before, a refused connection is not an error. Raises `EngineError` if no server answers, the key
    is missing or rejected, the response is not one of the chat completions API, or the server lacks
    the model. A server that is overloaded or failing passes.
    """
    import httpx2

    timeout = httpx2.Timeout(_PATIENCE, connect=connect)
    empty = {} if model is None else {"model": model, "messages": [], "max_tokens": 1}
    try:
        with (
            httpx2.Client(
                timeout=timeout,
                verify=certificates(endpoint),
                trust_env=not endpoint.loopback,
            ) as client,
            client.stream(
                "POST",
                endpoint.completions_url,
                content=json.dumps(empty).encode(),
                headers=endpoint.headers,
            ) as answer,
        ):
            _check(endpoint, model, answer, _beginning(answer))
    except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:
        if met:
            return
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        hint = "start the server, or set base_url to the address of a running one"
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


def _check(endpoint: Endpoint, model: str | None, answer: httpx2.Response, received: bytes) -> None:
    status = answer.status_code
    try:
        document = json.loads(received)
    except (ValueError, RecursionError):
        document = None
    message = chat_protocol.error_message(document, received.decode("utf-8", "replace"))
    answered = f"answered {status}"
    if answer.has_redirect_location:
        message = answer.headers["location"]
    if message:
        answered += f': "{chat_protocol.excerpt(endpoint.hide(message))}"'
    if status in {401, 403}:
        what, hint = "requires an API key", _NO_KEY
        if endpoint.key:
            what, hint = "rejects the API key", _WRONG_KEY
        refuse(f"{endpoint.url} {what}: it {answered}", hint, setting="api_key")
    if kind_of_status(status) == "transport":
        return
    if not _is_chat_completions(status, document):
        what = f"{endpoint.url} is not a chat completions server: it {answered}"
        refuse(what, _ELSEWHERE, setting="base_url")
    if model is not None and _lacks_model(status, document, message, model):
        what = f"{endpoint.url} has no model {model!r}: it {answered}"
        refuse(what, _OTHER_MODEL, model=model)


def _lacks_model(status: int, document: Any, message: str, model: str) -> bool:
    """Return whether an error is about the model's name, rather than the empty messages."""
    error = document.get("error")
    coded = (error.get("param"), error.get("code")) if isinstance(error, dict) else ()
    if "model_not_found" in coded:
        return True
    named = re.search(rf"(?<!\w){re.escape(model)}(?!\w)", message) is not None
    return status in {400, 404} and ("model" in coded or (status == 404 and named))


def _is_chat_completions(status: int, document: Any) -> bool:
    """Return whether a response to a request without messages has the form of the protocol."""
    if not isinstance(document, dict):
        return False
    if status in {404, 405}:  # an unknown model has an error object; an unknown path has none
        return isinstance(document.get("error"), dict)
    return status >= 400 or "choices" in document or "error" in document
