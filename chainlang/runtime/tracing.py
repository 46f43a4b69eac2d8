"""OpenTelemetry spans and counters of runs, rows, stages and calls of engines.

Only the API is used, and only if the program has imported it; otherwise tracing is off. Spans hold
neither prompts nor answers, unless ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` is
``true``, as in other libraries.
"""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from attrs import define, field

from chainlang.protocol.fingerprints import version_of
from chainlang.protocol.messages import Completion, Failure, Request
from chainlang.runtime.outcome import Outcome

# Names of OpenTelemetry's conventions for generative models, which are not stable yet.
OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
MODEL, TEMPERATURE = "gen_ai.request.model", "gen_ai.request.temperature"
MAX_TOKENS, CHOICES = "gen_ai.request.max_tokens", "gen_ai.request.choice.count"
COST = "chainlang.cost"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
FINISHES = "gen_ai.response.finish_reasons"
PROMPT, ANSWER = "gen_ai.input.messages", "gen_ai.output.messages"
ERROR, TOKEN_TYPE = "error.type", "gen_ai.token.type"
EVENTS, EVENT = "chainlang.events", "chainlang.event"
ABORTED = "aborted"
"""Error of an aborted request, stage or row."""

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_COUNTED = {
    "chainlang.rows": "Completed rows.",
    EVENTS: "Events of rows: what happened besides their results.",
    "chainlang.calls": "Samples requested from engines.",
    "chainlang.tokens": "Tokens of prompts and replies.",
    COST: "Cost in dollars, of models whose price is known.",
}


@define(eq=False)
class Tracing:
    """An open span, or `NOTHING`, which does nothing, if OpenTelemetry is not set up."""

    _span: Any = None

    def __bool__(self) -> bool:
        return self._span is not None

    def child(self, name: str, *, call: bool = False, **attributes: Any) -> Tracing:
        """Start a span inside this one; `call` marks a call to another process."""
        if self._span is None:
            return NOTHING
        from opentelemetry import trace

        kind = trace.SpanKind.CLIENT if call else trace.SpanKind.INTERNAL
        above = trace.set_span_in_context(self._span)
        return _begun(name, above, kind, attributes)

    def end(self, error: str | None = None, **attributes: Any) -> None:
        """End the span, with the kind of an error, if any; its message may contain an answer."""
        if self._span is None:
            return
        from opentelemetry.trace import Status, StatusCode

        self._span.set_attributes(_named(attributes))
        if error is not None:
            self._span.set_attribute(ERROR, error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


NOTHING = Tracing()


def begin(name: str, **attributes: Any) -> Tracing:
    """Start a span inside the caller's current one."""
    if "opentelemetry.trace" not in sys.modules:
        return NOTHING
    from opentelemetry.trace import SpanKind

    return _begun(name, None, SpanKind.INTERNAL, attributes)


def _begun(name: str, above: Any, kind: Any, attributes: Mapping[str, Any]) -> Tracing:
    from opentelemetry import trace

    tracer = trace.get_tracer("chainlang", version_of("chainlang"))
    span = tracer.start_span(name, context=above, kind=kind, attributes=_named(attributes))
    return Tracing(span) if span.is_recording() else NOTHING


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes with the prefix ``chainlang.``, without those that are None."""
    return {
        name if "." in name else f"chainlang.{name}": value
        for name, value in attributes.items()
        if value is not None
    }


# ---------------------------------------------------------------- calls


def is_on() -> bool:
    """Return whether the program has imported OpenTelemetry, so that calls may be traced."""
    return "opentelemetry.trace" in sys.modules or "opentelemetry.metrics" in sys.modules


def call_begun(request: Request, provider: str) -> Tracing:
    """Start the span of a request to an engine."""
    above = request.tracing
    if not isinstance(above, Tracing) or not above:
        return NOTHING
    attributes = {
        OPERATION: "chat",
        PROVIDER: provider,
        MODEL: request.model,
        TEMPERATURE: request.sampling.temperature,
        MAX_TOKENS: request.sampling.max_tokens,
        CHOICES: request.drawn,
    }
    if _shows_content():
        attributes[PROMPT] = json.dumps([[one.role, one.text] for one in request.messages])
    return above.child(f"chat {request.model}", call=True, **attributes)


def call_ended(
    tracing: Tracing, request: Request, provider: str, reply: Completion | Failure | None
) -> None:
    """End the span of a request, and count its calls and tokens; no reply if it was aborted."""
    if not (tracing or _is_counting()):
        return
    if isinstance(reply, Completion):
        attributes: dict[str, Any] = {
            INPUT_TOKENS: reply.usage.prompt_tokens,
            OUTPUT_TOKENS: reply.usage.output_tokens,
            FINISHES: [one.finish for one in reply.samples],
        }
        if reply.usage.cost is not None:
            attributes[COST] = float(reply.usage.cost)
        if tracing and _shows_content():
            attributes[ANSWER] = json.dumps([one.text for one in reply.samples])
        tracing.end(**attributes)
        tokens = {"input": reply.usage.prompt_tokens, "output": reply.usage.output_tokens}
        for kind, number in tokens.items():
            count("chainlang.tokens", number, {MODEL: request.model, TOKEN_TYPE: kind})
        if reply.usage.cost:
            count(COST, float(reply.usage.cost), {MODEL: request.model})
        error = None
    else:
        error = ABORTED if reply is None else reply.kind
        tracing.end(error)
    labels = {MODEL: request.model, PROVIDER: provider}
    count("chainlang.calls", request.drawn, labels | ({ERROR: error} if error else {}))


def _shows_content() -> bool:
    return os.environ.get(_CONTENT, "").lower() == "true"


# ---------------------------------------------------------------- counters


def count(name: str, number: float, attributes: Mapping[str, Any]) -> None:
    """Add to a counter."""
    if _is_counting():
        from opentelemetry import metrics

        _counters(metrics.get_meter)[name].add(number, attributes)


def _is_counting() -> bool:
    return "opentelemetry.metrics" in sys.modules


@lru_cache(maxsize=1)
def _counters(get_meter: Any) -> dict[str, Any]:
    meter = get_meter("chainlang", version_of("chainlang"))
    return {name: meter.create_counter(name, "1", words) for name, words in _COUNTED.items()}


def row_done(span: Tracing, outcome: Outcome) -> None:
    """End the span of a row, and count the row and its events."""
    if span is NOTHING and not _is_counting():
        return
    kinds = Counter(one.kind for one in outcome.events)
    counts: dict[str, Any] = {f"{EVENTS}.{kind}": number for kind, number in kinds.items()}
    span.end(outcome.cause, **counts)
    count("chainlang.rows", 1, {} if outcome.cause is None else {ERROR: outcome.cause})
    for kind, number in kinds.items():
        count(EVENTS, number, {EVENT: kind})


# ---------------------------------------------------------------- runs


@define(eq=False)
class RunTrace:
    """Span of a run, and the spans of its rows in flight."""

    run: Tracing
    _rows: dict[int, Tracing] = field(factory=dict)

    def row(self, index: int, row_id: str) -> Tracing:
        """Start the span of a row."""
        if self.run is NOTHING:
            return NOTHING
        found = self._rows[index] = self.run.child("row", row=index, row_id=row_id)
        return found

    def done(self, outcome: Outcome) -> None:
        """End the span of a row, if it has one, and count the row."""
        row_done(self._rows.pop(outcome.index, NOTHING) if self._rows else NOTHING, outcome)

    def close(self, rows: int) -> None:
        """End the span of the run, and those of its rows in flight as aborted."""
        for row in self._rows.values():
            row.end(ABORTED)
        self.run.end(rows=rows)
