"""Anthropic's Messages API: request bodies, and classified errors. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from chainlang.engines.anthropic.schemas import reduced
from chainlang.engines.http.errors import ErrorKind
from chainlang.protocol.messages import Message, Request, ToolCall

STATUSES: Mapping[str, int] = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""HTTP status of each type of error; a stream reports errors after the status 200."""


def body(
    request: Request, *, model: str, most: int, thinking: Mapping[str, Any], schemas: bool = True
) -> bytes:
    """Return the request body for one sample of a request.

    `most` is the maximum number of tokens, `thinking` the configuration of the model's reasoning.
    Parameters that have their default are left out, since newer models take no others.

    >>> from chainlang.protocol.messages import Sampling
    >>> prompt = (Message("system", "Be brief."), Message("user", "Hi"))
    >>> sampling = Sampling(temperature=0.5, max_tokens=8)
    >>> request = Request(id="1", model="m", messages=prompt, sampling=sampling, seed=5)
    >>> print(body(request, model="m", most=8, thinking={}).decode())
    {"model": "m", "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}],
     "system": "Be brief.", "temperature": 0.5}
    """
    sampling = request.sampling
    parameters: dict[str, Any] = {
        "model": model,
        "max_tokens": most,
        "messages": _messages(request),
    }
    system = [message.text for message in request.messages if message.role == "system"]
    if system:
        parameters["system"] = "\n\n".join(system)
    if sampling.temperature != 1.0:
        parameters["temperature"] = sampling.temperature
    if sampling.top_p != 1.0:
        parameters["top_p"] = sampling.top_p
    if sampling.top_k:
        parameters["top_k"] = sampling.top_k
    if sampling.stop:
        parameters["stop_sequences"] = list(sampling.stop)
    if request.stream:
        parameters["stream"] = True
    if thinking:
        parameters["thinking"] = dict(thinking)
    if sampling.extra:
        parameters |= json.loads(sampling.extra)
    if request.tools:
        parameters["tools"] = [
            {
                "name": one.name,
                "description": one.description,
                "input_schema": json.loads(one.parameters),
            }
            for one in request.tools
        ]
    if request.schema is not None and schemas:
        schema, _ = reduced(request.schema)
        if schema is not None:
            held = {"type": "json_schema", "schema": json.loads(schema)}
            parameters["output_config"] = {**parameters.get("output_config", {}), "format": held}
    return json.dumps(parameters).encode()


def _messages(request: Request) -> list[dict[str, Any]]:
    """Return the messages of a request; the results of one reply's calls are one turn."""
    found: list[dict[str, Any]] = []
    after_result = False
    for message in request.messages:
        if message.role == "tool":
            part = {"type": "tool_result", "tool_use_id": message.call_id, "content": message.text}
            if after_result:
                found[-1]["content"].append(part)
            else:
                found.append({"role": "user", "content": [part]})
        elif message.role != "system":
            found.append({"role": message.role, "content": _content(message)})
        after_result = message.role == "tool"
    return found


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return the text of a message, or its parts if it has images or calls of tools."""
    if message.calls:
        said = [{"type": "text", "text": message.text}] if message.text else []
        return [*said, *(_use(one) for one in message.calls)]
    if not message.images:
        return message.text
    images = [{"type": "image", "source": _source(one)} for one in message.images]
    return [*images, {"type": "text", "text": message.text}]


def _use(call: ToolCall) -> dict[str, Any]:
    """Return a call of a tool; arguments that are no object can't be sent, so they are none."""
    try:
        given = json.loads(call.arguments or "{}")
    except ValueError:
        given = {}
    given = given if isinstance(given, dict) else {}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": given}


_DATA = re.compile(r"data:(?P<type>[^;,]+);base64,(?P<data>.*)", re.DOTALL)


def _source(image: str) -> dict[str, str]:
    """Return the source of an image by its URL or data URI.

    >>> _source("data:image/png;base64,AAAA")
    {'type': 'base64', 'media_type': 'image/png', 'data': 'AAAA'}
    """
    if (found := _DATA.fullmatch(image)) is not None:
        return {"type": "base64", "media_type": found["type"], "data": found["data"]}
    return {"type": "url", "url": image}


# ---------------------------------------------------------------- error responses

_CONTEXT = re.compile(r"prompt is too long|exceeds? (the )?context|context window", re.IGNORECASE)
_UNPAID = re.compile(r"credit balance|billing", re.IGNORECASE)
_FILTERED = re.compile(r"content filtering|usage policy", re.IGNORECASE)
_CONSTRAINT = re.compile(r"output_config|output_format|\bschema\b|\bgrammar\b", re.IGNORECASE)
_MOST = re.compile(r"max_tokens: \d+ > (?P<most>\d+)")
_ROOM = re.compile(r"(?P<prompt>\d+) \+ \d+ > (?P<context>\d+)")


def error_kind(document: Any, said: str, *, schema: bool) -> ErrorKind:
    """Return the kind of an error response, from its type or else from what it says.

    >>> error_kind(None, "prompt is too long: 9 tokens > 8 maximum", schema=False)
    'context'
    >>> error_kind(None, "Your credit balance is too low", schema=False)
    'denied'
    """
    error = document.get("error") if isinstance(document, dict) else None
    kind = error.get("type") if isinstance(error, dict) else None
    if kind == "request_too_large" or _CONTEXT.search(said):
        return "context"
    if kind == "billing_error" or _UNPAID.search(said):
        return "denied"
    if _FILTERED.search(said):
        return "filtered"
    if schema and _CONSTRAINT.search(said):
        return "constraint"
    return "refused"


def most_tokens(said: str) -> int | None:
    """Return the `max_tokens` that a server would take instead, from its error; None without one.

    >>> most_tokens("input length and `max_tokens` exceed context limit: 90 + 20 > 100")
    10
    >>> most_tokens("max_tokens: 99 > 64, which is the maximum allowed number of output tokens")
    64
    """
    if (found := _MOST.search(said)) is not None:
        return int(found["most"])
    if (found := _ROOM.search(said)) is not None:
        room = int(found["context"]) - int(found["prompt"])
        return room if room > 0 else None
    return None
