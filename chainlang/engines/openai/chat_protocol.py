"""The chat completions protocol: a request as its body, a reply as samples, an error as its kind.

Nothing here sends anything.
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

_LONGEST_EXCERPT = 300  # characters of what a server said that a message shows

# These are not in the protocol of OpenAI, which refuses what it does not know; penalties are in it,
# but not every server has them. So they are sent only where they say something.
_WHERE_SET = (
    "presence_penalty",
    "frequency_penalty",
    "top_k",
    "min_p",
    "repetition_penalty",
    "min_tokens",
)
_USUAL: Mapping[str, Any] = {one.name: one.default for one in attrs.fields(Sampling)}

_FINISHES: Mapping[Any, Finish] = {
    "stop": "stop",
    "length": "length",
    "eos": "stop",  # three words of older servers for the same
    "eos_token": "stop",
    "stop_sequence": "stop",
}

_THOUGHTS = ("reasoning_content", "reasoning")
"""What servers call the reasoning of a reply, which the protocol of OpenAI does not have."""

Refusal: TypeAlias = FailureKind | Literal["several"]
"""Why a server said no. It may mind only that several samples were asked for at once."""


class Malformed(Exception):
    """A reply that is not one: something is missing, or of the wrong type."""


@frozen
class Reply:
    """The samples of one reply, by their number in it, and what they cost."""

    samples: Mapping[int, Sample]
    usage: Usage


def unaskable(request: Request) -> Failure | None:
    """Return why no server is to be asked, if so.

    What is not text would be changed on the way: servers put something else in its place, each its
    own, and say nothing.
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
    """Return the body that asks for the samples `first` to `first + count - 1` of a request.

    `most` is the bound of a reply in tokens, under the server's name for it; empty for what the
    context leaves.

    >>> from chainlang.protocol.messages import Message
    >>> sampling = Sampling(temperature=0.7, max_tokens=8, min_p=0.1)
    >>> prompt = (Message("user", "Hi"),)
    >>> request = Request(id="1", model="m", messages=prompt, sampling=sampling, seed=5, count=3)
    >>> print(body(request, model="m", first=1, count=2, most={"max_tokens": 8}).decode())
    {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 0.7,
     "top_p": 1.0, "max_tokens": 8, "seed": 6, "n": 2, "min_p": 0.1}
    """
    sampling = request.sampling
    found: dict[str, Any] = {
        "model": model,
        "messages": [{"role": one.role, "content": one.text} for one in request.messages],
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        **most,
    }
    if sampling.temperature > 0:
        found["seed"] = request.seed + first
    if count > 1:
        found["n"] = count
    for name in _WHERE_SET:
        value = getattr(sampling, name)
        if value != _USUAL[name]:
            found[name] = value
    if request.stream:
        found |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.logprobs:
        found["logprobs"] = True
    if sampling.stop:
        found["stop"] = list(sampling.stop)
    if request.schema is not None:
        held = {"name": "reply", "schema": json.loads(request.schema), "strict": True}
        found["response_format"] = {"type": "json_schema", "json_schema": held}
    return json.dumps(found).encode()


def read(document: Any, count: int) -> Reply:
    """Return the samples of a reply to a question for `count` of them; there may be fewer.

    Raises `Malformed`. The protocol has no lengths for the samples of one reply: they get shares of
    its tokens in the proportion of their texts. A server that counts no tokens costs none.
    """
    if not isinstance(document, dict):
        raise Malformed("the reply is not a JSON object")
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Malformed("the reply has no `choices`")
    said: dict[int, Sample] = {}
    for position, choice in enumerate(choices):
        if not isinstance(choice, dict):
            raise Malformed(f"`choices[{position}]` is not an object")
        number = choice.get("index", position)
        if number in said or not isinstance(number, int):
            raise Malformed(f"`choices[{position}].index` is {number!r}")
        if 0 <= number < count:  # nobody asked for more
            said[number] = _sample(choice, position)
    if not said:
        raise Malformed("the reply has no sample that was asked for")
    usage = document.get("usage") or {}
    if not isinstance(usage, dict):
        raise Malformed("`usage` is not an object")
    details = usage.get("prompt_tokens_details") or {}
    cached = _tokens(details, "cached_tokens") if isinstance(details, dict) else 0
    output = _tokens(usage, "completion_tokens")
    lengths = shares(output, [len(one.reasoning + one.text) for one in said.values()])
    samples = {
        number: attrs.evolve(one, tokens=length)
        for (number, one), length in zip(said.items(), lengths, strict=True)
    }
    # The server has read the prompt once for all samples, and counts it once.
    prompt, calls = _tokens(usage, "prompt_tokens"), len(samples)
    return Reply(samples, Usage(calls, calls * prompt, cached + (calls - 1) * prompt, output))


