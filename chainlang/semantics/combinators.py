"""Semantics of combinators, shared by the reference interpreter and the runtime.

If a part runs several times, or in place of another, its samples need distinct places. The first
attempt, round, item or part adds nothing to the place; each further one adds a mark and a number.
So ``retry(a)`` has the samples of ``a`` if nothing fails, and so have ``loop(a, max=1)``,
``fallback(a, b)`` and `each` over one item. A combinator directly inside another one of its kind
has the same place; the outer one repeats its mark, so that places stay distinct.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, assert_never

from attrs import evolve, frozen

from chainlang.ir.nodes import (
    Cascade,
    Combinator,
    Each,
    Expr,
    Fallback,
    Loop,
    Named,
    Retry,
    Route,
    Timeout,
    WithFields,
)
from chainlang.ir.visit import parts_of
from chainlang.protocol.failures import FAILURE_MODES, Cause
from chainlang.semantics.events import Event
from chainlang.semantics.expressions import evaluate, names
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.record import Record
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.template_values import in_short

Marked: TypeAlias = Fallback | Cascade | Retry | Loop | Each
"""Combinators that run a part several times, or in place of another."""
MARKS: Mapping[type[Marked], str] = {
    Fallback: "?",
    Cascade: "~",
    Retry: "!",
    Loop: "+",
    Each: "#",
}
"""Marks in places. No label or other element of a place begins with one of them."""
DECIDED = "="
"""Mark of the stage that decides a setting of another one, before its name."""
DEFAULT_TIMES = 3
ITEM = "item"
"""Default name of an item of `each`."""
ITEM_INDEX = "item_index"
"""Name of the number of an item in the body of its `each`; the first is 0."""
ROUND = "round"
"""Name of the number of a round in the body and the condition of its `loop`; the first is 0."""
LONGEST_WAIT = 60.0
"""Maximum seconds to which a backoff doubles; a longer backoff stays constant."""
RETRIED = frozenset(cause for cause, mode in FAILURE_MODES.items() if mode.retried)
"""Failures after which a retry may succeed; others would be repeated."""


def mark(node: Marked) -> str:
    """Return the mark of a combinator in places, repeated for nested combinators of its kind.

    >>> from chainlang import chain
    >>> mark(chain("retry(E)").body), mark(chain("retry(timeout(retry(E), seconds=1))").body)
    ('!', '!!')
    """
    kind = type(node)
    return MARKS[kind] * (1 + max(_nested(part, kind) for part in _sharing(node)))


def _nested(node: Expr, kind: type[Marked]) -> int:
    """Return the number of nested combinators of a kind at the place of a part."""
    while isinstance(node, Named):
        node = node.body
    if not isinstance(node, Combinator):
        return 0
    below = max((_nested(part, kind) for part in _sharing(node)), default=0)
    return below + isinstance(node, kind)


def _sharing(node: Combinator) -> list[Expr]:
    """Return the parts that have the same place as the combinator itself."""
    match node:
        case Fallback(parts) | Cascade(parts):
            return [parts[0]]
        case Route():  # one of them runs
            return parts_of(node)
        case Retry(body) | Timeout(body) | Loop(body) | Each(body) | WithFields(body):
            return [body]
    assert_never(node)


def further(place: Place, mark: str, number: int) -> Place:
    """Return the place of an attempt, a round or an item; the first has the place itself."""
    return (*place, f"{mark}{number}") if number else place


def alternatives(node: Fallback | Cascade) -> tuple[str, ...]:
    """Return the labels of the parts of which one counts, or their numbers, for their places."""
    sign, found = mark(node), [""]
    for number, part in enumerate(node.parts[1:], 1):
        name = f"{sign}{part.name}" if isinstance(part, Named) else ""
        found.append(name if name and name not in found else f"{sign}{number}")
    return tuple(found)


# ---------------------------------------------------------------- retry


class Failed(Protocol):
    """An error of a stage or a row, which a retry policy decides on."""

    @property
    def cause(self) -> Cause: ...  # noqa: D102
    @property
    def transient(self) -> bool: ...  # noqa: D102
    @property
    def reply(self) -> str | None: ...  # noqa: D102


def is_caught(error: Failed) -> bool:
    """Return whether `fallback` and `retry` may act on an error; else it fails the row."""
    return FAILURE_MODES[error.cause].caught


@frozen
class Attempt:
    """One attempt at a part."""

    record: Record
    """Record that the part reads."""
    attempt: int = 0
    """Number in the places of its samples; it stays the same if nothing was sampled."""
    number: int = 1
    """Number of attempts so far, this one included."""


@frozen
class RetryPolicy:
    """Retry policy of a part: maximum attempts, failures to retry, and waits."""

    times: int = 1
    on: frozenset[str] = RETRIED
    backoff: float = 0.0
    """Seconds before the second attempt; each further wait is twice as long."""
    mark: str = "!"

    def after(self, one: Attempt, error: Failed) -> Attempt | None:
        """Return the attempt after a failed one; None if there is none.

        It has other samples, whose prompts may read the `error` and the bad `reply`. After a
        transport error nothing was sampled, so the same samples are requested again.
        """
        passes = error.transient and "transport" in self.on
        retried = is_caught(error) and (passes or error.cause in self.on)
        if one.number >= self.times or not retried:
            return None
        number = one.number + 1
        if error.transient or error.cause == "transport":
            return evolve(one, number=number)
        record = one.record.inside(error=str(error), reply=error.reply)
        return Attempt(record, one.attempt + 1, number)

    def wait(self, one: Attempt) -> float:
        """Return the seconds to wait before an attempt."""
        most = max(self.backoff, LONGEST_WAIT)
        return min(self.backoff * 2.0 ** min(one.number - 2, 64), most)


ONCE = RetryPolicy()


def goes_on(error: Failed, on: frozenset[str] | None) -> bool:
    """Return whether a fallback runs its next part after an error; `on` is None for any cause."""
    passes = on is None or error.cause in on or (error.transient and "transport" in on)
    return is_caught(error) and passes


def causes(on: str | tuple[str, ...] | None) -> frozenset[str] | None:
    """Return the value of the option `on` as a set; None without one."""
    return None if on is None else frozenset({on} if isinstance(on, str) else on)


def retry_policy(node: Retry) -> RetryPolicy:
    """Return the retry policy of a `retry`, with defaults filled in."""
    on = RETRIED if node.on is None else node.on
    return RetryPolicy(
        DEFAULT_TIMES if node.times is None else node.times,
        frozenset({on} if isinstance(on, str) else on),
        0.0 if node.backoff is None else node.backoff,
        mark(node),
    )


def tried(message: str, times: int) -> str:
    """Return the message of a failure after `times` attempts."""
    return message if times == 1 else f"{message} (tried {times} times)"


def last_of(messages: Sequence[str]) -> str:
    """Return the message of a fallback whose parts failed with these messages."""
    if len(messages) == 1:
        return messages[0]
    return f"{messages[-1]} (before that: {'; '.join(messages[:-1])})"


# ---------------------------------------------------------------- route, loop, each


def value_of(expression: str, record: Record, what: str) -> Any:
    """Return the value of an expression over a record; `what` names its use in errors.

    It can read all values of templates, and the ``answer`` and fields of the first candidate.
    Raises `StageError` if the record lacks a value, whose message depends on the candidates only if
    the expression reads a field of them: it may be evaluated before there are any.
    """
    read = names(expression)
    values = record.values_for(read)
    if record.candidates:
        first = record.candidates[0]
        fields = {**first.fields, "answer": first.answer}
        values |= {} if read.isdisjoint(fields) else fields
    try:
        return evaluate(expression, values)
    except RenderError as error:
        raise StageError(f"{what} can't be evaluated: {error}", "input") from error


def is_over(value: Any) -> bool:
    """Return whether a loop ends. Raises `StageError` for a value that is not a boolean."""
    return _truth(value, "until=")


def is_accepted(value: Any) -> bool:
    """Return whether a cascade ends. Raises `StageError` for a value that is not a boolean."""
    return _truth(value, "accept=")


def _truth(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise StageError(f"{what} is true or false, and this is {in_short(value)}", "input")
    return value


def arm(value: Any, arms: Collection[str], default: bool) -> str | None:
    """Return the key of the arm that a value selects; None for the default.

    A string selects the arm with that key; a number, a boolean and null the one with their JSON.
    Raises `StageError` if there is no such arm.
    """
    key = value if isinstance(value, str) else in_short(value)
    if key in arms:
        return key
    if default:
        return None
    known = ", ".join(in_short(one) for one in arms)
    raise StageError(
        f"by= is {in_short(value)}, and the arms are {known}: there is no default", "input"
    )


def listed(value: Any, most: int) -> list[Any]:
    """Return the items of a list. Raises `StageError` for another value, or one too long."""
    if not isinstance(value, list | tuple):
        raise StageError(f"over= is no list but {in_short(value)}", "input")
    if len(value) > most:
        message = f"over= has {len(value):,} items: the limit samples_per_stage is {most:,}"
        raise StageError(message, "input")
    return list(value)


def judged_by(function: UserFunction, record: Record) -> Record:
    """Return the record for a function used as a condition; a map gets the first candidate only."""
    if function.kind != "map":
        return record
    return evolve(record, candidates=record.candidates[:1])


def ran_out(place: Place, most: int) -> Event:
    """Return the event of a loop whose condition never held."""
    return Event("loop", place, f"its condition did not hold after {most} rounds")


def in_round(record: Record, number: int) -> Record:
    """Return the record at the start of a round of a `loop`: with the number of the round."""
    return record.inside(**{ROUND: number})


def beginning(record: Record, name: str, item: Any, number: int) -> Record:
    """Return the initial record of an item of an `each`: with the item, without candidates."""
    return evolve(record.inside(**{ITEM_INDEX: number, name: item}), candidates=())
