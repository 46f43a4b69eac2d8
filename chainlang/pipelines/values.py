"""Syntax tree of YAML: values with their spans, and the texts of `<AUTO>` as nodes of their own."""

from __future__ import annotations

from typing import TypeAlias

from attrs import field, frozen

from chainlang.diagnostics.source import Span

Path: TypeAlias = "tuple[str | int, ...]"
"""Keys and indices from the root of a file to a value: ``("steps", 0, "parameters", "style")``."""


@frozen
class Scalar:
    """A text, a number, a boolean or null. Only an unquoted scalar can be other than a text."""

    value: str | int | float | bool | None
    span: Span = field(eq=False, repr=False)
    path: Path = ()
    is_quoted: bool = field(default=False, eq=False)
    """Whether it is in quotes or in a block (``|``, ``>``)."""


@frozen
class Auto:
    """``<AUTO type="int" min="1">number of sources</AUTO>``: a value that a model decides."""

    text: str
    """Words between the tags, without line breaks."""
    span: Span = field(eq=False, repr=False)
    path: Path = ()
    attributes: tuple[tuple[str, str], ...] = ()
    """Attributes of the opening tag, in written order; each name once."""


@frozen
class Items:
    """``[a, b]``, or lines that begin with ``-``: a list."""

    items: tuple[Value, ...]
    span: Span = field(eq=False, repr=False)
    path: Path = ()


@frozen
class Entry:
    """``key: value``: an entry of a table, with the span of its key."""

    key: str
    value: Value
    key_span: Span = field(eq=False, repr=False)


@frozen
class Fields:
    """``{a: 1}``, or lines of ``key: value``: a table. Each key once, in written order."""

    entries: tuple[Entry, ...]
    span: Span = field(eq=False, repr=False)
    path: Path = ()

    def get(self, key: str) -> Value | None:
        """Return the value of a key; None if there is none."""
        return next((one.value for one in self.entries if one.key == key), None)


Value: TypeAlias = Scalar | Auto | Items | Fields
"""A value of a file."""


def shown_path(path: Path) -> str:
    """Return a path as messages show it.

    >>> shown_path(("steps", 0, "parameters", "style"))
    'steps[0].parameters.style'
    """
    found = "".join(f"[{one}]" if isinstance(one, int) else f".{one}" for one in path)
    return found.removeprefix(".")