def _sample(choice: Mapping[str, Any], position: int) -> Sample:
    """Return what a choice says; how many tokens that took, it does not tell."""
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Malformed(f"`choices[{position}]` has no `message`")
    reason = choice.get("finish_reason")
    text = message.get("content")
    if text is None:  # a model that refuses says so beside; one that was cut while it thought, not
        text = message.get("refusal") or ("" if reason == "length" else None)
    if not isinstance(text, str):
        raise Malformed(f"`choices[{position}].message` has no `content`")
    if reason not in _FINISHES:
        raise Malformed(f"`choices[{position}].finish_reason` is {reason!r}")
    thoughts = (message.get(name) for name in _THOUGHTS)
    reasoning = next((one for one in thoughts if isinstance(one, str)), "")
    return Sample(
        text, _FINISHES[reason], 0, reasoning=reasoning, logprobs=_logprobs(choice, position)
    )


def _logprobs(choice: Mapping[str, Any], position: int) -> tuple[float, ...]:
    """Return how likely each token was, as far as the server tells."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    if content is None:
        return ()
    found = [one.get("logprob") if isinstance(one, dict) else None for one in content]
    numbers = tuple(float(one) for one in found if isinstance(one, int | float))
    if len(numbers) < len(found):
        raise Malformed(f"`choices[{position}].logprobs.content` has no numbers")
    return numbers


def _tokens(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) and value > 0 else 0


def shares(total: int, weights: list[int]) -> list[int]:
    """Return whole numbers in the proportion of weights that add up to a total.

    >>> shares(10, [1, 1, 1]), shares(7, [0, 0])
    ([3, 3, 4], [3, 4])
    """
    weights = weights if sum(weights) else [1] * len(weights)
    whole, found, seen = sum(weights), [], 0
    for weight in weights:
        before = total * seen // whole
        seen += weight
        found.append(total * seen // whole - before)
    return found


# ---------------------------------------------------------------- what a server says instead

_CONTEXT = re.compile(
    r"context[ _](length|size|window)|max(imum)?[ _]model[ _]len(gth)?|prompt (is )?too long"
    r"|max_tokens must be at least 1, got -",  # an older vLLM says this of a prompt too long
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(
    r"response_format|json_?schema|\bschema\b|\bgrammar\b|structured[ _]output|guided[ _]",
    re.IGNORECASE,
)
_SEVERAL = re.compile(r"['\"`]n['\"`]|\bn must be|\bn > 1|one completion choice", re.IGNORECASE)


def refusal(document: Any, message: str, *, schema: bool, several: bool) -> Refusal:
    """Return why a server said no: from the codes in its error, or else from its words.

    `schema` and `several` say whether the question had a schema, and asked for several samples.

    >>> refusal(None, "This model's maximum context length is 8 tokens", schema=True, several=True)
    'context'
    >>> refusal(None, "there is no such model", schema=False, several=False)
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


def said(document: Any, text: str) -> str:
    """Return what a server's error says: its message where the reply has one, else all of it.

    >>> said({"error": {"message": "no"}}, "..."), said(None, "<p>")
    ('no', '<p>')
    >>> said({"detail": [{"loc": ["body", "n"], "msg": "too large", "input": "..."}]}, "...")
    'body.n: too large'
    """
    found = document
    for name in ("error", "message", "detail"):
        if isinstance(found, dict) and found.get(name):
            found = found[name]
    if isinstance(found, list) and found and all(isinstance(one, dict) for one in found):
        # Without the input, which repeats the question: its words say nothing of the reason.
        found = "; ".join(
            f"{'.'.join(map(str, one.get('loc') or ()))}: {one.get('msg')}" for one in found
        )
    return found if isinstance(found, str) else text


def excerpt(text: str) -> str:
    """Return the beginning of a text on one line, with nothing in it that a terminal obeys.

    >>> excerpt("a\\n  b\\x1b[2J")
    'a b�[2J'
    """
    line = " ".join(text.split())
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return plain if len(plain) <= _LONGEST_EXCERPT else plain[:_LONGEST_EXCERPT] + "…"
