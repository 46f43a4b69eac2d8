"""Failure modes: one table of everything that can fail, and which failures are worth a retry.

Every decision about a failure reads this table: an engine, whether to send the request again; the
circuit breaker of a model, whether the model is available; `retry`, whether to sample again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

FailureKind = Literal[
    "transport", "denied", "engine", "context", "constraint", "refused", "down", "function"
]
"""Failure of a request: reported by its engine, or `down` if the request was not sent."""

Cause = FailureKind | Literal["reply", "cut", "tools", "timeout", "input", "prompt", "budget"]
"""Failure of a stage: that of a request, or one that arises in the stage itself."""


@frozen
class FailureMode:
    """One kind of failure: its meaning, its scope, and what may succeed after it."""

    description: str
    scope: Literal["model", "row"]
    """`model`: other requests to the model fail the same way. `row`: this row alone is affected."""
    transient: bool = False
    """Whether the same request may succeed later; engines retry such a request by themselves."""
    retried: bool = False
    """Whether a `retry` without `on` tries again."""
    resampled: bool = False
    """Whether the sampled text is at fault, so that only a new sample can succeed."""
    caught: bool = True
    """Whether `fallback` and `retry` may act on it; else it fails the row."""


FAILURE_MODES: Mapping[Cause, FailureMode] = {
    "transport": FailureMode(
        "connection error, timeout, or a truncated or malformed response; or the server is "
        "overloaded or failing: 408, 425, 429, 5xx",
        "model", transient=True, retried=True,
    ),
    "down": FailureMode(
        "the model is unavailable, so the request was not sent",
        "model", transient=True, retried=True,
    ),
    "denied": FailureMode(
        "authentication, quota or unknown model: 401, 402, 403, 404, 405, 407, 410, 501, 505",
        "model",
    ),
    "engine": FailureMode("the engine itself failed", "model"),
    "context": FailureMode("the prompt is longer than the model's context", "row"),
    "constraint": FailureMode("the engine can't enforce the schema", "row"),
    "refused": FailureMode(
        "the server rejected this request: 400, 422, any other 4xx; or a content filter or the "
        "model refused to reply",
        "row",
    ),
    "reply": FailureMode("a reply does not fit its type", "row", retried=True, resampled=True),
    "cut": FailureMode(
        "a reply was cut by `max_tokens` or by the context, or is all reasoning",
        "row", retried=True, resampled=True,
    ),
    "tools": FailureMode(
        "a model called tools in each of its `tool_rounds`, and gave no answer",
        "row", retried=True, resampled=True,
    ),
    "function": FailureMode(
        "a Python function raised, or a tool returned an error", "row", retried=True
    ),
    "timeout": FailureMode("a part took longer than its `timeout`", "row", retried=True),
    "input": FailureMode("fields or candidates that a part reads are missing", "row", retried=True),
    "prompt": FailureMode("the prompt can't be rendered from the row", "row"),
    "budget": FailureMode("the row's budget is used up: the row fails", "row", caught=False),
}  # fmt: skip
"""Every kind of failure."""


def is_switched(kind: FailureKind) -> bool:
    """Return whether another model may answer a request that has failed.

    >>> [is_switched(kind) for kind in ("denied", "context", "refused")]
    [True, True, False]
    """
    return kind == "context" or FAILURE_MODES[kind].scope == "model"


_BUSY = frozenset({408, 425, 429})
_DENIED = frozenset({401, 402, 403, 404, 405, 407, 410, 501, 505})
_UNPAID = "insufficient_quota"  # the code of a 429 for which waiting is no cure


def kind_of_status(status: int, code: object = None) -> FailureKind:
    """Return the kind of failure of an HTTP status and, if there is one, the server's error code.

    >>> [kind_of_status(status) for status in (400, 404, 429, 503)]
    ['refused', 'denied', 'transport', 'transport']
    >>> kind_of_status(429, "insufficient_quota")
    'denied'
    """
    if status in _DENIED or code == _UNPAID:
        return "denied"
    return "transport" if status in _BUSY or status >= 500 else "refused"
