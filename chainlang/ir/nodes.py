"""Nodes of an expression: frozen values with tuples of children, without behaviour.

The span of a node is its place in the source; it is ignored by equality. Build operators with
`chainlang.ir.build`, which keeps them flat: ``a >> (b >> c)`` and ``(a >> b) >> c`` are one `Then`.
"""

from __future__ import annotations

from typing import Self, TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.source import Span

Literal: TypeAlias = "str | int | float | bool | tuple[Literal, ...] | None"


@frozen
class Node:
    """Base class of all nodes."""

    span: Span | None = field(default=None, eq=False, repr=False, kw_only=True)

    def __deepcopy__(self, memo: object) -> Self:
        """Return the node itself, which is immutable."""
        return self


@frozen
class Stage(Node):
    """``3:E:tiny:0.7(top_p=0.9)``: a stage with `count` samples. Omitted fields are None."""

    name: str
    count: int = 1
    model: str | None = None
    temperature: float | None = None
    options: tuple[Option, ...] = ()
    """Sorted by name; each name once."""


@frozen
class Then(Node):
    """``a >> b >> c``: a sequence; each part reads the candidates of the one before it."""

    parts: tuple[Expr, ...]


@frozen
class Join(Node):
    """``a & b & c``: all parts read the same input; their candidates are joined in order."""

    parts: tuple[Expr, ...]


@frozen
class Branch(Node):
    """``a | b | c``: all parts read the same input; each has a result of its own."""

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
    """``$panel``: a reference to a definition. Each use has its own samples."""

    name: str


@frozen
class Function(Node):
    """``@clean``: a Python function, bound when the chain is loaded."""

    name: str
    of: str | tuple[str, ...] | None = None
    """Named parts whose candidates it reads; None for those of the part before it."""
    by_name: bool = False
    """Whether its parameters are fields of the record, and what it returns is one candidate."""


@frozen
class Fallback(Node):
    """``fallback(a, b)``: the first of two or more parts that does not fail."""

    parts: tuple[Expr, ...]
    on: str | tuple[str, ...] | None = None
    """Causes of failure after which the next part runs; None for all."""


@frozen
class Cascade(Node):
    """``cascade(a, b, accept="confidence >= 0.67")``: the first part whose result is accepted."""

    parts: tuple[Expr, ...]
    accept: str | Function = field(kw_only=True)


@frozen
class Retry(Node):
    """``retry(a, times=3)``: a part that is retried if it fails; None means the default."""

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
    """``route(by="topic", arms={"math": a}, default=b)``: the part whose key equals a value."""

    arms: tuple[Arm, ...]
    by: str | Function
    default: Expr | None = None


@frozen
class Arm(Node):
    """``"math": a``: a part of a `Route` with its key."""

    key: str
    body: Expr


@frozen
class Loop(Node):
    """``loop(a, until="done", max=3)``: a part that is repeated until a condition holds."""

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
class WithFields(Node):
    """``with_fields(a, query="{{ fr.answer }}")``: a part with fields in place of the row's."""

    body: Expr
    fields: tuple[Option, ...]
    """Templates, sorted by name; each name once."""


@frozen
class Combine(Node):
    """A combinator in its general form, as text and JSON write it.

    `chainlang.ir.calls` converts it to the class of its name. One that can't be converted has an
    unknown name or invalid arguments, which `resolve` reports.
    """

    name: str
    parts: tuple[Expr, ...] = ()
    options: tuple[Option, ...] = ()
    """Sorted by name, without duplicates. A value may be a part, or a `Table` of parts."""


@frozen
class Option(Node):
    """``name=value`` in the parentheses of a stage or a call."""

    name: str
    value: Literal | Expr | Table


@frozen
class Table(Node):
    """``{"math": a, "code": b}``: parts, or values, with string keys, in written order."""

    entries: tuple[Option, ...]


Combinator: TypeAlias = Fallback | Cascade | Retry | Timeout | Route | Loop | Each | WithFields
"""A combinator with valid arguments."""
Expr: TypeAlias = (
    Stage | Then | Join | Branch | Repeat | Named | Ref | Function | Combinator | Combine
)
"""A part of a chain: an operand of an operator."""
