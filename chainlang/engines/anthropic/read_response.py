"""Responses of the Messages API, read as samples. Pure functions."""

from __future__ import annotations

import json
from collections.abc import Mapping

from chainlang.engines.http.json_values import Malformed, Object, as_list, as_object, as_tokens
from chainlang.engines.http.response import Response
from chainlang.protocol.messages import Finish, Sample, Usage

_FINISHES: Mapping[str, Finish] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_FALLBACK = "`fallback` can ask another model, `need` can do without the sample"
_REFUSALS: Mapping[str, str] = {
    "refusal": f'the model refused to reply (stop_reason "refusal"); {_FALLBACK}',
    "tool_use": 'the model called a tool instead of replying (stop_reason "tool_use"); '
    "its stage has none: leave them out of extra",
    "pause_turn": 'the model paused for a tool of the server (stop_reason "pause_turn"); '
    "its stage has none: leave them out of extra",
}
_SILENT = frozenset({"redacted_thinking"})
"""Parts of a reply that are encrypted."""


def parse_response(document: object) -> Response:
    """Return the sample of a response. Raises `Malformed`."""
    reply = as_object(document, "the reply")
    texts: dict[str, list[str]] = {"text": [], "thinking": []}
    calls: list[tuple[str, str]] = []
    other = ""
    for position, one in enumerate(as_list(reply.get("content"), "`content`")):
        part = as_object(one, f"`content[{position}]`")
        match part:
            case {"type": "text" | "thinking" as kind} if isinstance(part.get(kind), str):
                texts[kind].append(part[kind])
            case {"type": "tool_use", "name": str(name), "input": dict(given)}:
                calls.append((name, json.dumps(given, ensure_ascii=False)))
            case {"type": str(kind)} if kind not in texts:
                other = other or ("" if kind in _SILENT else kind)
            case _:
                raise Malformed(f"`content[{position}]` has no text")
    reason = reply.get("stop_reason")
    if not isinstance(reason, str):
        raise Malformed("`stop_reason` is not a text")
    refusal = _REFUSALS.get(reason, "")
    if other and not refusal:
        refusal = f"the reply has a part that is not text, of type {other!r}; {_FALLBACK}"
    if reason not in _FINISHES and not refusal:
        raise Malformed(f"`stop_reason` is {reason!r}")
    usage = _usage(as_object(reply.get("usage") or {}, "`usage`"))
    stop = reply.get("stop_sequence")
    sample = Sample(
        "".join(texts["text"]),
        _FINISHES.get(reason, "stop"),
        usage.output_tokens,
        reasoning="\n".join(texts["thinking"]),
        stop=stop if isinstance(stop, str) else None,
        refusal=refusal,
        calls=tuple(calls) if reason == "tool_use" else (),
        context=0 if reason == "model_context_window_exceeded" else None,
    )
    return Response({0: sample}, usage)


def _usage(usage: Object) -> Usage:
    """Return the usage of a response; its `input_tokens` are without those of the cache."""
    fresh, written, read, output = (
        as_tokens(usage, name)
        for name in (
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "output_tokens",
        )
    )
    return Usage(1, fresh + written + read, read, output)
