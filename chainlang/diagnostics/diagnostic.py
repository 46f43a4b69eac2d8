"""One finding about a text, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from attrs import field, frozen

from chainlang.diagnostics.source import Span

LINTS = frozenset(
    {"branch-like-pipe", "mixed-operators", "retry-at-zero", "single-branch", "unused-definition"}
)
"""The codes of warnings: such a chain is right, but may not be what its author meant."""


Kind = Literal[
    "combinator", "definition", "engine", "field", "filter", "function", "label", "model", "name",
    "node", "op kind", "option", "output", "pass", "setting", "stage type", "test", "type",
]  # fmt: skip
"""What the subject of a finding is."""


@frozen
class Diagnostic:
    """One finding about a text: what, where, why, and what to write instead.

    `code` is stable and meant for machines (`LINTS` and `chainlang.errors.ERRORS` list all of
    them); `span` is None for a chain that was built in Python and has no text to point into.
    `message` and `hint` are for people: code reads the other fields.
    """

    code: str
    message: str
    span: Span | None = None
    hint: str | None = None
    """What to do; where there are several ways, each on a line of its own."""
    kind: Kind | None = field(default=None, kw_only=True)
    """What the subject is."""
    subject: str | None = field(default=None, kw_only=True)
    """The name or the value that the finding is about, as it was written."""
    known: tuple[str, ...] = field(default=(), kw_only=True)
    """The names that could have been written in place of the subject."""
    setting: str | None = field(default=None, kw_only=True)
    """The setting of a model, an op or a run that the finding is about."""

    @property
    def severity(self) -> Literal["error", "warning"]:
        """``"warning"`` for a lint, ``"error"`` for everything else."""
        return "warning" if self.code in LINTS else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnostic as plain JSON values; lines and columns count from 1.

        >>> Diagnostic("unknown-name", "unknown stage type 'X'").to_dict()["severity"]
        'error'
        """
        found: dict[str, Any] = {
            "severity": self.severity,
            "code": self.code,
            "message": self.message,
            "hint": self.hint,
            "kind": self.kind,
            "subject": self.subject,
            "known": list(self.known),
            "setting": self.setting,
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
