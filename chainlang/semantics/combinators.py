"""What a combinator does with a record, whoever runs its parts.

Where a part runs more than once, or in place of another, its samples need places of their own. The
first attempt, round, item or part adds nothing to the place, and each further one adds a mark and
its number: so ``retry(a)`` in which nothing fails draws what ``a`` draws, and so do ``loop(a,
max=1)``, ``fallback(a, b)`` and `each` over one item. A combinator directly inside another of its
kind shares its place; the outer one repeats its mark, so that no two samples share a place.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, assert_never

from attrs import evolve, frozen

from chainlang.ir.nodes import (
    Combinator,
    Each,
    Expr,
    Fallback,
    Loop,
    Named,
    Retry,
    Route,
    Timeout,
)
from chainlang.ir.visit import parts_of
from chainlang.protocol.failures import FAILURE_MODES, Cause
from chainlang.semantics.expressions import evaluate
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.prompts import RenderError
from chainlang.semantics.record import Event, Record
from chainlang.semantics.seeds import Place
from chainlang.semantics.stage_error import StageError
from chainlang.semantics.template_values import as_json

Marked: TypeAlias = Fallback | Retry | Loop | Each
"""The combinators that run a part more than once, or in place of another."""
MARKS: Mapping[type[Marked], str] = {Fallback: "?", Retry: "!", Loop: "+", Each: "#"}
"""None of these can begin a label or any other part of a place."""
DEFAULT_TIMES = 3
ITEM = "item"
"""The name of an item of `each`, where none is given."""
LONGEST_WAIT = 60.0
"""Seconds; a backoff doubles up to this, or stays what it is where it is longer."""
MENDABLE = frozenset(cause for cause, mode in FAILURE_MODES.items() if mode.retried)
"""What drawing again may mend; other failures would only be repeated."""


def mark(node: Marked) -> str:
    """Return what a combinator writes before the number of an attempt, a round, an item or a part.

    >>> from chainlang import chain
    >>> mark(chain("retry(E)").body), mark(chain("retry(timeout(retry(E), seconds=1))").body)
    ('!', '!!')
    """
    kind = type(node)
    return MARKS[kind] * (1 + max(_nested(part, kind) for part in _sharing(node)))


def _nested(node: Expr, kind: type[Marked]) -> int:
    """Return how many combinators of a kind nest at the place of a part."""
    while isinstance(node, Named):
        node = node.body
    if not isinstance(node, Combinator):
        return 0
    below = max((_nested(part, kind) for part in _sharing(node)), default=0)
    return below + isinstance(node, kind)


def _sharing(node: Combinator) -> list[Expr]:
    """Return the parts that stand at the place of a combinator itself."""
    match node:
        case Fallback(parts):
            return [parts[0]]
        case Route():  # one of them runs
            return parts_of(node)
        case Retry(body) | Timeout(body) | Loop(body) | Each(body):
            return [body]
    assert_never(node)


def further(place: Place, mark: str, number: int) -> Place:
    """Return the place of an attempt, a round or an item; that of the first is the place itself."""
    return (*place, f"{mark}{number}") if number else place


def alternatives(node: Fallback) -> tuple[str, ...]:
    """Return what each part of a fallback adds to the place: its label, else its number."""
    sign, found = mark(node), [""]
    for number, part in enumerate(node.parts[1:], 1):
        name = f"{sign}{part.name}" if isinstance(part, Named) else ""
        found.append(name if name and name not in found else f"{sign}{number}")
    return tuple(found)


# ---------------------------------------------------------------- retry


class Failed(Protocol):
    """An error that may be worth another try: that of a stage, or of a row."""

    @property
    def cause(self) -> Cause: ...  # noqa: D102
    @property
    def transient(self) -> bool: ...  # noqa: D102
    @property
    def reply(self) -> str | None: ...  # noqa: D102


@frozen
class Try:
    """One try of a part."""

    record: Record
    """The record that the part reads."""
    attempt: int = 0
    """The number of its samples' attempt, which is in their place."""
    number: int = 1
    """How many tries there are with this one."""


