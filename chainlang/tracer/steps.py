"""Recorded calls, in the order of the function, and the scopes that they stand in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from attrs import define, field, frozen

from chainlang.api.chain import Chain
from chainlang.tracer.places import Place
from chainlang.tracer.values import Labels
from chainlang.tracer.variables import name_steps


@frozen
class Setting:
    """Place of a call in the chain."""

    labels: Labels
    """Labels of all calls."""
    label: str
    """Its own."""
    before: tuple[Step, ...]
    """Calls whose candidates it finds, in order."""
    is_fed: bool
    """Whether it finds any."""


class _Anything(dict[Any, str]):
    """Labels before they are known."""

    def __missing__(self, key: object) -> str:
        return "part"


PROVISIONAL = Setting(_Anything(), "ask", (), is_fed=False)
"""Place of a call before the others are known."""


@define(eq=False)
class Step:
    """A recorded call: how its chain is made, once the labels are known, and what it reads."""

    scope: Scope
    make: Callable[[Setting], Chain]
    """Function of its place to its chain."""
    called: str
    """Name in messages, until it has one of a variable: of the op, or of the type of stage."""
    default: str
    """Label, if no variable holds its result."""
    reads: tuple[Step, ...] = ()
    """Calls whose answers and fields its prompts and conditions read."""
    of: tuple[Step, ...] = ()
    """Calls whose candidates it reads, in order."""
    place: Place | None = None
    frames: tuple[FrameType, ...] = ()
    """Frames of the function around the call, the innermost first."""
    variable: str | None = None
    """Name of the variable that holds its result."""
    inner: tuple[Scope, ...] = ()
    """Scopes of its own: the arms of `when`, the body of `for_each`."""
    item: str | None = None
    """Name of an item in the scope inside, of `for_each`."""
    op: str | None = None
    """Op whose one stage it is."""

    @property
    def name(self) -> str:
        """Name of the variable that holds its result now, or what it is called."""
        if self.variable is None:
            name_steps(self.frames)
        return self.variable or self.called

    def needs(self) -> Iterator[Step]:
        """Yield the calls of its own scope that it reads, directly or inside."""
        for one in (*self.of, *self.everything_read()):
            if one.scope is self.scope:
                yield one

    def everything_read(self) -> Iterator[Step]:
        """Yield the calls that it reads by name, or that the calls inside of it read."""
        yield from self.reads
        for scope in self.inner:
            for step in scope.steps:
                yield from (*step.of, *step.everything_read())


@define(eq=False)
class Scope:
    """Calls that are recorded together: those of the function, of an arm, or of an item."""

    outer: Scope | None = None
    item: str | None = None
    """Name of the item that it is for, of `for_each`."""
    steps: list[Step] = field(factory=list)
    result: Step | None = None

    def sees(self, step: Step) -> bool:
        """Return whether calls of this scope can read a call."""
        scope: Scope | None = self
        while scope is not None:
            if step.scope is scope:
                return True
            scope = scope.outer
        return False

    def every(self) -> Iterator[Step]:
        """Yield all calls, those inside of others before them, in the order of the function."""
        for step in self.steps:
            for inner in step.inner:
                yield from inner.every()
            yield step
