"""A server of Anthropic's Messages API, written from its documents, over another engine.

It refuses what the documents say that the API refuses: unknown fields, temperatures above 1, parts
of schemas that are not supported, a maximum of tokens beyond the model's.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import define, field

from chainlang.engines.fake import FakeEngine
from chainlang.protocol.messages import Completion, Message, Request, Sampling
from tests.engines.server import Answer, Body, Server, as_json

KEY = "sk-ant-secret-0123456789"
MODEL = "claude-test"
_FIELDS = frozenset(
    {"model", "max_tokens", "messages", "system", "temperature", "top_p", "top_k"}
    | {"stop_sequences", "stream", "thinking", "output_config", "metadata", "cache_control"}
    | {"tools"}
)
_KEYWORDS = frozenset(
    {"type", "enum", "const", "anyOf", "allOf", "$ref", "$defs", "definitions", "properties"}
    | {"required", "additionalProperties", "items", "minItems", "format", "description", "title"}
    | {"default"}
)


def failing(status: int, kind: str, message: str, **headers: str) -> Answer:
    """Return an error of the API."""
    error = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_1"}
    return as_json(error, status, headers=headers)


def invalid(message: str) -> Answer:
    return failing(400, "invalid_request_error", message)


def reply(
    text: str,
    reason: str = "end_turn",
    *,
    output: int = 10,
    thinking: str = "",
    stop: str | None = None,
    **usage: int,
) -> dict[str, Any]:
    """Return a message as the API sends it."""
    thoughts = [{"type": "thinking", "thinking": thinking, "signature": "c2ln"}] if thinking else []
    counts = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "input_tokens": 7}
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [*thoughts, {"type": "text", "text": text}],
        "stop_reason": reason,
        "stop_sequence": stop,
        "usage": {**counts, "output_tokens": output, **usage},
    }


def as_events(document: Mapping[str, Any], *, size: int = 3, cut: int | None = None) -> Answer:
    """Return a message as a stream, with `size` characters in an event."""
    lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events(document, size)]
    return Answer("".join(lines).encode(), type="text/event-stream; charset=utf-8", cut=cut)


def events(document: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    usage = document["usage"]
    begun = {**document, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for index, part in enumerate(document["content"]):
        name = part["type"]
        empty = {"type": name, name: "", **({"signature": ""} if name == "thinking" else {})}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for start in range(0, len(part[name]), size):
            delta = {"type": f"{name}_delta", name: part[name][start : start + size]}
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        if name == "thinking":
            signed = {"type": "signature_delta", "signature": part["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": signed}
        yield {"type": "content_block_stop", "index": index}
    end = {"stop_reason": document["stop_reason"], "stop_sequence": document["stop_sequence"]}
    last = {"output_tokens": usage["output_tokens"]}
    yield {"type": "message_delta", "delta": end, "usage": last}
    yield {"type": "message_stop"}


def faults(body: Body, most: int) -> Iterator[str]:
    """Yield what the API refuses in a request."""
    for name in body.keys() - _FIELDS:
        yield f"{name}: Extra inputs are not permitted"
    if not isinstance(body.get("max_tokens"), int):
        yield "max_tokens: Field required"
    elif body["max_tokens"] > most:
        yield (
            f"max_tokens: {body['max_tokens']} > {most}, which is the maximum allowed number of "
            f"output tokens for {body['model']}"
        )
    if not 0 <= body.get("temperature", 1.0) <= 1:
        yield "temperature: range: 0..1"
    if body.get("thinking", {}).get("type") in ("enabled", "adaptive") and "temperature" in body:
        yield "`temperature` may only be set to 1 when thinking is enabled"
    for one in body.get("stop_sequences", ()):
        if not one.strip():
            yield "stop_sequences: each stop sequence must contain non-whitespace"
    for one in body["messages"]:
        if one["role"] not in ("user", "assistant"):
            yield f"messages: unexpected role {one['role']!r}"
    held = body.get("output_config", {}).get("format")
    if held is not None:
        yield from _unsupported(held["schema"])


def _unsupported(schema: Any) -> Iterator[str]:
    """Yield what structured outputs do not support in a schema."""
    where = "output_config.format.schema"
    for name in schema.keys() - _KEYWORDS:
        yield f"{where}: property {name!r} is not supported"
    if schema.get("type") == "object" and schema.get("additionalProperties") is not False:
        yield f"{where}: For 'object' type, 'additionalProperties' must be explicitly set to false"
    if schema.get("minItems", 0) > 1:
        yield f"{where}: For 'array' type, 'minItems' values other than 0 or 1 are not supported"
    inner = [*schema.get("properties", {}).values(), *schema.get("anyOf", ())]
    inner += [*schema.get("$defs", {}).values(), *schema.get("allOf", ())]
    for one in (*inner, *([schema["items"]] if "items" in schema else ())):
        yield from _unsupported(one)


def from_engine(engine: FakeEngine, most: int = 64_000) -> Callable[[Body], Answer]:
    """Answer what another engine would, with another seed each time."""
    seeds = itertools.count()

    def answer(body: Body) -> Answer:
        for fault in faults(body, most):
            return invalid(fault)
        held = body.get("output_config", {}).get("format")
        system = [Message("system", body["system"])] if "system" in body else []
        told = [Message(one["role"], _text(one["content"])) for one in body["messages"]]
        request = Request(
            id="",
            model=body["model"],
            messages=(*system, *told),
            sampling=Sampling(
                temperature=body.get("temperature", 1.0),
                max_tokens=body["max_tokens"],
                stop=tuple(body.get("stop_sequences", ())),
            ),
            seed=next(seeds),
            schema=held and json.dumps(held["schema"]),
        )
        found = engine.complete(request)
        if not isinstance(found, Completion):
            tokens = sum(len(one.text.split()) for one in request.messages)
            return invalid(f"prompt is too long: {tokens} tokens > {engine.context} maximum")
        (sample,), usage = found.samples, found.usage
        document = reply(
            sample.text,
            "max_tokens" if sample.finish == "length" else "end_turn",
            input_tokens=usage.prompt_tokens - usage.cached_tokens,
            cache_read_input_tokens=usage.cached_tokens,
            output=usage.output_tokens,
        )
        if isinstance(sample.stop, str):
            document |= {"stop_reason": "stop_sequence", "stop_sequence": sample.stop}
        return as_events(document) if body.get("stream") else as_json(document)

    return answer


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(one.get("text") or one.get("content") or one.get("name", "") for one in content)


@define(eq=False)
class MessagesServer(Server):
    """The server, which knows one model and one key."""

    path: str = "/v1/messages"
    ending: str = "/messages"
    info: Mapping[str, Any] = field(factory=dict)
    """Further fields of the entry of the model."""

    def handle(self, body: dict[str, Any], headers: Any) -> Answer:
        kept = {name.lower(): value for name, value in headers}
        headers = list(kept.items())
        answer = super().handle(body, headers)
        return self._denied(kept) or answer

    def entry(self, path: str, headers: Mapping[str, str]) -> Answer:
        """Return the entry of a model."""
        self.probed += 1
        if not path.startswith("/v1/models"):
            return as_json({"detail": "Not Found"}, 404)
        if (denied := self._denied(headers)) is not None:
            return denied
        if path != f"/v1/models/{MODEL}":
            return failing(404, "not_found_error", f"model: {path.rpartition('/')[2]}")
        return as_json({"type": "model", "id": MODEL, "display_name": "Test", **self.info})

    def _denied(self, headers: Mapping[str, str]) -> Answer | None:
        if headers.get("anthropic-version") != "2023-06-01":
            return invalid("anthropic-version: header is required")
        if headers.get("x-api-key") != KEY:
            key = headers.get("x-api-key")
            return failing(401, "authentication_error", f"invalid x-api-key: {key}")
        return None
