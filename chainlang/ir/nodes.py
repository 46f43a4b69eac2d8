"""The nodes of an expression. Frozen values, tuples all the way down, without behaviour.

A node's span is where it was written; it takes no part in equality. Build operators with
`chainlang.ir.build`, which keeps them flat: ``a >> (b >> c)`` and ``(a >> b) >> c`` are one `Then`.
"""

from __future__ import annotations

from typing import Self, TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.source import Span

Literal: TypeAlias = "str | int | float | bool | tuple[Literal, ...] | None"


@frozen
class Node:
    """The root of all nodes: it has a span, and nothing else."""

    span: Span | None = field(default=None, eq=False, repr=False, kw_only=True)

    def __deepcopy__(self, memo: object) -> Self:
        """The node itself: it is frozen all the way down, and copying would only cost stack."""
        return self


@frozen
class Expr(Node):
    """A part of a chain: what stands on either side of an operator."""


@frozen
class Stage(Expr):
    """``3:E:tiny:0.7(top_p=0.9)``: one type, run `count` times. What was not written is None."""

    name: str
    count: int = 1
    model: str | None = None
    temperature: float | None = None
    options: tuple[Option, ...] = ()
    """Sorted by name; each name once."""


@frozen
class Then(Expr):
    """``a >> b >> c``: each part reads what the one before it yields. Two parts or more."""

    parts: tuple[Expr, ...]


@frozen
class Join(Expr):
    """``a & b & c``: all parts read the same input; their candidates are joined in order."""

    parts: tuple[Expr, ...]


@frozen
class Branch(Expr):
    """``a | b | c``: all parts read the same input; the results stay apart."""

    parts: tuple[Expr, ...]


@frozen
class Repeat(Expr):
    """``3 * a``: three independent runs of a part, joined. The count is 2 or more."""

    count: int
    body: Expr


@frozen
class Named(Expr):
    """``fr = a >> b``: a part whose output later parts can read by name."""

    name: str
    body: Expr


@frozen
class Ref(Expr):
    """``$panel``: a definition used here. Each use samples afresh."""

    name: str


@frozen
class Function(Expr):
    """``@clean``: a Python function, bound by whoever loads the chain."""

    name: str


@frozen
class Combine(Expr):
    """``fallback(a, b)``, ``retry(a, times=3)``: a combinator over parts."""

    name: str
    parts: tuple[Expr, ...] = ()
    options: tuple[Option, ...] = ()
    """Sorted by name; each name once. A value may itself be a part, or a `Table` of parts."""


@frozen
class Option(Node):
    """``name=value`` in the parentheses of a stage or a combinator."""

    name: str
    value: Literal | Expr | Table


@frozen
class Table(Node):
    """``{"math": a, "code": b}``: parts under string keys, in the order they were written."""

    entries: tuple[Option, ...]
