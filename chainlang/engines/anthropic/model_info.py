"""Health check of a server of the Messages API: its entry of a model, which costs nothing."""

from __future__ import annotations

from typing import Any

from attrs import evolve, frozen

from chainlang.engines.http.endpoint import Endpoint
from chainlang.engines.http.reach import Answer, reach
from chainlang.engines.protocol import refuse
from chainlang.protocol.failures import kind_of_status

_NO_KEY = 'pass it as api_key; in a file, api_key=env("ANTHROPIC_API_KEY")'
_WRONG_KEY = "check that the key is complete and belongs to this server"
_ELSEWHERE = "base_url is the address before /messages, and usually ends in /v1"


@frozen
class ModelInfo:
    """Facts that a server has of a model; None for those that it does not tell."""

    context: int | None = None
    """Maximum number of tokens of a prompt."""
    most: int | None = None
    """Maximum number of tokens of a reply."""
    schemas: bool | None = None
    images: bool | None = None


def probe(endpoint: Endpoint, model: str | None, *, connect: float, met: bool) -> ModelInfo | None:
    """Return what a server says of a model; None if none answers at this address.

    `connect` and `met` are those of `reach`. Raises `EngineError` if no server answers, the key is
    missing or rejected, the response is not one of the Messages API, or the server lacks the model.
    A server that is overloaded or failing passes, and so does one without entries of models.
    """
    entry = "/models" if model is None else f"/models/{model}"
    answer = reach(endpoint, endpoint.url + entry, None, connect=connect, met=met)
    if answer is None:
        return None
    if kind_of_status(answer.status) == "transport":
        return ModelInfo()
    if answer.status in {401, 403}:
        what, hint = "requires an API key", _NO_KEY
        if endpoint.key:
            what, hint = "rejects the API key", _WRONG_KEY
        message = f"{endpoint.url} {what}: it {answer.told(endpoint)}"
        refuse(message, hint, setting="api_key")
    if not _is_error(answer.document) and answer.status != 200:
        message = f"{endpoint.url} is not a messages server: it {answer.told(endpoint)}"
        refuse(message, _hint(endpoint, entry, connect), setting="base_url")
    if answer.status == 404 and model is not None:
        message = f"{endpoint.url} has no model {model!r}: it {answer.told(endpoint)}"
        hint = "write the server's name of the model, such as claude-sonnet-4-5"
        refuse(message, hint, model=model)
    return _info(answer)


def _is_error(document: Any) -> bool:
    """Return whether a document is an error of the API."""
    return (
        isinstance(document, dict)
        and document.get("type") == "error"
        and isinstance(document.get("error"), dict)
    )


def _hint(endpoint: Endpoint, entry: str, connect: float) -> str:
    """Return a hint for an address without the API; it may be one step further."""
    other = evolve(endpoint, url=f"{endpoint.url}/v1")
    there = reach(other, other.url + entry, None, connect=connect, met=True)
    if there is not None and (there.status == 200 or _is_error(there.document)):
        return f'write base_url="{other.url}"'
    return _ELSEWHERE


def _info(answer: Answer) -> ModelInfo:
    document = answer.document
    if not isinstance(document, dict) or document.get("type") != "model":
        return ModelInfo()
    capabilities = document.get("capabilities")
    capabilities = capabilities if isinstance(capabilities, dict) else {}
    return ModelInfo(
        _size(document.get("max_input_tokens")),
        _size(document.get("max_tokens")),
        _supported(capabilities.get("structured_outputs")),
        _supported(capabilities.get("image_input")),
    )


def _size(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _supported(value: object) -> bool | None:
    found = value.get("supported") if isinstance(value, dict) else None
    return found if isinstance(found, bool) else None
