"""Requests of a stage: those of its samples for one row."""

from __future__ import annotations

from typing import Any, NamedTuple

from chainlang.plan.steps import Generate
from chainlang.protocol.messages import Fallback, Request, changed
from chainlang.runtime.effects import RowContext
from chainlang.runtime.ports.port import new_id
from chainlang.runtime.tracing import NOTHING
from chainlang.semantics.record import Candidate, Record
from chainlang.semantics.render_budget import rendering_within
from chainlang.semantics.seeds import Place, seed
from chainlang.semantics.stage_prompts import messages, prefix
from chainlang.semantics.stage_replies import choices, labels, schema


class SampleRange(NamedTuple):
    """Samples of one prompt that share a request."""

    number: int
    """Number of the prompt; a map has one for each candidate."""
    first: int
    """Number of the first sample."""
    size: int
    start: Record
    """Record that the prompt reads."""
    place: Place


def request_of(
    step: Generate,
    row_id: str,
    context: RowContext,
    samples: SampleRange,
    read: Candidate | None,
) -> Request:
    """Return the request of some samples; `read` is the candidate that the prompt of a map reads.

    Raises `StageError` for an invalid prompt.
    """
    stage, seconds = step.stage, context.limits.row_seconds
    first = seed(context.run.seed, row_id, samples.place)
    if seconds is None:
        prompt = messages(stage, samples.start, read, first)
    else:
        with rendering_within(seconds):
            prompt = messages(stage, samples.start, read, first)
    more: dict[str, Any] = {}  # what requests have of their row, and most stages do not ask for
    if stage.replies is not None:
        more["schema"] = schema(stage, samples.start)
    if stage.prefix:
        more["prefix"] = prefix(stage, samples.start, read)
    if stage.choices:
        more["labels"] = labels(stage, samples.start)
    if step.until_decided:
        more["choices"] = choices(stage, samples.start)
    if context.redraws and not stage.is_tool:
        more["redraw"] = context.redraw
    if context.tracing is not NOTHING:
        more["tracing"] = context.tracing
    return changed(
        _common(step, context),
        id=new_id(),
        messages=prompt,
        seed=first + samples.first,
        count=samples.size,
        first=samples.first,
        row=context.index,
        **more,
    )


def _common(step: Generate, context: RowContext) -> Request:
    """Return a request with the fields that all requests of a step have."""
    known = context.run.common.get(id(step))
    if known is not None and known[0] is step:
        return known[1]
    made = _of_step(step, context)
    if step.stage.by_row is None:  # else the step is that of one row
        context.run.common[id(step)] = (step, made)
    return made


def _of_step(step: Generate, context: RowContext) -> Request:
    stage, prices, limits = step.stage, context.run.prices, context.limits
    return Request(
        id="",
        model=stage.model,
        messages=(),
        sampling=stage.sampling,
        seed=0,
        lenient=True,  # the reply is validated for what the engine does not enforce
        logprobs=stage.logprobs,
        template_args=stage.template_args,
        adapter=stage.adapter,
        fallbacks=tuple(Fallback(*one, prices.get(one[0])) for one in stage.fallbacks),
        thinking_tokens=stage.thinking_tokens,
        budgets=stage.budgets,
        top_logprobs=stage.top_logprobs,
        effects=stage.is_tool and stage.effects,
        run=context.run.mark if stage.effects else "",
        shared=step.shared,
        step=next((one for one in reversed(step.place) if one.isidentifier()), stage.name),
        tools=tuple(one.spec for one in stage.tools),
        price=prices.get(stage.model),
        date=context.run.date,
        deadline=limits.call_seconds,
        patience=limits.patience,
    )
