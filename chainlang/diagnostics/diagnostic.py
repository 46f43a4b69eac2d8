"""`Diagnostic`: one error or warning about a text, as a value."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

from attrs import field, frozen

from chainlang.diagnostics.source import Span

LINTS = frozenset(
    {
        "branch-like-pipe",
        "constant",
        "equal-samples",
        "hidden-name",
        "impossible",
        "missing-arm",
        "misspelt-model",
        "model-action",
        "mixed-operators",
        "model-like-number",
        "no-effect",
        "nothing-before",
        "one-candidate",
        "placeholder",
        "retry-at-zero",
        "single-branch",
        "traced-once",
        "unreachable",
        "unread",
        "unused-definition",
    }
)
"""Codes of warnings: the chain is valid, but may not be what its author meant."""
NOTICES = frozenset({"cache", "old-prices"})
"""Codes of warnings about a run: it continues without something that it can do without."""


class Hint(Protocol):
    """A hint that is made when it is read."""

    def text(self) -> str | None: ...  # noqa: D102


Kind = Literal[
    "action", "combinator", "definition", "engine", "field", "filter", "function", "key", "label",
    "model", "name", "node", "op kind", "option", "output", "part", "pass", "server", "setting",
    "stage", "stage type", "step", "test", "type",
]  # fmt: skip
"""Kind of a diagnostic's subject."""


@frozen
class Diagnostic:
    """One error or warning: its place, message and hint, and the same as data.

    `code` is stable (`LINTS`, `NOTICES` and `chainlang.errors.ERRORS` list all). `span` is None for
    a chain built in Python, which has no text. `message` and `hint` are for people; code uses the
    other fields.
    """

    code: str
    message: str
    span: Span | None = None
    _hint: str | Hint | None = None
    kind: Kind | None = field(default=None, kw_only=True)
    """Kind of the subject."""
    subject: str | None = field(default=None, kw_only=True)
    """Name or value that the diagnostic is about, as written."""
    known: tuple[str, ...] = field(default=(), kw_only=True)
    """Valid names in place of the subject."""
    setting: str | None = field(default=None, kw_only=True)
    """Setting of a model, an op or a run that the diagnostic is about."""
    lines: tuple[str, ...] = field(default=(), kw_only=True)
    """Lines below the message, such as the difference of two texts."""
    replacement: str | None = field(default=None, kw_only=True)
    """Text that may replace that of the span, as the hint says."""

    @property
    def hint(self) -> str | None:
        """Suggested correction; alternatives are on separate lines."""
        if self._hint is None or isinstance(self._hint, str):
            return self._hint
        return self._hint.text()

    @property
    def severity(self) -> Literal["error", "warning"]:
        """``"warning"`` for codes in `LINTS` and `NOTICES`, otherwise ``"error"``."""
        return "warning" if self.code in LINTS or self.code in NOTICES else "error"

    def to_dict(self) -> dict[str, Any]:
        """Return the diagnostic as JSON values; lines and columns are counted from 1.

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
        if self.lines:
            found["lines"] = list(self.lines)
        if self.replacement is not None:
            found["replacement"] = self.replacement
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
    """Return diagnostics sorted by file and position; those without a span come first."""
    diagnostics = tuple(found)
    files = {one.span.source.name: None for one in diagnostics if one.span}
    rank = {name: index for index, name in enumerate(files)}
    return tuple(
        sorted(
            diagnostics,
            key=lambda one: (rank[one.span.source.name], one.span.start) if one.span else (-1, -1),
        )
    )
