"""Scanner for brackets, strings, comments and operators; checks limits before a text is parsed.

It is one regular expression, linear in the text. It refuses a text that is too large or too deep
before the parser allocates memory, and finds unclosed brackets after a syntax error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from attrs import frozen

from chainlang.diagnostics.source import Source, Span
from chainlang.limits import current

_TOKEN = re.compile(
    r"""(?P<comment>\#[^\n]*)
      | (?P<string>\"\"\"(?:\\(?:.|\n)|[^\\])*?\"\"\"|"(?!"")(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')
      | (?P<broken>\"\"\"(?:.|\n)*|["'][^\n]*)
      | (?P<open>[(\[{])
      | (?P<close>[)\]}])
      | (?P<operator>>>|[&|*,=])""",
    re.VERBOSE,
)
_LOOK_BACK = 256
PAIRS = {"(": ")", "[": "]", "{": "}"}


@frozen
class Mark:
    """A bracket, string, comment or operator of a text, with its start and end."""

    kind: str
    text: str
    start: int
    end: int


def marks(text: str) -> Iterator[Mark]:
    """Yield the brackets, strings, comments and operators of a text, in order.

    >>> [mark.kind for mark in marks('E("a)") # (')]
    ['open', 'string', 'close', 'comment']
    """
    for match in _TOKEN.finditer(text):
        yield Mark(match.lastgroup or "", match[0], match.start(), match.end())


def check_size(source: Source) -> None:
    """Raise `LimitError` if a text is too long, too deep or has too many parts."""
    limits = current()
    size = len(source.text)
    if size * 4 > limits.source_bytes:  # else its UTF-8 can't be too long
        size = len(source.text.encode("utf-8", "surrogatepass"))
    limits.check("source_bytes", size, f"a text of {size:,} bytes")
    depth = parts = 0
    for mark in marks(source.text):
        if mark.kind == "open":
            depth += 1
            if depth > limits.depth:
                where = Span(source, mark.start, mark.end)
                limits.check(
                    "depth", depth, f"brackets nested more than {limits.depth} deep", where
                )
        elif mark.kind == "close":
            depth = max(depth - 1, 0)
        elif mark.kind == "operator":
            parts += 1
            if parts > limits.nodes:
                where = Span(source, mark.start, mark.end)
                limits.check("nodes", parts, f"more than {limits.nodes:,} parts in one text", where)


def ending(pattern: str, text: str) -> re.Match[str] | None:
    """Return the match of a pattern at the end of a text; None if there is none.

    Only the last characters are searched: a search from every start of a long text would take
    quadratic time.

    >>> ending("[0-9]+", "E >> 12")[0]
    '12'
    """
    return re.compile(pattern + r"\Z").search(text, max(0, len(text) - _LOOK_BACK))


def unclosed(text: str, end: int) -> Mark | None:
    """Return the innermost bracket that is open at `end`; None if there is none."""
    opened: list[Mark] = []
    for mark in marks(text[:end]):
        if mark.kind == "open":
            opened.append(mark)
        elif mark.kind == "close" and opened:
            opened.pop()
    return opened[-1] if opened else None


def bracketed(text: str, places: Iterable[int]) -> Iterator[int]:
    """Yield the offsets, of sorted ones, that are inside brackets.

    >>> list(bracketed("E(a) & [b", [2, 4, 8]))
    [2, 8]
    """
    depth = 0
    found = (mark for mark in marks(text) if mark.kind in ("open", "close"))
    mark = next(found, None)
    for place in places:
        while mark is not None and mark.start < place:
            depth = depth + 1 if mark.kind == "open" else max(depth - 1, 0)
            mark = next(found, None)
        if depth:
            yield place
