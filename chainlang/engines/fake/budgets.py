"""Budgets of parts of the fake engine's replies: where a sample stops, and how it continues."""

from __future__ import annotations

import json

from chainlang.engines import closing
from chainlang.engines.fake.replies import logprobs_of, tokens_of
from chainlang.engines.fake.tokenizer import CHARACTERS_PER_TOKEN
from chainlang.protocol.messages import Beginning, Request, Sample


def thought_over_budget(reasoning: str, request: Request, bound: int) -> Sample | None:
    """Return the sample of reasoning that is longer than its budget; None for any other."""
    budget = request.thinking_tokens
    if budget is None or tokens_of(reasoning) <= budget or budget + 1 >= bound:
        return None
    text = reasoning[: budget * CHARACTERS_PER_TOKEN]
    logprobs = logprobs_of(text, budget) if request.logprobs else ()
    return Sample("", "budget", budget, reasoning=text, logprobs=logprobs, closed=True)


def field_over_budget(reasoning: str, text: str, request: Request, room: int) -> Sample | None:
    """Return a sample up to the first field that is longer than its budget; None if none is.

    `room`: tokens that the prompt leaves in the context. The sample of the last field is whole.
    """
    most = request.sampling.max_tokens
    budgets = closing.effective(request.budgets, most, room)
    least = min([min(most, room), *budgets.values()])
    if len(reasoning + text) + 2 <= least * CHARACTERS_PER_TOKEN:  # no field is that long
        return None
    found = closing.texts(text)
    for name, budget in budgets.items():
        start, end = found.get(name, (0, 0))
        rest = closing.after(request.schema or "", name)
        stop = start + budget * CHARACTERS_PER_TOKEN
        if rest is None:  # the last text ends where the reply would be cut
            stop = min(stop, max(0, min(most, room) * CHARACTERS_PER_TOKEN - len(reasoning) - 2))
        if (len(text) if end is None else end) <= stop or stop <= start:
            continue
        while stop > start + 1 and not closing.is_clean(text[:stop], start):
            stop -= 1
        tokens = tokens_of(reasoning + text[:stop])
        if rest is not None and tokens + 1 >= min(most, room):
            return None
        begin = request.begin
        closed = (*(begin.sample.closed_fields if begin is not None else ()), name)
        return Sample(
            text[:stop] if rest is not None else text[:stop] + '"}',
            "budget" if rest is not None else "stop",
            tokens,
            reasoning=reasoning,
            logprobs=logprobs_of(text[:stop], tokens) if request.logprobs else (),
            closed=begin is not None and begin.sample.closed,
            closed_fields=closed,
        )
    return None


def continued(text: str, begin: Beginning) -> str:
    """Return the text of a sample that continues another, of a reply as it were without that.

    After a field that was closed come the fields which the reply has after it.
    """
    closed = begin.sample.closed_fields
    if not closed:
        return text
    start = f'{begin.sample.text}", '
    try:
        fields = json.loads(text)
        names = [*fields]
        later = names[names.index(closed[-1]) + 1 :]
    except (TypeError, ValueError):
        return start + text
    return start + json.dumps({name: fields[name] for name in later})[1:]
