"""Chat completions responses, read as samples. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs
from attrs import frozen

from chainlang.engines.http.json_values import (
    Malformed,
    Object,
    as_index,
    as_list,
    as_number,
    as_object,
    as_tokens,
)
from chainlang.engines.http.response import Response
from chainlang.protocol.messages import Finish, Sample, TopLogprobs, Usage

_FINISHES: Mapping[str, Finish] = {
    "stop": "stop",
    "length": "length",
    "eos": "stop",  # this and the next two: older servers
    "eos_token": "stop",
    "stop_sequence": "stop",
    "end_turn": "stop",  # gateways to Anthropic, as the next
    "max_tokens": "length",
    "model_length": "length",  # Mistral
}
_FILTERS = frozenset(
    {"content_filter", "safety", "recitation", "blocklist", "prohibited_content", "spii"}
    | {"sensitive"}
)
_TOOLS = frozenset({"tool_calls", "function_call", "tool_use"})
_REFUSALS = frozenset({"refusal"})
"""Finish reasons of samples without a reply, in small letters: OpenAI's, and those of gateways to
Anthropic, Gemini and GLM. Any other reason is malformed, since some name a failure that passes."""

STOPS = ("stop_reason", "matched_stop")
"""Fields in which servers say what has ended a choice: those of vLLM and SGLang."""
REASONING = ("reasoning_content", "reasoning")
"""Fields in which servers return reasoning; OpenAI's protocol has none."""

_FALLBACK = "`fallback` can ask another model, `need` can do without the sample"
_TOOLS_HINT = "its stage has none: switch off those that the server adds"


def parse_response(document: object, count: int) -> Response:
    """Return the samples of the response to a request for `count` samples; there may be fewer.

    Raises `Malformed`. The protocol has no token count for each sample of a response: the total is
    divided in proportion to the lengths of their texts. Without a total it is 0.
    """
    reply = as_object(document, "the reply")
    choices = as_list(reply.get("choices"), "`choices`")
    if not choices:
        raise Malformed("the reply has no `choices`")
    requested: dict[int, Sample] = {}
    for position, one in enumerate(choices):
        where = f"`choices[{position}]`"
        choice = as_object(one, where)
        number = as_index(choice.get("index", position), where)
        if number in requested:
            raise Malformed(f"{where} has the index of another, {number}")
        if number < count:  # samples beyond the requested number are dropped
            requested[number] = _sample(choice, where)
    if not requested:
        raise Malformed("the reply has none of the requested samples")
    usage = as_object(reply.get("usage") or {}, "`usage`")
    prompt, cached, output = _counted(usage)
    lengths = shares(output, [len(sample.reasoning + sample.text) for sample in requested.values()])
    samples = {
        number: attrs.evolve(sample, tokens=length)
        for (number, sample), length in zip(requested.items(), lengths, strict=True)
    }
    # The server counts the prompt once for all samples; `Usage` counts it for each.
    calls = len(samples)
    again = (calls - 1) * prompt
    found = Usage(calls, calls * prompt, cached + again, output, uncounted_tokens=again)
    return Response(samples, found)


def _counted(usage: Object) -> tuple[int, int, int]:
    """Return the tokens of the prompt, those of it that were cached, and those of the reply.

    Servers count differently: DeepSeek has a name of its own for cached tokens; Gemini and xAI
    leave reasoning out of `completion_tokens`, and have it in the total.
    """
    details = as_object(usage.get("prompt_tokens_details") or {}, "`usage.prompt_tokens_details`")
    prompt, output = as_tokens(usage, "prompt_tokens"), as_tokens(usage, "completion_tokens")
    cached = as_tokens(details, "cached_tokens") or as_tokens(usage, "prompt_cache_hit_tokens")
    return prompt, min(cached, prompt), max(output, as_tokens(usage, "total_tokens") - prompt)


def _sample(choice: Object, where: str) -> Sample:
    """Return the sample of a choice, without its token count. Raises `Malformed`."""
    message = as_object(choice.get("message"), f"{where}.message")
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        raise Malformed(f"{where}.finish_reason is not a text")
    parts = parts_of(message.get("content"))
    for name, kind in (*((name, "reasoning") for name in REASONING), ("refusal", "refusal")):
        if isinstance(text := message.get(name), str) and not getattr(parts, kind):
            parts = attrs.evolve(parts, **{kind: text})
    refusal = _refusal(message, reason, parts)
    finish = _FINISHES.get(reason.lower())
    if finish is None and not refusal:
        raise Malformed(f"{where}.finish_reason is {reason!r}")
    is_empty = message.get("content") is None and not parts.reasoning
    if not refusal and finish == "stop" and is_empty:
        raise Malformed(f"{where}.message has no `content`")
    return Sample(
        parts.text or parts.refusal,
        finish or "stop",
        0,
        reasoning=parts.reasoning,
        logprobs=_logprobs(choice, where),
        top_logprobs=_likeliest(choice, where),
        stop=_stop(choice) if finish == "stop" else None,
        refusal=refusal,
        calls=() if finish == "length" else _calls(message, where),
    )


