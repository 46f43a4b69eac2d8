"""Continuing a reply with another request, which begins with what is there.

A budget of a part of a reply, such as `thinking_tokens`, stops a sample within that part. A second
request ends the part and generates the rest; the two make one sample, and count as one call.
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

    `number` is that of the sample. Its seed follows from the sample's own, so the whole sample
    depends on its place alone.
    """
    return evolve(
        request,
        seed=derived(request.seed + number, _PURPOSE),
        count=1,
        thinking_tokens=None,
        priority=request.priority - 1,
        begin=Beginning(sample, number),
    )


def whole(complete: Complete, request: Request) -> Completion | Failure:
    """Return the completion of a request for one sample, continued if a budget has stopped it."""
    reply = complete(request)
    if isinstance(reply, Completion) and reply.samples[0].finish == "budget":
        return complete(continuing(request, 0, reply.samples[0]))
    return reply
