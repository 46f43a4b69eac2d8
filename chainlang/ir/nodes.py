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
class Stage(Node):
    """``3:E:tiny:0.7(top_p=0.9)``: one type, run `count` times. What was not written is None."""

    name: str
    count: int = 1
    model: str | None = None
    temperature: float | None = None
    options: tuple[Option, ...] = ()
    """Sorted by name; each name once."""


@frozen
class Then(Node):
    """``a >> b >> c``: each part reads what the one before it yields. Two parts or more."""

    parts: tuple[Expr, ...]


@frozen
class Join(Node):
    """``a & b & c``: all parts read the same input; their candidates are joined in order."""

    parts: tuple[Expr, ...]


@frozen
class Branch(Node):
    """``a | b | c``: all parts read the same input; the results stay apart."""

    parts: tuple[Expr, ...]


@frozen
class Repeat(Node):
    """``3 * a``: three independent runs of a part, joined. The count is 2 or more."""

    count: int
    body: Expr


@frozen
class Named(Node):
    """``fr = a >> b``: a part whose output later parts can read by name."""

    name: str
    body: Expr


@frozen
class Ref(Node):
    """``$panel``: a definition used here. Each use samples afresh."""

    name: str


@frozen
class Function(Node):
    """``@clean``: a Python function, bound by whoever loads the chain."""

    name: str


@frozen
class Fallback(Node):
    """``fallback(a, b)``: the first part that does not fail. Two parts or more."""

    parts: tuple[Expr, ...]


@frozen
class Retry(Node):
    """``retry(a, times=3)``: a part that is drawn again where it fails; None is the default."""

    body: Expr
    backoff: float | None = None
    on: str | tuple[str, ...] | None = None
    times: int | None = None


@frozen
class Timeout(Node):
    """``timeout(a, seconds=30)``: a part that fails if it takes too long."""

    body: Expr
    seconds: float


@frozen
class Route(Node):
    """``route(by="topic", arms={"math": a}, default=b)``: the part whose key a value is."""

    arms: tuple[Arm, ...]
    by: str | Function
    default: Expr | None = None


@frozen
class Arm(Node):
    """``"math": a``: one part of a `Route`, under its key."""

    key: str
    body: Expr


@frozen
class Loop(Node):
    """``loop(a, until="done", max=3)``: a part, again and again until a condition holds."""

    body: Expr
    max: int | None = None
    until: str | Function = field(kw_only=True)


@frozen
class Each(Node):
    """``each(a, over="documents", item="document")``: a part for each item of a list."""

    body: Expr
    item: str | None = None
    over: str = field(kw_only=True)


@frozen
class Combine(Node):
    """A call over parts in its general form: what text and JSON write of any combinator.

    `chainlang.ir.calls` turns it into the class that its name stands for. One that is left has a
    name that nothing has or arguments that don't fit, and `resolve` says which.
    """

    name: str
    parts: tuple[Expr, ...] = ()
    options: tuple[Option, ...] = ()
    """Sorted by name; each name once. A value may itself be a part, or a `Table` of parts."""


@frozen
class Option(Node):
    """``name=value`` in the parentheses of a stage or a call."""

    name: str
    value: Literal | Expr | Table


@frozen
class Table(Node):
    """``{"math": a, "code": b}``: parts under string keys, in the order they were written."""

    entries: tuple[Option, ...]


Combinator: TypeAlias = Fallback | Retry | Timeout | Route | Loop | Each
"""A call over parts whose arguments fit."""
Expr: TypeAlias = (
    Stage | Then | Join | Branch | Repeat | Named | Ref | Function | Combinator | Combine
)
"""A part of a chain: what stands on either side of an operator."""
