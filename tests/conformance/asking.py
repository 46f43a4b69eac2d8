"""Requests, and waiting for what comes back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

from chainlang.engines.protocol import Engine
from chainlang.protocol.messages import (
    Completion,
    Delta,
    Failure,
    Message,
    Request,
    Sample,
    Sampling,
)

_NUMBERS = itertools.count(1)
_PATIENCE = 20_000  # steps


def ask(text: str = "What is 17 + 25?", **fields: Any) -> Request:
    """Return a request with an id of its own; sampling fields go beside the others."""
    own = {"count", "schema", "seed", "priority", "messages", "stream", "lenient", "logprobs"}
    own |= {"choices", "labels", "top_logprobs", "budgets"}
    sampling = {key: fields.pop(key) for key in set(fields) - own}
    given = {"temperature": 1.0, "max_tokens": 16, **sampling}
    fields.setdefault("messages", (Message("user", text),))
    fields.setdefault("seed", 7)
    name = f"request-{next(_NUMBERS)}"
    return Request(id=name, model="tiny", sampling=Sampling(**given), **fields)


def replies(engine: Engine, *requests: Request) -> list[Completion | Failure]:
    """Return what comes back for each request, and hold the engine to once for each."""
    engine.submit(requests)
    found = collect([engine], [one.id for one in requests])
    return [found[one.id] for one in requests]


def collect(engines: Iterable[Engine], names: Iterable[str]) -> dict[str, Completion | Failure]:
    """Step engines in turns until all of these have come back, and then a little more."""
    engines, missing = list(engines), set(names)
    found: dict[str, Completion | Failure] = {}
    for _ in range(_PATIENCE):
        if not missing:
            break
        for one in engines:
            for reply in one.step():
                assert not isinstance(reply, Delta), f"{reply.id} is not to be streamed"
                assert reply.id in missing, f"{reply.id} came back twice, or was not asked"
                missing.remove(reply.id)
                found[reply.id] = reply
    assert not missing, f"these did not come back: {missing}"
    for one in engines:
        assert not one.step()
    return found


def completion(engine: Engine, request: Request) -> Completion:
    """Return the completion of one request."""
    (reply,) = replies(engine, request)
    assert isinstance(reply, Completion), reply
    return reply


def samples(engine: Engine, request: Request) -> tuple[Sample, ...]:
    """Return the samples of one request."""
    return completion(engine, request).samples