@frozen
class Tries:
    """How often something is tried, after which failures, and how long it waits between."""

    times: int = 1
    on: frozenset[str] = MENDABLE
    backoff: float = 0.0
    """Seconds before the second try; each further wait is twice as long."""
    mark: str = "!"

    def after(self, one: Try, error: Failed) -> Try | None:
        """Return the try after one that has failed; None if there is none.

        It is another attempt, with other samples, whose prompts may read the `error` and the bad
        `reply`. Where the wire broke, nothing was drawn: the same samples are asked for again.
        """
        passes = error.transient and "transport" in self.on
        if one.number >= self.times or not (passes or error.cause in self.on):
            return None
        number = one.number + 1
        if error.transient or error.cause == "transport":
            return evolve(one, number=number)
        record = one.record.inside(error=str(error), reply=error.reply)
        return Try(record, one.attempt + 1, number)

    def wait(self, one: Try) -> float:
        """Return the seconds to wait before a further try."""
        most = max(self.backoff, LONGEST_WAIT)
        return min(self.backoff * 2.0 ** min(one.number - 2, 64), most)


ONCE = Tries()


def tries(node: Retry) -> Tries:
    """Return what a `retry` says, with every default filled in."""
    on = MENDABLE if node.on is None else node.on
    return Tries(
        DEFAULT_TIMES if node.times is None else node.times,
        frozenset({on} if isinstance(on, str) else on),
        0.0 if node.backoff is None else node.backoff,
        mark(node),
    )


def tried(message: str, times: int) -> str:
    """Return the message of a failure after so many tries."""
    return message if times == 1 else f"{message} (tried {times} times)"


def last_of(messages: Sequence[str]) -> str:
    """Return the message of a fallback all of whose parts failed."""
    return f"{messages[-1]} (before that: {'; '.join(messages[:-1])})"


# ---------------------------------------------------------------- route, loop, each


def value_of(expression: str, record: Record, what: str) -> Any:
    """Return the value of an expression over a record; `what` says what it is for.

    It reads what templates read, and besides the ``answer`` and the fields of the first candidate.
    Raises `StageError` where the record does not have what it reads.
    """
    values = dict(record.values)
    if record.candidates:
        first = record.candidates[0]
        values |= {**first.fields, "answer": first.answer}
    try:
        return evaluate(expression, values)
    except RenderError as error:
        raise StageError(f"{what} can't be told: {error}", "input") from error


def is_over(value: Any) -> bool:
    """Return whether a loop ends. Raises `StageError` for a condition that is no condition."""
    if not isinstance(value, bool):
        raise StageError(f"until= is true or false, and this is {_shown(value)}", "input")
    return value


def arm(value: Any, arms: Collection[str], default: bool) -> str | None:
    """Return the key of the arm that a value chooses; None for the default.

    A text chooses the arm of that key; a number, a truth value and nothing that of their JSON.
    Raises `StageError` where there is none.
    """
    key = value if isinstance(value, str) else _shown(value)
    if key in arms:
        return key
    if default:
        return None
    known = ", ".join(_shown(one) for one in arms)
    raise StageError(
        f"by= is {_shown(value)}, and the arms are {known}: there is no default", "input"
    )


def listed(value: Any, most: int) -> list[Any]:
    """Return the items of a list, as values. Raises `StageError` for what is none, or too long."""
    if not isinstance(value, list | tuple):
        raise StageError(f"over= is no list but {_shown(value)}", "input")
    if len(value) > most:
        message = f"over= has {len(value):,} items: the limit samples_per_stage is {most:,}"
        raise StageError(message, "input")
    return list(value)


def judged_by(function: UserFunction, record: Record) -> Record:
    """Return what a function that chooses or ends is given: a map, the first candidate alone."""
    if function.kind != "map":
        return record
    return evolve(record, candidates=record.candidates[:1])


def ran_out(place: Place, most: int) -> Event:
    """Return the event of a loop whose condition never held."""
    return Event("loop", place, f"its condition did not hold after {most} rounds")


def beginning(record: Record, name: str, item: Any) -> Record:
    """Return the record that a part of an `each` starts as: an item, and no candidates."""
    return evolve(record.inside(**{name: item}), candidates=())


def _shown(value: Any, most: int = 60) -> str:
    text = as_json(value)
    return text if len(text) <= most else text[: most - 1] + "…"
