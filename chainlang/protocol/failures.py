"""What can go wrong, in one table: which failures pass by themselves, and what mends them.

Whatever decides what to do about a failure reads it here: an engine, whether to ask again; the
breaker of a model, whether the model still answers; `retry`, whether to draw again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

FailureKind = Literal["transport", "denied", "engine", "context", "constraint", "refused", "down"]
"""Why a call has no reply: what its engine says, or that it was not asked."""

Cause = FailureKind | Literal["reply", "cut", "function", "timeout", "input", "prompt", "budget"]
"""Why a stage has no candidates: that of a call, or one of its own."""


@frozen
class Fault:
    """One kind of failure."""

    means: str
    whose: Literal["model", "row"]
    """Of the model, for whatever is asked; or of this row alone."""
    passes: bool = False
    """Whether the same question may get an answer later; an engine asks it again by itself."""
    mended: bool = False
    """Whether a `retry` without `on` tries again."""
    drawn: bool = False
    """Whether it lies in what was drawn, so that only other samples may mend it."""


FAULTS: Mapping[Cause, Fault] = {
    "transport": Fault(
        "no connection, a time that ran out, half a reply, no JSON; or the server says that it is "
        "busy or in trouble: 408, 425, 429, 500 and above",
        "model", passes=True, mended=True,
    ),
    "down": Fault(
        "its model does not answer at all, so it was not asked", "model", passes=True, mended=True
    ),
    "denied": Fault(
        "the server turns away whoever asks so: a key, a quota, a model that it does not have: "
        "401, 402, 403, 404, 405, 407, 410, 501, 505",
        "model",
    ),
    "engine": Fault("the engine itself failed", "model"),
    "context": Fault("the prompt is longer than the model's context", "row"),
    "constraint": Fault("the engine can't keep the schema", "row"),
    "refused": Fault("no is said to this very question: 400, 422, and whatever is left", "row"),
    "reply": Fault("a reply does not fit its type", "row", mended=True, drawn=True),
    "cut": Fault("a reply was cut by `max_tokens`", "row", mended=True, drawn=True),
    "function": Fault("a Python function raised", "row", mended=True),
    "timeout": Fault("a part took longer than its `timeout`", "row", mended=True),
    "input": Fault(
        "the fields or candidates that a part reads are not there", "row", mended=True
    ),
    "prompt": Fault("the prompt can't be made of the row", "row"),
    "budget": Fault("the row has used up what a row may cost", "row"),
}  # fmt: skip
"""Every kind of failure there is."""

_BUSY = frozenset({408, 425, 429})
_DENIED = frozenset({401, 402, 403, 404, 405, 407, 410, 501, 505})
_UNPAID = "insufficient_quota"  # the code of a 429 that waiting does not mend


def of_status(status: int, code: object = None) -> FailureKind:
    """Return which failure a status of HTTP is, beside the code in a server's error.

    >>> of_status(429), of_status(429, "insufficient_quota"), of_status(503), of_status(400)
    ('transport', 'denied', 'transport', 'refused')
    """
    if status in _DENIED or code == _UNPAID:
        return "denied"
    return "transport" if status in _BUSY or status >= 500 else "refused"
