"""OpenAI's chat completions protocol: request bodies, responses as samples, classified errors.

Pure functions; `client` sends and receives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import attrs
from attrs import frozen

from chainlang.engines.protocol import encoding_error
from chainlang.protocol.failures import FailureKind
from chainlang.protocol.messages import Failure, Finish, Request, Sample, Sampling, Usage

_LONGEST_EXCERPT = 300  # characters of a server's text in a message

# Sent only if they differ from their default. OpenAI has only the first two and rejects unknown
# parameters; other servers may lack any of them.
_WHERE_SET = (
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
)
_DEFAULTS: Mapping[str, Any] = {field.name: field.default for field in attrs.fields(Sampling)}

_FINISHES: Mapping[Any, Finish] = {
    "stop": "stop",
    "length": "length",
    "eos": "stop",  # this and the next two: older servers
    "eos_token": "stop",
    "stop_sequence": "stop",
}

_REASONING = ("reasoning_content", "reasoning")
"""Fields in which servers return reasoning; OpenAI's protocol has none."""

ErrorKind: TypeAlias = FailureKind | Literal["several"]
"""Kind of an error response; `several` if the server rejects more than one sample per request."""


class Malformed(Exception):
    """A response with a missing field, or one of the wrong type."""


@frozen
class Response:
    """The samples of one response, by index, and their usage."""

    samples: Mapping[int, Sample]
    usage: Usage


def check_request(request: Request) -> Failure | None:
    """Return a failure for a request that can't be sent; None if it can.

    Text that is not valid Unicode is refused here, because servers silently replace parts of it,
    each in its own way.
    """
    for message in request.messages:
        if (why := encoding_error(message)) is not None:
            return Failure(request.id, "refused", why)
    if request.schema is not None:
        try:
            json.loads(request.schema)
        except (ValueError, RecursionError):
            return Failure(request.id, "constraint", "the schema is not JSON")
    return None


def body(request: Request, *, model: str, first: int, count: int, most: Mapping[str, int]) -> bytes:
    """Return the request body for the samples `first` to `first + count - 1` of a request.

    `most` is the maximum number of tokens under the server's name for that parameter, such as
    ``{"max_tokens": 8}``; empty to leave it out, so that the context is the limit.

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
        "messages": [
            {"role": message.role, "content": message.text} for message in request.messages
        ],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **most,
    }
    if sampling.temperature > 0:
        parameters["seed"] = request.seed + first
    if count > 1:
        parameters["n"] = count
    for name in _WHERE_SET:
        value = getattr(sampling, name)
        if value != _DEFAULTS[name]:
            parameters[name] = value
    if request.stream:
        parameters |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.logprobs:
        parameters["logprobs"] = True
    if sampling.stop:
        parameters["stop"] = list(sampling.stop)
    if request.schema is not None:
        schema = {"name": "reply", "schema": json.loads(request.schema), "strict": True}
        parameters["response_format"] = {"type": "json_schema", "json_schema": schema}
    return json.dumps(parameters).encode()


def parse_response(document: Any, count: int) -> Response:
    """Return the samples of the response to a request for `count` samples; there may be fewer.

    Raises `Malformed`. The protocol has no token count for each sample of a response: the total is
    divided in proportion to the lengths of their texts. Without a total it is 0.
    """
    if not isinstance(document, dict):
        raise Malformed("the reply is not a JSON object")
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("the reply has no `choices`")
    requested: dict[int, Sample] = {}
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            raise Malformed(f"`choices[{position}]` is not an object")
        number = choice.get("index", position)
        if number in requested or not isinstance(number, int):
            raise Malformed(f"`choices[{position}].index` is {number!r}")
        if 0 <= number < count:  # samples beyond the requested number are dropped
            requested[number] = _sample(choice, position)
    if not requested:
        raise Malformed("the reply has none of the requested samples")
    usage = document.get("usage") or {}
    if not isinstance(usage, dict):
        raise Malformed("`usage` is not an object")
    details = usage.get("prompt_tokens_details") or {}
    cached = _tokens(details, "cached_tokens") if isinstance(details, dict) else 0
    output = _tokens(usage, "completion_tokens")
    lengths = shares(output, [len(sample.reasoning + sample.text) for sample in requested.values()])
    samples = {
        number: attrs.evolve(sample, tokens=length)
        for (number, sample), length in zip(requested.items(), lengths, strict=True)
    }
    # The server counts the prompt once for all samples; `Usage` counts it for each.
    prompt, calls = _tokens(usage, "prompt_tokens"), len(samples)
    return Response(samples, Usage(calls, calls * prompt, cached + (calls - 1) * prompt, output))


def _sample(choice: Mapping[str, Any], position: int) -> Sample:
    """Return the sample of a choice, without its token count. Raises `Malformed`."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed(f"`choices[{position}]` has no `message`")
    reason = choice.get("finish_reason")
    text = message.get("content")
    if text is None:  # a refusal, or a reply cut within its reasoning
        text = message.get("refusal") or ("" if reason == "length" else None)
    if not isinstance(text, str):
        raise Malformed(f"`choices[{position}].message` has no `content`")
    if reason not in _FINISHES:
        raise Malformed(f"`choices[{position}].finish_reason` is {reason!r}")
    values = (message.get(name) for name in _REASONING)
    reasoning = next((value for value in values if isinstance(value, str)), "")
    return Sample(
        text, _FINISHES[reason], 0, reasoning=reasoning, logprobs=_logprobs(choice, position)
    )


