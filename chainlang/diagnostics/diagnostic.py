"""One finding about a text, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from attrs import frozen

from chainlang.diagnostics.source import Span

LINTS = frozenset(
    {"branch-like-pipe", "mixed-operators", "retry-at-zero", "single-branch", "unused-definition"}
)
"""The codes of warnings: such a chain is right, but may not be what its author meant."""


@frozen
class Diagnostic:
    """One finding about a text: what, where, why, and what to write instead.

    `code` is stable and meant for machines (`LINTS` and `chainlang.errors.ERRORS` list all of
    them); `span` is None for a
    chain that was built in Python and has no text to point into.
    """

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    """What to do; where there are several ways, each on a line of its own."""

    @property
    def severity(self) -> Literal["error", "warning"]:
        """``"warning"`` for a lint, ``"error"`` for everything else."""
        return "warning" if self.code in LINTS else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnostic as plain JSON values; lines and columns count from 1.

        >>> Diagnostic("unknown-name", "there is no type 'X'").to_dict()["severity"]
        'error'
        """
        found: dict[str, Any] = {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
        }
        if self.span is not None:
            line, column = self.span.source.position(self.span.start)
            end_line, end_column = self.span.source.position(self.span.end)
            found |= {
                "file": self.span.source.name,
                "start": {"offset": self.span.start, "line": line, "column": column},
                "end": {"offset": self.span.end, "line": end_line, "column": end_column},
            }
        return found


def in_order(found: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Return diagnostics in the order of the text, file by file; those without a place first."""
    diagnostics = tuple(found)
    files = {one.span.source.name: None for one in diagnostics if one.span}
    rank = {name: index for index, name in enumerate(files)}
    return tuple(
        sorted(
            diagnostics,
            key=lambda one: (rank[one.span.source.name], one.span.start) if one.span else (-1, -1),
        )
    )


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` was probably meant to be, if one is near.

    >>> closest("max_token", ["max_tokens", "top_p"])
    'max_tokens'
    """
    import difflib  # 5 ms that only an error needs

    candidates = sorted(known)
    lowered = {candidate.lower(): candidate for candidate in reversed(candidates)}
    found = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[found[0]] if found else None
