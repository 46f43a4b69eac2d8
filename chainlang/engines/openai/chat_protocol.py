"""OpenAI's chat completions protocol: request bodies, and classified errors.

Pure functions; `client` sends and receives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import attrs

from chainlang.engines import closing
from chainlang.engines.http.errors import ErrorKind
from chainlang.protocol.messages import Message, Request, Sampling, ToolSpec

# Sent only if they differ from their default. OpenAI has only the first two and rejects unknown
# parameters; other servers may lack any of them.
_WHERE_SET = (
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "bad_words",
    "stop_token_ids",
    "ignore_eos",
)
_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in attrs.fields(Sampling)}


def body(
    request: Request,
    *,
    model: str,
    first: int,
    count: int,
    most: Mapping[str, int],
    template_args: str = "",
    seed: str = "seed",
    schemas: bool = True,
) -> bytes:
    """Return the request body for the samples `first` to `first + count - 1` of a request.

    `most` is the maximum number of tokens under the server's name for that parameter, such as
    ``{"max_tokens": 8}``; empty to leave it out, so that the context is the limit. `template_args`
    are the model's arguments of the chat template, as JSON; those of the request come before them.
    `seed` is the server's name for that parameter. A server without `schemas` is asked for JSON.

    >>> from chainlang.protocol.messages import Message
    >>> sampling = Sampling(temperature=0.7, max_tokens=8, min_p=0.1)
    >>> prompt = (Message("user", "Hi"),)
    >>> request = Request(id="1", model="m", messages=prompt, sampling=sampling, seed=5, count=3)
    >>> print(body(request, model="m", first=1, count=2, most={"max_tokens": 8}).decode())
    {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.7,
     "top_p": 1.0, "max_tokens": 8, "seed": 6, "n": 2, "min_p": 0.1}
    """
    sampling = request.sampling
    parameters: dict[str, Any] = {
        "model": model,
        "messages": [_message(message) for message in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **most,
    }
    if sampling.temperature > 0:
        parameters[seed] = request.seed + first
    if count > 1:
        parameters["n"] = count
    for name in _WHERE_SET:
        value = getattr(sampling, name)
        if value != _DEFAULTS[name]:
            parameters[name] = value
    if template_args or request.template_args:
        given = (json.loads(one) for one in (template_args, request.template_args) if one)
        parameters["chat_template_kwargs"] = {key: one[key] for one in given for key in one}
    if request.stream:
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.logprobs:
        parameters["logprobs"] = True
    if request.top_logprobs:
        parameters["top_logprobs"] = request.top_logprobs
    if sampling.stop:
        parameters["stop"] = list(sampling.stop)
    if sampling.include_stop:
        parameters["include_stop_str_in_output"] = True
    if sampling.logit_bias:
        parameters["logit_bias"] = {token[1:]: bias for token, bias in sampling.logit_bias}
    if sampling.extra:
        parameters |= json.loads(sampling.extra)
    return json.dumps({**parameters, **_held(request, schemas)}).encode()


def _held(request: Request, schemas: bool) -> dict[str, Any]:
    """Return what a reply may be: the calls of tools, and the schema of a text."""
    found: dict[str, Any] = {}
    if request.tools:
        found["tools"] = [_tool(one) for one in request.tools]
    if request.schema is not None:
        found["response_format"] = _format(request, request.schema, schemas)
    return found


def _format(request: Request, schema: str, schemas: bool) -> dict[str, Any]:
    if not schemas:
        return {"type": "json_object"}
    bound = json.loads(closing.bounded(schema, dict(request.budgets)))
    return {
        "type": "json_schema",
        "json_schema": {"name": "reply", "schema": bound, "strict": True},
    }


def _message(message: Message) -> dict[str, Any]:
    """Return a message, with the calls of tools in it, or as the result of one."""
    found: dict[str, Any] = {"role": message.role, "content": _content(message)}
    if message.calls:
        found["content"] = message.text or None
        found["tool_calls"] = [
            {
                "id": one.id,
                "type": "function",
                "function": {"name": one.name, "arguments": one.arguments},
            }
            for one in message.calls
        ]
    if message.call_id:
        found["tool_call_id"] = message.call_id
    return found


def _tool(tool: ToolSpec) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": json.loads(tool.parameters)}
    if tool.description:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _content(message: Message) -> str | list[dict[str, Any]]:
    """Return the text of a message, or its parts if it has images."""
    if not message.images:
        return message.text
    images = [{"type": "image_url", "image_url": {"url": one}} for one in message.images]
    return [{"type": "text", "text": message.text}, *images]


# ---------------------------------------------------------------- error responses

_CONTEXT = re.compile(
    r"context[ _](length|size|window)|max(imum)?[ _]model[ _]len(gth)?|prompt (is )?too long"
    r"|max_tokens must be at least 1, got -",  # older vLLM, for a prompt beyond the context
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(
    r"response_format|json_?schema|\bschema\b|\bgrammar\b|structured[ _]output|guided[ _]",
    re.IGNORECASE,
)
_FILTERED = re.compile(
    r"content[ _](filter|policy|management)|content_?policy_?violation|\bmoderation\b"
    r"|safety[ _](filter|system)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"['\"`]n['\"`]|\bn must be|\bn > 1|one completion choice", re.IGNORECASE)


def error_kind(document: Any, message: str, *, schema: bool, several: bool) -> ErrorKind:
    """Return the kind of an error response, from its codes or else from its message.

    `schema` and `several`: whether the request had a schema, and asked for several samples.

    >>> message = "This model's maximum context length is 8 tokens"
    >>> error_kind(None, message, schema=True, several=True)
    'context'
    >>> error_kind(None, "there is no such model", schema=False, several=False)
    'refused'
    """
    error = document.get("error") if isinstance(document, dict) else None
    error = error if isinstance(error, dict) else {}
    coded = f"{error.get('code')} {error.get('type')}"
    if _CONTEXT.search(coded) or _CONTEXT.search(message):
        return "context"
    if _FILTERED.search(coded) or _FILTERED.search(message):
        return "filtered"
    if several and (error.get("param") == "n" or _SEVERAL.search(message)):
        return "several"
    if schema and (_CONSTRAINT.search(str(error.get("param"))) or _CONSTRAINT.search(message)):
        return "constraint"
    return "refused"
