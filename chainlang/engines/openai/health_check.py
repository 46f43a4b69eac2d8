"""Health check of a server before the first request.

A request without a response is retried for a while and then fails its row. If there is no server,
or one with another protocol, that would happen for every row; the health check reports it at once.
"""

from __future__ import annotations

import re

from attrs import evolve

from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.reach import Answer, exchanged, reach
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import kind_of_status

_NOT_HERE = frozenset({404, 405, 501})
_VERSION = re.compile(r"/v\d+\w*(/|$)")
_NO_KEY = 'pass it as api_key; in a file, api_key=env("OPENAI_API_KEY")'
_WRONG_KEY = "check that the key is complete and belongs to this server"
_OTHER_MODEL = "write the server's name of the model, or start the server with this model"
_ELSEWHERE = (
    "base_url is the address before /chat/completions, and usually ends in /v1; "
    "or another program uses the port"
)


def probe(endpoint: Endpoint, model: str | None, *, connect: float, met: bool = False) -> bool:
    """Send a request without messages, which a server rejects at no cost, and check its response.

    `connect` is the timeout for a connection in seconds; the check as a whole takes ten seconds
    more at most. With `met`, a server that has answered before, a refused connection is not an
    error. Raises `EngineError` if no server answers, the key is missing or rejected, the response
    is not one of the chat completions API, or the server lacks the model. A server that is
    overloaded or failing passes. Return whether there is an answer.
    """
    answer = reach(
        endpoint, endpoint.request_url, _without_messages(model), connect=connect, met=met
    )
    if answer is not None:
        _check(endpoint, model, answer, _at_version(endpoint, model, connect, answer))
    return answer is not None


def _without_messages(model: str | None) -> dict[str, object]:
    return {} if model is None else {"model": model, "messages": [], "max_tokens": 1}


def _at_version(
    endpoint: Endpoint, model: str | None, connect: float, answer: Answer
) -> Endpoint | None:
    """Return the endpoint with ``/v1`` at its end, if the server has its API there and not here."""
    import httpx2

    if answer.status not in _NOT_HERE or _VERSION.search(endpoint.url):
        return None
    other = evolve(endpoint, url=f"{endpoint.url}/v1")
    try:
        there = exchanged(other, other.request_url, _without_messages(model), connect)
    except (httpx2.RequestError, TimeoutError):
        return None
    here = there.status not in _NOT_HERE or _lacks_model(there, model)
    return other if here and _is_chat_completions(there) else None


def _check(
    endpoint: Endpoint, model: str | None, answer: Answer, elsewhere: Endpoint | None
) -> None:
    status, answered = answer.status, answer.told(endpoint)
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


def _lacks_model(answer: Answer, model: str | None) -> bool:
    """Return whether an error is about the model's name, rather than the empty messages."""
    document, status = answer.document, answer.status
    error = document.get("error") if isinstance(document, dict) else None
    coded = (error.get("param"), error.get("code")) if isinstance(error, dict) else ()
    if "model_not_found" in coded:
        return True
    named = model and re.search(rf"(?<!\w){re.escape(model)}(?!\w)", answer.said)
    return status in {400, 404} and ("model" in coded or (status == 404 and bool(named)))


def _is_chat_completions(answer: Answer) -> bool:
    """Return whether a response to a request without messages has the form of the protocol."""
    document, status = answer.document, answer.status
    if not isinstance(document, dict):
        return False
    if status in {404, 405}:  # an unknown model has an error object; an unknown path has none
        return isinstance(document.get("error"), dict)
    return status >= 400 or "choices" in document or "error" in document
