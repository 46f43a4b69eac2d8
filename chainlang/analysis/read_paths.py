"""Paths that a template or an expression reads, as values: ``candidates[0].score``."""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import evolve, field, frozen


@frozen
class Step:
    """One step of a path: to a field, or to items of a list."""

    to: Literal["field", "every", "one"]
    name: str = ""
    start: int = field(default=0, eq=False)
    end: int = field(default=0, eq=False)


@frozen
class Read:
    """A path that is read; `root` is its first name, None for a value without a name."""

    root: str | None
    steps: tuple[Step, ...] = ()
    start: int = field(default=0, eq=False)
    """Offset of its first name, which may be a variable of the template."""
    end: int = field(default=0, eq=False)
    own: int = field(default=0, eq=False)
    """Number of leading names that a variable stands for."""
    is_guarded: bool = field(default=False, eq=False)
    """Whether it may be absent: there is a ``default``, or a test whether it is defined."""
    is_certain: bool = field(default=True, eq=False)
    """Whether it is read in any case, outside the branches of an ``if``."""

    def then(self, *steps: Step) -> Read:
        """Return the path with more steps."""
        return evolve(self, steps=(*self.steps, *steps), end=max(self.end, *(s.end for s in steps)))

    @property
    def key(self) -> tuple[str | None, ...]:
        """Names of the path, for comparing paths."""
        return (self.root, *(one.name for one in self.steps))


@frozen
class ListOfPaths:
    """A list computed by a template, with the path of its items."""

    item: Read


PathValue: TypeAlias = "Read | ListOfPaths | None"
"""Value of an expression: a path, a list of paths, or None for anything else."""


@frozen
class Compared:
    """A path beside a constant: ``verdict == "correct"``, ``score in (1, 2)``."""

    read: Read
    operator: str
    """As jinja names it: ``eq``, ``ne``, ``in``, ``notin``, ``lt``, ``lteq``, ``gt``, ``gteq``."""
    values: tuple[tuple[str | int | float | bool | None, int], ...]
    """The constant, or the items of a list of constants, with their offsets."""


@frozen
class Reads:
    """All that a template or an expression reads and sets."""

    paths: tuple[Read, ...] = ()
    compared: tuple[Compared, ...] = ()
    variables: tuple[tuple[str, int], ...] = ()
    """Variables of the template that are set before it reads another value of this name, with
    their offsets."""
    value: PathValue = None
    """Value of an expression."""
