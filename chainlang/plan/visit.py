"""Traversal and rebuilding of the steps of a plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, assert_never

import attrs

from chainlang.diagnostics.source import Span
from chainlang.plan.steps import (
    AskUntilAgreement,
    Call,
    Cascade,
    Count,
    Decide,
    Each,
    Fallback,
    Fork,
    Fused,
    Gather,
    Generate,
    Graph,
    Leaf,
    Loop,
    Name,
    Repeat,
    Retry,
    Route,
    Sequence,
    Step,
    Timeout,
    WithFields,
)
from chainlang.semantics.combinators import ONCE
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.row_stages import asked as asked_by
from chainlang.semantics.seeds import Place
from chainlang.semantics.stages import Meaning
from chainlang.semantics.tools import FUNCTIONS


def _fields(kind: type[Step]) -> tuple[str, ...]:
    """Return the names of the fields that may hold steps inside a step."""
    found = _FIELDS.get(kind)
    if found is None:
        names = (one.name for one in attrs.fields(kind) if not one.metadata.get("asked"))
        found = _FIELDS[kind] = tuple(names)
    return found


_FIELDS: dict[type[Step], tuple[str, ...]] = {}


def inner(step: Step) -> tuple[Step, ...]:
    """Return the steps directly inside one, in the order of its fields.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [one.place for one in inner(lower(chain("3:E >> M").body).root)]
    [('0',), ('1',)]
    """
    found: list[Step] = []
    for name in _fields(type(step)):
        value = getattr(step, name)
        for one in value if isinstance(value, tuple) else (value,):
            one = one[-1] if _is_named(one) else one  # noqa: PLW2901
            if isinstance(one, Step):
                found.append(one)
    return tuple(found)


def _is_named(value: object) -> bool:
    """Return whether a value is a step with its name before it, as in a fork."""
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Step)


def leaves(step: Step) -> Iterator[Leaf]:
    """Yield the steps that produce candidates, in the order of the chain.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in leaves(lower(chain("(E & fr = E) >> M").body).root)]
    [('0', '&0'), ('0', 'fr'), ('1',)]
    """
    if isinstance(step, Leaf):
        yield step
    for one in inner(step):
        yield from leaves(one)


def calls(step: Step) -> Iterator[Call]:
    """Yield the function calls in a step, also those in conditions and votes.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> made = chain("E >> loop(@shout, until=@done)", functions={"shout": str, "done": bool})
    >>> [call.function.name for call in calls(lower(made.body, (), made.bound).root)]
    ['done', 'shout']
    """
    for one in steps_of(step):
        for called in (one, *asked(one)):
            if isinstance(called, Call):
                yield called
        if isinstance(one, Count) and isinstance(function := one.vote.how.normalize, UserFunction):
            yield Call(function, one.place, span=one.vote.span)


def effects(step: Step) -> Iterator[tuple[str, Place, Span | None]]:
    """Yield what may have side effects in a step, functions and tools: name, place and span.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> made = chain("E >> @shout", functions={"shout": str})
    >>> [name for name, *_ in effects(lower(made.body, (), made.bound).root)]
    ['@shout']
    """
    for call in calls(step):
        if not call.function.is_pure:
            yield f"@{call.function.name}", call.place, call.span
    for one in leaves(step):
        if isinstance(one, Generate) and one.stage.effects:
            names = ", ".join(it.name for it in one.stage.tools)
            yield names or one.stage.name, one.place, one.stage.span


def asked(step: Step) -> tuple[str | Call, ...]:
    """Return what a step itself asks of a record: a key, a condition, a list."""
    fields = attrs.fields(type(step))
    return tuple(getattr(step, one.name) for one in fields if one.metadata.get("asked"))


def models(step: Step) -> tuple[str, ...]:
    """Return the models that a step uses, in the order of their first use.

    Those that may answer in place of another one come after them, servers of tools last.
    """
    found = stages(step)
    others = (name for one in found for name, _ in one.fallbacks)
    servers = (it.model for one in found for it in one.tools if it.model != FUNCTIONS)
    return tuple(dict.fromkeys((*(one.model for one in found), *others, *servers)))


def stages(step: Step) -> tuple[Meaning, ...]:
    """Return the stages of a step that ask a model, in the order of the chain."""
    found = (one.stage for one in leaves(step) if isinstance(one, Generate))
    return tuple(each for one in found for each in asked_by(one))


def last(step: Step) -> Iterator[Leaf]:
    """Yield the steps whose candidates are in the result.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> [leaf.place for leaf in last(lower(chain("3:E >> (J | V)").body).root)]
    [('1', '|0'), ('1', '|1')]
    """
    if isinstance(step, Leaf):
        yield step
    for one in inner(step)[-1:] if _is_last_alone(step) else inner(step):
        yield from last(one)


def _is_last_alone(step: Step) -> bool:
    """Return whether the candidates of a step are those of the last one inside it."""
    match step:
        case Sequence() | Graph() | Decide() | AskUntilAgreement() | Fused():
            return True
        case Generate() | Count() | Call() | Gather() | Repeat() | Fork() | Name():
            return False
        case Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
            return False
        case WithFields():
            return False
    assert_never(step)


def steps_of(step: Step) -> Iterator[Step]:
    """Yield a step and all steps inside it, parents first."""
    yield step
    for one in inner(step):
        yield from steps_of(one)


def named(step: Step) -> Iterator[Name]:
    """Yield the named parts of a step that are readable after it: none of the body of an `each`."""
    if isinstance(step, Name):
        yield step
    if not isinstance(step, Each):
        for one in inner(step):
            yield from named(one)


def caught(step: Step) -> frozenset[int]:
    """Return the ids of the steps inside a `fallback` or a `retry`, whose failure it acts on.

    >>> from chainlang import chain
    >>> from chainlang.plan.lower import lower
    >>> len(caught(lower(chain("E >> fallback(E >> V, E)").body).root))
    4
    """
    catchers = (one for one in steps_of(step) if isinstance(one, Fallback | Retry))
    return frozenset(
        id(one) for catcher in catchers for part in inner(catcher) for one in steps_of(part)
    )


def is_synchronous(step: Step) -> bool:
    """Return whether a step never waits: a vote, or a synchronous function without retries."""
    match step:
        case Count():
            return True
        case Call(function, tries=tries):
            return tries == ONCE and not function.is_async
        case Name(_, one):
            return is_synchronous(one)
        case Fused(steps):
            return all(is_synchronous(one) for one in steps)
        case Generate() | Sequence() | Graph() | Decide() | AskUntilAgreement():
            return False
        case Gather() | Repeat():
            return False
        case Fork() | Fallback() | Cascade() | Retry() | Timeout() | Route() | Loop() | Each():
            return False
        case WithFields():
            return False
    assert_never(step)


def rebuilt(step: Step, change: Callable[[Step], Step]) -> Step:
    """Return a step with `change` applied to all steps inside it, then to itself.

    If nothing changed, it is the same object.
    """
    return change(mapped(step, lambda one: rebuilt(one, change)))


def mapped(step: Step, change: Callable[[Step], Step]) -> Step:
    """Return a step with `change` applied to the steps directly inside it.

    If nothing changed, it is the same object.
    """

    def new(value: Any) -> Any:
        if _is_named(value):
            name, one = value
            made = change(one)
            return value if made is one else (name, made)
        return change(value) if isinstance(value, Step) else value

    changes: dict[str, Any] = {}
    for name in _fields(type(step)):
        value = getattr(step, name)
        if isinstance(value, tuple):
            items = tuple(new(one) for one in value)
            if any(after is not before for after, before in zip(items, value, strict=True)):
                changes[name] = items
        elif (made := new(value)) is not value:
            changes[name] = made
    return attrs.evolve(step, **changes) if changes else step


def paired(step: Step, join: Callable[[Step, Step], Step | None]) -> Step:
    """Return a sequence with adjacent steps merged by `join`, which returns None to keep them.

    If nothing changed, it is the same object; a sequence of one step becomes that step.
    """
    if not isinstance(step, Sequence):
        return step
    steps = [step.steps[0]]
    for one in step.steps[1:]:
        joined = join(steps[-1], one)
        steps[-1:] = [steps[-1], one] if joined is None else [joined]
    if len(steps) == len(step.steps):
        return step
    return steps[0] if len(steps) == 1 else Sequence(tuple(steps))
