"""A first look at a text, before it is parsed: its size, its brackets, and what stands in it.

One regular expression, linear in the text. It refuses what is too large or too deep before the
parser allocates anything, and it knows where the brackets are when the parser has lost its way.
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
    """One bracket, string, comment or operator of a text, and where it starts and ends."""

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
    """Refuse a text that is too long, too deep or has too many parts, before it is parsed.

    Raises `LimitError` naming the limit.
    """
    limits = current()
    size = len(source.text)
    if size * 4 > limits.source_bytes:  # else no encoding of it can be too long
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
    """Return the match of a pattern with the end of a text, if it has one.

    It looks back no further than any mistake worth a rule of its own is long: a search that tries
    each start of a long text costs the square of its length.

    >>> ending("[0-9]+", "E >> 12")[0]
    '12'
    """
    return re.compile(pattern + r"\Z").search(text, max(0, len(text) - _LOOK_BACK))


def unclosed(text: str, end: int) -> Mark | None:
    """Return the innermost bracket before `end` that is open there, if any."""
    opened: list[Mark] = []
    for mark in marks(text[:end]):
        if mark.kind == "open":
            opened.append(mark)
        elif mark.kind == "close" and opened:
            opened.pop()
    return opened[-1] if opened else None


def bracketed(text: str, places: Iterable[int]) -> Iterator[int]:
    """Yield those of some places, in order, that a bracket is open at.

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