def _calls(message: Object, where: str) -> tuple[tuple[str, str], ...]:
    """Return the calls of tools in a message: their names, and their arguments as JSON."""
    found = []
    for one in as_list(message.get("tool_calls") or [], f"{where}.message.tool_calls"):
        called = as_object(one, "a call of a tool").get("function")
        match as_object(called, "a call of a tool"):
            case {"name": str(name), "arguments": str(arguments)}:
                found.append((name, arguments))
            case {"name": str(name), "arguments": dict(arguments)}:  # some servers parse them
                found.append((name, json.dumps(arguments, ensure_ascii=False)))
            case {"name": str(name)}:
                found.append((name, ""))
            case _:
                raise Malformed(f"{where}.message has a call of a tool without a name")
    return tuple(found)


def _stop(choice: Object) -> str | int | None:
    """Return the stop that ended a choice, of servers that say so: vLLM, SGLang."""
    for name in STOPS:
        value = choice.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool):
            return value
    return None


def _refusal(message: Object, reason: str, parts: Parts) -> str:
    """Return why a choice has no reply; empty if it has one."""
    said, word = f'(finish_reason "{reason}")', reason.lower()
    called = message.get("tool_calls") or message.get("function_call")
    if word in _FILTERS:
        return f"the server's content filter stopped the reply {said}; {_FALLBACK}"
    if word in _TOOLS or (called and not parts.text):
        return f"the model called a tool instead of replying {said}; {_TOOLS_HINT}"
    if word in _REFUSALS or parts.refusal:
        return f"the model refused to reply {said}; {_FALLBACK}"
    if parts.other:
        return f"the reply has a part that is not text, of type {parts.other!r}; {_FALLBACK}"
    return ""


@frozen
class Parts:
    """The content of a message: its text, and what other parts of it say."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    other: str = ""
    """Type of the first part that is none of these; empty if there is none."""


def parts_of(content: object) -> Parts:
    """Return the parts of a content: a text, a list of parts, or null.

    Raises `Malformed` for anything else.

    >>> parts_of([{"type": "text", "text": "4"}, {"type": "text", "text": "2"}]).text
    '42'
    """
    if content is None or isinstance(content, str):
        return Parts(content or "")
    texts: dict[str, list[str]] = {"text": [], "reasoning": [], "refusal": []}
    other = ""
    for one in as_list(content, "`content`"):
        part = {"type": "text", "text": one} if isinstance(one, str) else as_object(one, "a part")
        match part:
            case {"type": "text" | "output_text", "text": str(text)}:
                texts["text"].append(text)
            case {"type": "thinking", "thinking": thinking}:  # Mistral
                texts["reasoning"].append(parts_of(thinking).text)
            case {"type": "thinking" | "reasoning", "text": str(text)}:
                texts["reasoning"].append(text)
            case {"type": "refusal", "refusal": str(text)}:
                texts["refusal"].append(text)
            case {"type": str(kind)} if kind not in ("text", "output_text", "refusal"):
                other = other or kind
            case _:
                raise Malformed("a part of `content` has no text")
    joined = {name: "".join(found) for name, found in texts.items()}
    return Parts(**joined, other=other)


def _logprobs(choice: Object, where: str) -> tuple[float, ...]:
    """Return the log probability of each token; empty if the server returns none."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    if content is None:
        return ()
    what = f"{where}.logprobs.content"
    values = [as_object(token, what).get("logprob") for token in as_list(content, what)]
    numbers = tuple(number for one in values if (number := as_number(one)) is not None)
    if len(numbers) < len(values):
        raise Malformed(f"{what} has no numbers")
    return numbers


def _likeliest(choice: Object, where: str) -> tuple[TopLogprobs, ...]:
    """Return the sampled and the likeliest tokens at each position; empty without the latter."""
    logprobs = choice.get("logprobs")
    content = logprobs.get("content") if isinstance(logprobs, dict) else None
    what = f"{where}.logprobs.content"
    found = []
    for one in as_list(content, what):
        token = as_object(one, what)
        likeliest = as_list(token.get("top_logprobs"), f"{what}.top_logprobs")
        if not likeliest:
            return ()
        pairs = [_pair(as_object(each, what), what) for each in (token, *likeliest)]
        found.append((pairs[0], *sorted(pairs[1:], key=lambda pair: -pair[1])))
    return tuple(found)


def _pair(token: Object, what: str) -> tuple[str, float]:
    """Return the text of a token and the logarithm of its probability. Raises `Malformed`."""
    text, number = token.get("token"), as_number(token.get("logprob"))
    if not isinstance(text, str) or number is None:
        raise Malformed(f"{what} has no texts with numbers")
    return text, number


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
