"""Events: what happened in a row besides its result, in one closed set of kinds.

Each event is noted once, where it happens, in the record of its row; a part that fails hands its
events to the part that continues. So a row has its events in the order of the chain, whether it
succeeds or fails, and everything that shows events counts the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import frozen

from chainlang.semantics.seeds import Place

EventKind = Literal[
    "cut",
    "closed",
    "retry",
    "need",
    "fallback",
    "switch",
    "moved",
    "tool",
    "tool_error",
    "loop",
    "lossy",
    "unenforced",
    "equal",
    "left_out",
    "blank",
]

EVENTS: Mapping[EventKind, str] = {
    "cut": "a reply was cut by `max_tokens` or by the context, or is all reasoning, "
    "whatever became of it",
    "closed": "reasoning was ended at `thinking_tokens`, or a field of a reply at its budget, and "
    "what follows was generated",
    "retry": "a sample, a function or a part was tried again",
    "need": "a failed sample was left out, as the `need=` of its stage allows",
    "fallback": "a later part of a `fallback` ran",
    "switch": "a model of `fallback_models` answered, since the one before it was down, denied, "
    "over its quota or too short",
    "moved": "an address of the model failed, and another one answered",
    "tool": "a model called a tool, with these arguments, and this is the result",
    "tool_error": "a call of a tool failed or did not fit its schema, and the model got the error",
    "loop": "a `loop` reached its maximum before its condition held",
    "lossy": "a lossy pass took effect",
    "unenforced": "a stage's engine did not enforce a part of its type; replies were validated",
    "equal": "a row without an id has the fields of an earlier one, and so its samples",
    "left_out": "a field of the row is in no table, since JSON can't hold its value",
    "blank": "a prompt read an empty cell of CSV, as an empty text",
}
"""Meaning of each kind of event. A test runs each, and finds it in all places that show events."""


@frozen
class Event:
    """An unusual event in a row: its kind, its place, and the reason."""

    kind: EventKind
    place: Place
    """Place of the sample, of the part that ran, of the loop, or of the vote; () for the row."""
    message: str
    sample: int | None = None
    """Number of the sample, if it was one."""
