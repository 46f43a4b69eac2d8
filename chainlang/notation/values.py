"""Conversion of tokens to names, strings and numbers; base class of the readers.

An error does not end the conversion: a diagnostic is added and a placeholder is returned.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from attrs import define, field

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span
from chainlang.ir.nodes import Literal
from chainlang.ir.verify import is_name
from chainlang.limits import Limits, current
from chainlang.notation import literals

if TYPE_CHECKING:
    from lark import Token, Tree

_LONGEST_INTEGER = 18  # digits; no limit can be set higher


def edges(tree: Any) -> tuple[int, int]:
    """Return the start and end offsets of a parse tree."""
    first, last = tree, tree
    while hasattr(first, "children"):
        first = next(child for child in first.children if child is not None)
    while hasattr(last, "children"):
        last = next(child for child in reversed(last.children) if child is not None)
    return first.start_pos, last.end_pos


@lru_cache(maxsize=256)
def _number(text: str) -> float:
    """Return a number, the same object for the same text, so that comparing chains is faster."""
    return float(text)


@define
class ValueReader:
    """Converter of one source's names and literals; collects diagnostics."""

    source: Source
    found: list[Diagnostic] = field(factory=list)
    limits: Limits = field(factory=current)
    around: list[str] = field(factory=lambda: [""])
    """Kinds of the enclosing nodes, outermost first, after an empty string."""
    size: int = 0
    """Number of nodes so far."""

    # ------------------------------------------------------------ extent

    def enter(self, kind: str, tree: Tree[Token]) -> None:
        """Count a node that is about to be converted.

        Raises `LimitError` if there are too many or it is too deep.
        """
        self.around.append(kind)
        self.size += 1
        depth = len(self.around) - 1
        if depth > self.limits.depth or self.size > self.limits.nodes:
            start, end = edges(tree)
            where = Span(self.source, start, end)
            self.limits.check("depth", depth, f"a chain nested {depth} deep", where)
            self.limits.check("nodes", self.size, f"a chain of {self.size:,} nodes", where)

    def leave(self) -> None:
        """End the node that `enter` began."""
        self.around.pop()

    # ------------------------------------------------------------ places and findings

    def span(self, first: Token, last: Token | None = None) -> Span:
        """Return the span from the start of one token to the end of another."""
        end = first if last is None else last
        return Span(self.source, first.start_pos or 0, end.end_pos or 0)

    def note(self, code: str, message: str, span: Span | None, hint: str | None = None) -> None:
        """Add a diagnostic."""
        self.found.append(Diagnostic(code, message, span, hint))

    def name(self, text: str, span: Span | None, what: str = "a name") -> str:
        """Return a name; diagnose a keyword of Python, and ``true``, ``false`` and ``null``."""
        if not is_name(text):
            taken = "a value" if text in ("true", "false", "null") else "a keyword of Python"
            self.note(
                "reserved",
                f"'{text}' can't be {what}: it is {taken}",
                span,
                f"choose another name, such as '{text}_'",
            )
            return f"{text}_"
        return text

    def label(self, token: Token) -> tuple[str, Span]:
        """Return the name in a ``name =`` token, and its span."""
        text = token.rstrip("= \t")
        span = Span(self.source, token.start_pos or 0, (token.start_pos or 0) + len(text))
        return text, span

    # ------------------------------------------------------------ literals

    def literal(self, tree: Tree[Token], within: str = "") -> tuple[Literal, Span]:
        """Return a literal and its span."""
        token: Any = tree.children[0]
        if tree.data == "list":
            inside = "; a list holds texts and numbers"
            items: list[Any] = [item for item in tree.children if hasattr(item, "data")]
            end: Any = tree.children[-1]
            return tuple(self.literal(item, inside)[0] for item in items), self.span(token, end)
        span = self.span(token)
        if tree.data == "string":
            return self.string(str(token), span.start), span
        if tree.data == "integer":
            return self.integer(str(token), span), span
        if tree.data == "word":
            if token not in literals.WORDS:
                hint = f'quote it: "{token}"{within}'
                self.note("string", f"invalid value: {token}", span, hint)
            return literals.WORDS.get(str(token)), span
        return self.number(str(token), span), span

    def string(self, token: str, offset: int) -> str:
        """Return the value of a quoted token; diagnose a bad escape."""
        try:
            return literals.read_string(token)
        except literals.BadEscape as bad:
            where = Span(self.source, offset + bad.offset, offset + bad.offset + len(bad.escape))
            self.note(
                "string",
                f"unknown escape {bad.escape}",
                where,
                "write \\\\ for a backslash; the escapes are \\n \\t \\r \\\" \\' \\\\ "
                "\\xHH \\uHHHH \\UHHHHHHHH",
            )
            return token

    def temperature(self, text: str, span: Span) -> float:
        """Return a temperature; diagnose one that is too large for a float."""
        value = _number(text)
        if value == float("inf"):
            hint = "a temperature is 0, or from 0.01 to 2"
            self.note("temperature", f"temperature {text} is out of range", span, hint)
            return 0.0
        return value

    def count(self, digits: str, span: Span) -> int:
        """Return a count; diagnose one with too many digits."""
        if len(digits.lstrip("0")) <= _LONGEST_INTEGER:
            return int(digits.lstrip("0") or "0")  # Python rejects 5,000 digits, even zeros
        what = f"a count of {len(digits)} digits"
        self.found.append(current().exceeded("samples_per_stage", what, span))
        return 1

    def integer(self, digits: str, span: Span) -> int:
        """Return an integer; diagnose one with too many digits."""
        significant = digits.lstrip("+-0") or "0"
        if len(significant) <= _LONGEST_INTEGER:
            return -int(significant) if digits.startswith("-") else int(significant)
        self.note("argument", f"a number of {len(digits)} digits is too large", span)
        return 1

    def number(self, text: str, span: Span) -> int | float:
        """Return a signed or fractional number; diagnose one that is too large for a float."""
        if text.lstrip("+-").isdigit():
            return self.integer(text, span)
        value = float(text)
        if value in (float("inf"), float("-inf")):
            self.note("argument", f"{text} is too large for a number", span)
            return 0.0
        return value
