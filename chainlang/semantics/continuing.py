"""Continuing a reply with another request, which begins with what is there.

The budget of a part of a reply (`thinking_tokens`, `budget` of a field) stops a sample within that
part. Another request ends the part and generates the rest, up to the budget of a later part; all of
them make one sample, and count as one call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import evolve

from chainlang.protocol.messages import Beginning, Completion, Failure, Request, Sample
from chainlang.semantics.seeds import derived

Complete: TypeAlias = Callable[[Request], Completion | Failure]
"""Completes one request, as an engine does."""
_PURPOSE = "answer"


def continuing(request: Request, number: int, sample: Sample) -> Request:
    """Return the request that continues a sample of a request, which a budget has stopped.

    `number` is that of the sample, and `request` the first one. The seed follows from the sample's
    own and from the part, so the whole sample depends on its place alone.
    """
    closed = sample.closed_fields
    names = [name for name, _ in request.budgets]
    later = names.index(closed[-1]) + 1 if closed else 0
    return evolve(
        request,
        seed=derived(request.seed + number, f"after {closed[-1]}" if closed else _PURPOSE),
        count=1,
        thinking_tokens=None,
        priority=request.priority - 1,
        budgets=request.budgets[later:],
        begin=Beginning(sample, number),
    )


def whole(complete: Complete, request: Request) -> Completion | Failure:
    """Return the completion of a request for one sample, continued where a budget stops it."""
    reply = complete(request)
    while isinstance(reply, Completion) and reply.samples[0].finish == "budget":
        reply = complete(continuing(request, 0, reply.samples[0]))
    return reply
