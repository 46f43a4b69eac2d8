"""Fixes: edits that do what the hint of a diagnostic says."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.diagnostics.suggest import nearest


@frozen
class Fix:
    """A replacement of the text of a span."""

    span: Span
    text: str

    @property
    def title(self) -> str:
        """Its effect, in a few words."""
        return f"replace with {self.text}" if len(self.text) <= 60 else "put it in parentheses"


def fixes(found: Diagnostic) -> Iterator[Fix]:
    """Yield the fixes of a diagnostic: its replacement, or each name that may be meant.

    >>> from chainlang import ChainlangError, chain
    >>> try:
    ...     chain("E(max_token=5)")
    ... except ChainlangError as error:
    ...     [one.text for one in fixes(error.diagnostics[0])]
    ['max_tokens']
    """
    span = found.span
    if span is None:
        return
    if found.replacement is not None:
        yield Fix(span, found.replacement)
    elif found.subject is not None and found.known:
        at = span.text.find(found.subject)
        if at >= 0:
            start = span.start + at
            where = Span(span.source, start, start + len(found.subject))
            yield from (Fix(where, one) for one in nearest(found.subject, found.known))