def _logprobs(choice: Mapping[str, Any], position: int) -> tuple[float, ...]:
    """Return the log probability of each token; empty if the server returns none."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if content is None:
        return ()
    values = [token.get("logprob") if isinstance(token, dict) else None for token in content]
    numbers = tuple(float(value) for value in values if isinstance(value, int | float))
    if len(numbers) < len(values):
        raise Malformed(f"`choices[{position}].logprobs.content` has no numbers")
    return numbers


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def shares(total: int, weights: list[int]) -> list[int]:
    """Divide a total into integers in proportion to weights.

    >>> shares(10, [1, 1, 1]), shares(7, [0, 0])
    ([3, 3, 4], [3, 4])
    """
    weights = weights if sum(weights) else [1] * len(weights)
    whole, parts, seen = sum(weights), [], 0
    for weight in weights:
        before = total * seen // whole
        seen += weight
        parts.append(total * seen // whole - before)
    return parts


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
    if several and (error.get("param") == "n" or _SEVERAL.search(message)):
        return "several"
    if schema and (_CONSTRAINT.search(str(error.get("param"))) or _CONSTRAINT.search(message)):
        return "constraint"
    return "refused"


def error_message(document: Any, text: str) -> str:
    """Return the message of an error response; all of its text if it has no message.

    >>> error_message({"error": {"message": "no"}}, "..."), error_message(None, "<p>")
    ('no', '<p>')
    >>> detail = [{"loc": ["body", "n"], "msg": "too large", "input": "..."}]
    >>> error_message({"detail": detail}, "...")
    'body.n: too large'
    """
    message = document
    for name in ("error", "message", "detail"):
        if isinstance(message, dict) and message.get(name):
            message = message[name]
    if isinstance(message, list) and message and all(isinstance(one, dict) for one in message):
        # Without `input`, which repeats the request and would confuse `error_kind`.
        message = "; ".join(
            f"{'.'.join(map(str, one.get('loc') or ()))}: {one.get('msg')}" for one in message
        )
    return message if isinstance(message, str) else text


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line, without terminal control characters.

    >>> excerpt("a\\n  b\\x1b[2J")
    'a b�[2J'
    """
    line = " ".join(text.split())
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return plain if len(plain) <= _LONGEST_EXCERPT else plain[:_LONGEST_EXCERPT] + "…"
