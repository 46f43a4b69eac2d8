"""Retry loop of a sample, of a call of a function, and of a part inside `retry`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, TypeVar

from chainlang.runtime.effects import Effect, Pause, RowFailed
from chainlang.semantics.combinators import Attempt, RetryPolicy, tried
from chainlang.semantics.events import Event
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError

Made = TypeVar("Made")
Error = TypeVar("Error", StageError, RowFailed)


def retried(
    tries: RetryPolicy,
    first: Attempt,
    run: Callable[[Attempt], Generator[Effect, Any, Made]],
    events: list[Event],
    *,
    error: type[Error],
    place: Callable[[int], Place],
    sample: int | None = None,
) -> Generator[Effect, Any, Made]:
    """Return the result of the first attempt that does not fail with an `error`.

    Each retry adds an event to `events`, at the place of its attempt; `run` adds those of the
    attempt. Raises the error of the last
    attempt, with the number of attempts.
    """
    one = first
    while True:
        try:
            return (yield from run(one))
        except error as failed:
            again = tries.after(one, failed)
            if again is None:
                raise failed.saying(tried(str(failed), one.number)) from failed
            events.append(Event("retry", place(again.attempt), str(failed), sample))
        one = again
        if wait := tries.wait(one):
            yield Pause(wait)
