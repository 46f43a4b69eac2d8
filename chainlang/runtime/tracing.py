"""Spans and counters of OpenTelemetry: a run, its rows, their stages, and the calls of engines.

The API alone is used, and only once something else has imported it: before that, nobody listens. No
prompt and no answer is in a span, unless ``OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT`` is
``true``, as in other libraries.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from attrs import define, field

from chainlang.protocol.messages import Completion, Failure, Request

# Names of the conventions for generative models; none of them is stable yet, so they stand here.
OPERATION, PROVIDER = "gen_ai.operation.name", "gen_ai.provider.name"
MODEL, TEMPERATURE = "gen_ai.request.model", "gen_ai.request.temperature"
MAX_TOKENS, CHOICES = "gen_ai.request.max_tokens", "gen_ai.request.choice.count"
INPUT_TOKENS, OUTPUT_TOKENS = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
FINISHES = "gen_ai.response.finish_reasons"
PROMPT, ANSWER = "gen_ai.input.messages", "gen_ai.output.messages"
ERROR, TOKEN_TYPE = "error.type", "gen_ai.token.type"
ABORTED = "aborted"
"""The error of what nobody waits for any more."""

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_COUNTED = {
    "chainlang.rows": "Rows that are done.",
    "chainlang.calls": "Samples that engines were asked for.",
    "chainlang.tokens": "Tokens that engines have read and written.",
}


@define(eq=False)
class Tracing:
    """A span that is going on; `NOTHING` where nobody listens."""

    _span: Any = None

    def __bool__(self) -> bool:
        return self._span is not None

    def child(self, name: str, *, call: bool = False, **attributes: Any) -> Tracing:
        """Begin a span inside this one; a `call` is of something outside this process."""
        if self._span is None:
            return NOTHING
        from opentelemetry import trace

        kind = trace.SpanKind.CLIENT if call else trace.SpanKind.INTERNAL
        above = trace.set_span_in_context(self._span)
        return _begun(name, above, kind, attributes)

    def end(self, error: str | None = None, **attributes: Any) -> None:
        """End it, with an error where there was one. What the error says may hold an answer."""
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
    """Begin a span inside the one that is current for whoever calls."""
    if "opentelemetry.trace" not in sys.modules:
        return NOTHING
    from opentelemetry.trace import SpanKind

    return _begun(name, None, SpanKind.INTERNAL, attributes)


def _begun(name: str, above: Any, kind: Any, attributes: Mapping[str, Any]) -> Tracing:
    from opentelemetry import trace

    tracer = trace.get_tracer("chainlang", version("chainlang"))
    span = tracer.start_span(name, context=above, kind=kind, attributes=_named(attributes))
    return Tracing(span) if span.is_recording() else NOTHING


def _named(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return attributes under our own names, without those that say nothing."""
    return {
        name if "." in name else f"chainlang.{name}": value
        for name, value in attributes.items()
        if value is not None
    }


# ---------------------------------------------------------------- calls


def call_begun(request: Request, provider: str) -> Tracing:
    """Begin to tell of a request that an engine is asked."""
    above = request.tracing
    if not isinstance(above, Tracing) or not above:
        return NOTHING
    told = {
        OPERATION: "chat",
        PROVIDER: provider,
        MODEL: request.model,
        TEMPERATURE: request.sampling.temperature,
        MAX_TOKENS: request.sampling.max_tokens,
        CHOICES: request.drawn,
    }
    if _shows_content():
        told[PROMPT] = json.dumps([[one.role, one.text] for one in request.messages])
    return above.child(f"chat {request.model}", call=True, **told)


def call_ended(
    tracing: Tracing, request: Request, provider: str, reply: Completion | Failure | None
) -> None:
    """Tell what came of a request; None if nobody waits for it any more."""
    if not (tracing or _is_counting()):
        return
    if isinstance(reply, Completion):
        told: dict[str, Any] = {
            INPUT_TOKENS: reply.usage.prompt_tokens,
            OUTPUT_TOKENS: reply.usage.output_tokens,
            FINISHES: [one.finish for one in reply.samples],
        }
        if tracing and _shows_content():
            told[ANSWER] = json.dumps([one.text for one in reply.samples])
        tracing.end(**told)
        tokens = {"input": reply.usage.prompt_tokens, "output": reply.usage.output_tokens}
        for kind, number in tokens.items():
            count("chainlang.tokens", number, {MODEL: request.model, TOKEN_TYPE: kind})
        error = None
    else:
        error = ABORTED if reply is None else reply.kind
        tracing.end(error)
    told = {MODEL: request.model, PROVIDER: provider}
    count("chainlang.calls", request.drawn, told | ({ERROR: error} if error else {}))


def _shows_content() -> bool:
    return os.environ.get(_CONTENT, "").lower() == "true"


# ---------------------------------------------------------------- counters


def count(name: str, number: int, attributes: Mapping[str, Any]) -> None:
    """Add to a counter."""
    if _is_counting():
        from opentelemetry import metrics

        _counters(metrics.get_meter)[name].add(number, attributes)


def _is_counting() -> bool:
    return "opentelemetry.metrics" in sys.modules


@lru_cache(maxsize=1)
def _counters(get_meter: Any) -> dict[str, Any]:
    meter = get_meter("chainlang", version("chainlang"))
    return {name: meter.create_counter(name, "1", words) for name, words in _COUNTED.items()}


def count_row(error: str | None) -> None:
    """Count a row that is done."""
    count("chainlang.rows", 1, {} if error is None else {ERROR: error})


# ---------------------------------------------------------------- runs


@define(eq=False)
class RunTrace:
    """A run as it is told of, and its rows in flight."""

    run: Tracing
    _rows: dict[int, Tracing] = field(factory=dict)

    def row(self, index: int, row_id: str) -> Tracing:
        """Begin to tell of a row."""
        if not self.run:
            return NOTHING
        found = self._rows[index] = self.run.child("row", row=index, row_id=row_id)
        return found

    def done(self, index: int, error: str | None) -> None:
        """Tell that a row is done."""
        self._rows.pop(index, NOTHING).end(error)
        count_row(error)

    def close(self, rows: int) -> None:
        """Tell that the run has ended, and with it what was in flight."""
        for row in self._rows.values():
            row.end(ABORTED)
        self.run.end(rows=rows)
