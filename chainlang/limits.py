"""Limits on the size of chains, each of which can be raised.

A chain may come from an untrusted author, and even the short ``999999999:E:m`` is large. So each
limit is checked before anything of that size is built, and the error names the limit.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from attrs import fields, frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.errors import LimitError

LARGEST = 10**18
"""Largest integer of the language, and upper bound of all limits."""

_FRAMES, _SAFE_DEPTH = 10, 100  # stack frames per level of nesting; depth that always fits


@frozen(kw_only=True, cache_hash=True)  # it is in keys that each call looks up
class Limits:
    """Limits on the size of a chain; `applied` puts them in force.

    >>> from chainlang import chain
    >>> with Limits(samples_per_stage=1_000_000, calls_per_row=2_000_000).applied():
    ...     wide = chain("1000000:E:tiny:0.7 >> M")
    """

    source_bytes: int = 1 << 20
    """Size of one text, in bytes of UTF-8."""
    files: int = 100
    """Number of files that a file uses, directly or indirectly."""
    nodes: int = 20_000
    """Number of nodes of one chain; a stage is one, and so is an operator."""
    depth: int = 100
    """Nesting of operators, calls, labels, types and parentheses, through ``$names`` too. Above
    100 it is bounded by a tenth of `sys.getrecursionlimit`."""
    samples_per_stage: int = 10_000
    """Count of one stage, or of ``count * part``."""
    template_tags: int = 10_000
    """Number of ``{{ }}`` and ``{% %}`` in the templates of a file."""
    members: int = 1_000
    """Number of chains of one family."""
    calls_per_row: int = 100_000
    """Number of stage runs of one row, votes included: counts multiply along a chain."""

    @contextmanager
    def applied(self) -> Iterator[Limits]:
        """Put the limits in force inside the ``with`` block, in this thread or task.

        Raises `LimitError` for a depth that needs more stack than Python allows.
        """
        if self.depth > max(sys.getrecursionlimit() // _FRAMES, _SAFE_DEPTH):
            what = f"depth={self.depth} needs more stack than Python allows"
            hint = f"call sys.setrecursionlimit({self.depth * _FRAMES}) first"
            raise LimitError([Diagnostic("limit", what, hint=hint)])
        token = _LIMITS.set(self)
        try:
            yield self
        finally:
            _LIMITS.reset(token)

    def check(self, name: str, value: int, what: str, span: Span | None = None) -> None:
        """Raise `LimitError` if `value` is above the named limit; `what` describes the value.

        >>> Limits().check("depth", 101, "parentheses nested 101 deep")
        Traceback (most recent call last):
            ...
        chainlang.errors.LimitError: error[limit]: parentheses nested 101 deep: the limit is 100
          = hint: if that is meant, raise it: `with Limits(depth=...).applied(): ...`
        """
        if value > getattr(self, name):
            raise LimitError([self.exceeded(name, what, span)])

    def exceeded(self, name: str, what: str, span: Span | None = None) -> Diagnostic:
        """Return the diagnostic of an exceeded limit."""
        bound: int = getattr(self, name)
        return Diagnostic(
            "limit",
            f"{what}: the limit is {bound:,}",
            span,
            f"if that is meant, raise it: `with Limits({name}=...).applied(): ...`",
        )


_LIMITS: ContextVar[Limits] = ContextVar("chainlang_limits", default=Limits())  # noqa: B039  # frozen
LIMIT_NAMES = tuple(attribute.name for attribute in fields(Limits))


def counted(value: int) -> str:
    """Return a count as text, however large, since Python can't print 5,000 digits.

    >>> counted(1000), counted(10**5000)
    ('1,000', 'more than 10^18')
    """
    return f"{value:,}" if value <= LARGEST else "more than 10^18"


def current() -> Limits:
    """Return the limits in force."""
    return _LIMITS.get()
