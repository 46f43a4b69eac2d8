"""OpenAPI page of a server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainlang.protocol.fingerprints import version_of
from chainlang.serving.chat_request import REFUSED
from chainlang.serving.offers import Offer
from chainlang.serving.refusals import FAULTS

_TEXT, _WHOLE = {"type": "string"}, {"type": "integer"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _TEXT, "type": _TEXT, "param": _TEXT_OR_NULL, "code": _TEXT_OR_NULL,
            },
        }
    },
}  # fmt: skip
_PART = {
    "type": "object",
    "required": ["type", "text"],
    "properties": {"type": {"const": "text"}, "text": _TEXT},
}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant"]},
        "content": {"anyOf": [_TEXT, {"type": "array", "minItems": 1, "items": _PART}]},
    },
}
_USAGE = {
    "type": "object",
    "required": ["prompt_tokens", "completion_tokens", "total_tokens"],
    "properties": {
        "prompt_tokens": _WHOLE, "completion_tokens": _WHOLE, "total_tokens": _WHOLE,
    },
}  # fmt: skip
_COMPLETION = {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": _WHOLE,
        "model": _TEXT,
        "choices": {"type": "array", "items": {"type": "object"}},
        "usage": _USAGE,
        "chainlang": {"type": "object"},
    },
}
_EVENT = {"type": "object", "required": ["data"], "properties": {"data": _TEXT}}
_MODEL = {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
        "id": _TEXT, "object": {"const": "model"}, "created": _WHOLE, "owned_by": _TEXT,
        "chainlang": {
            "description": "Of a model with further fields: that of its last message, and others.",
            "type": "object",
            "properties": {"message": _TEXT, "fields": {"type": "object"}},
        },
    },
}  # fmt: skip
_MODELS = {
    "type": "object",
    "required": ["object", "data"],
    "properties": {"object": {"const": "list"}, "data": {"type": "array", "items": _MODEL}},
}
_OF_CHAT = (413, 415, *sorted({one.status for one in FAULTS.values()} - {400}))


def page(offers: Sequence[Offer], *, has_keys: bool) -> dict[str, Any]:
    """Return the page of a server that offers these models."""
    types: dict[str, Any] = {}
    refused = (401,) if has_keys else (403,)
    chat: dict[str, Any] = {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {
            "model": {"enum": [one.name for one in offers]},
            "fields": {
                "description": "Further fields of the row, as the input of the chain has them.",
                "type": ["object", "null"],
            },
            "messages": {
                "description": "The last message is of the user.",
                "type": "array",
                "minItems": 1,
                "items": _MESSAGE,
            },
            "seed": {"type": ["integer", "null"], "format": "int64"},
            "stream": {"type": ["boolean", "null"]},
            "stream_options": {
                "type": ["object", "null"],
                "properties": {"include_usage": {"type": ["boolean", "null"]}},
            },
            **{name: {"enum": [*neutral, None]} for name, (neutral, _) in REFUSED.items()},
        },
    }
    if offers:
        chat["anyOf"] = [_body_of(one, number, types) for number, one in enumerate(offers)]
    posted = {
        "operationId": "chat",
        "summary": "Run a chain on the last message.",
        "requestBody": {"required": True, "content": _json(chat)},
        "responses": {
            "200": {
                "description": "The reply, or its chunks as server-sent events.",
                "content": {**_json(_COMPLETION), "text/event-stream": {"schema": _EVENT}},
            },
            **_errors(400, 404, *refused, *_OF_CHAT),
        },
    }
    named = {"name": "name", "in": "path", "required": True, "schema": _TEXT}
    secured: list[dict[str, Any]] = [{"key": []}] if has_keys else []
    return {
        "openapi": "3.1.0",
        "info": {"title": "chainlang", "version": version_of("chainlang")},
        "security": secured,
        "paths": {
            "/v1/chat/completions": {"post": posted},
            "/v1/models": {"get": _got("models", "List the models.", _json(_MODELS), *refused)},
            "/v1/models/{name}": {
                "parameters": [named],
                "get": _got("model", "Describe a model.", _json(_MODEL), 404, *refused),
            },
            "/metrics": {"get": _got("metrics", "Metrics for Prometheus.",
                                     {"text/plain": {"schema": _TEXT}}, *refused)},
            "/openapi.json": {"get": _got("openapi", "This page.", _json({"type": "object"}),
                                          *refused)},
            "/health": {
                "get": {**_got("health", "Whether it runs.", _json({"type": "object"})),
                        "security": []}
            },
        },
        "components": {
            "schemas": {"Error": _ERROR, **types},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }  # fmt: skip


def _body_of(offer: Offer, number: int, types: dict[str, Any]) -> dict[str, Any]:
    """Return what a body for a model has; its types are added to those of the page."""
    own = dict(offer.fields)
    prefix = f"model{number}"
    for name, one in own.pop("$defs", {}).items():
        types[f"{prefix}.{name}"] = _moved(one, prefix)
    needed = ["fields"] if own["required"] else []
    fields = _moved(own, prefix)
    if not needed:
        fields = {**fields, "type": ["object", "null"]}
    properties = {"model": {"const": offer.name}, "fields": fields}
    return {"properties": properties, "required": ["model", *needed]}


def _moved(schema: Any, prefix: str) -> Any:
    """Return a schema whose references lead to the types of the page."""
    if isinstance(schema, list):
        return [_moved(one, prefix) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: f"#/components/schemas/{prefix}.{one.removeprefix('#/$defs/')}"
        if name == "$ref" and isinstance(one, str)
        else _moved(one, prefix)
        for name, one in schema.items()
    }


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _errors(*statuses: int) -> dict[str, Any]:
    error = {"description": "An error.", "content": _json({"$ref": "#/components/schemas/Error"})}
    return {str(status): error for status in statuses}


def _got(name: str, about: str, content: dict[str, Any], *statuses: int) -> dict[str, Any]:
    """Return the description of what a GET returns."""
    whole = {"200": {"description": about, "content": content}, **_errors(*statuses)}
    return {"operationId": name, "summary": about, "responses": whole}
