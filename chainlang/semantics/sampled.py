"""Samples of a stage: the events that each adds to its row, and how many must succeed."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from chainlang.protocol.failures import Cause
from chainlang.protocol.messages import Sample
from chainlang.semantics.cut import was_cut
from chainlang.semantics.events import Event
from chainlang.semantics.record import Candidate
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.stage_replies import cut_message
from chainlang.semantics.stages import Meaning


@frozen
class FailedSample:
    """A sample that failed: its error, its number, and its place."""

    error: StageError
    number: int
    place: Place


def noted(stage: Meaning, sample: Sample, place: Place, number: int) -> tuple[Event, ...]:
    """Return the events of a sample, whatever becomes of it.

    It was cut, a part was closed, another model or address answered. Most samples have none.
    """
    has_none = not (sample.reasoning or sample.closed_fields or sample.model or sample.moved)
    if sample.finish == "stop" and has_none:
        return ()
    found: tuple[Event, ...] = ()
    if sample.model:
        message = f"{sample.model} answered in place of {sample.switched}"
        found += (Event("switch", place, message, number),)
    if sample.moved:
        found += (Event("moved", place, sample.moved, number),)
    if sample.closed:
        message = f"the reasoning was ended at thinking_tokens, which is {stage.thinking_tokens}"
        found += (Event("closed", place, message, number),)
    budgets = dict(stage.budgets)
    for name in sample.closed_fields:
        message = f"the field '{name}' was closed at its budget, which is {budgets[name]} tokens"
        found += (Event("closed", place, message, number),)
    if was_cut(sample):
        found += (Event("cut", place, cut_message(stage, sample), number),)
    return found


def too_few(
    stage: Meaning, found: Sequence[Candidate], failures: Sequence[FailedSample], left: int = 0
) -> StageError | None:
    """Return the error of a stage of whose samples too few can succeed; None if enough can.

    `left` is the number of samples to come. The error is that of the first failed sample, with the
    first failure of each other cause in its message.
    """
    most = len(found) + left
    if not failures or most >= stage.needed(most + len(failures)):
        return None
    return failures[0].error.saying(_why(stage, len(found), failures))


def ended(
    place: Place, found: Sequence[Candidate], failures: Sequence[FailedSample]
) -> tuple[Event, ...]:
    """Return the events at the end of a stage, of which enough samples have succeeded."""
    events = [Event("need", one.place, str(one.error), one.number) for one in failures]
    samples = [one.error.sample for one in failures]
    kept = (*(one.unkept for one in found), *(one.unkept for one in samples if one is not None))
    parts = dict.fromkeys(part for unkept in kept for part in unkept)
    if parts:
        events.append(Event("unenforced", place, ", ".join(parts)))
    return tuple(events)


def _why(stage: Meaning, found: int, failures: Sequence[FailedSample]) -> str:
    """Return the first failure, the first of each other cause, and what `need` asked for."""
    firsts: dict[Cause, FailedSample] = {}
    for one in failures:
        firsts.setdefault(one.error.cause, one)
    first, *others = firsts.values()
    message = str(first.error)
    message += "".join(f"; sample {one.number}: {one.error}" for one in others)
    if stage.need is None:
        return message
    return f"{message} (need={stage.need}, and {found} of {found + len(failures)} succeeded)"
