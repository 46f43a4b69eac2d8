"""Parsing and printing of strings and numbers.

The escapes are a subset of Python's, so a string means the same in a `.chain` file, in notation and
in Python source.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache

from attrs import evolve

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.ir.nodes import Expr, Literal, Table

_ESCAPE = re.compile(
    r"\\(?:x(?P<two>[0-9a-fA-F]{2})|u(?P<four>[0-9a-fA-F]{4})|U(?P<eight>[0-9a-fA-F]{8})"
    r"|(?P<one>[abfnrtv0\\'\"])(?!(?<=0)[0-7])|(?P<newline>\n)|(?P<bad>[0-7]+|.?))",
    re.DOTALL,
)
_ONE = {
    "a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "0": "\0", "\\": "\\", "'": "'", '"': '"',
}  # fmt: skip
_PRINTED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}

WORDS: dict[str, Literal] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
}


class BadEscape(ValueError):
    """Invalid escape in a string; `offset` is its position in the token."""

    def __init__(self, escape: str, offset: int) -> None:
        self.escape = escape
        self.offset = offset
        super().__init__(escape)


def read_string(token: str) -> str:
    """Return the value of a quoted string, raw or not. Raises `BadEscape`.

    >>> read_string(r'"a\\tb"'), read_string("'it'"), read_string('\"\"\"two \"lines\"\"\"\"'[:-1])
    ('a\\tb', 'it', 'two "lines')
    """
    raw = token.startswith("r")
    token = token.removeprefix("r")
    quotes = 3 if token.startswith('"""') else 1
    if raw:
        return token[quotes : len(token) - quotes]

    def value(match: re.Match[str]) -> str:
        digits = match["two"] or match["four"] or match["eight"]
        if digits and int(digits, 16) <= 0x10FFFF:
            return chr(int(digits, 16))
        if match["one"]:
            return _ONE[match["one"]]
        if match["newline"]:
            return ""
        raise BadEscape(match[0], quotes + match.start())

    inside = token[quotes : len(token) - quotes]
    return _ESCAPE.sub(value, inside) if "\\" in inside else inside


def place(token: str, index: int) -> int:
    """Return the position in a quoted token of character `index` of its value.

    >>> place(r'"a\\tb"', 2), place("'abc'", 1), place(r'r"\\d+"', 1)
    (4, 2, 3)
    """
    raw = token.startswith("r")
    quotes = 3 if token.removeprefix("r").startswith('"""') else 1
    first, length = quotes + raw, len(token) - quotes
    starts, ends = ((), ()) if raw else _escapes(token, first, length)
    before = bisect_left(starts, index)  # the escapes that stand before the character
    return min(first + index if before == 0 else ends[before - 1] + index, length)


@lru_cache(maxsize=8)
def _escapes(token: str, first: int, length: int) -> tuple[list[int], list[int]]:
    """Return, for each escape of a token, its index in the value, and by how much it moves others.

    A text may have thousands of findings, and each needs two positions.
    """
    starts, ends, moved = [], [], first
    for match in _ESCAPE.finditer(token, first, length):
        starts.append(match.start() - moved)
        moved += len(match[0]) - (match["newline"] is None)
        ends.append(moved)
    return starts, ends


def inside(span: Span, start: int, end: int) -> Span:
    """Return the span of some characters of a string; `span` is that of its literal.

    >>> from chainlang.diagnostics.source import Source
    >>> inside(Span(Source(r'"a\\tbc"'), 0, 7), 2, 4).text
    'bc'
    """
    if span.places:
        first, last = (_offset(span.places, index) for index in (start, end))
        first = min(first, span.end - 1)
        return Span(span.source, first, max(min(last, span.end), first + 1))
    first = place(span.text, start)
    last = max(place(span.text, end), first + 1)
    return Span(span.source, span.start + first, span.start + last)


def _offset(places: tuple[tuple[int, int], ...], index: int) -> int:
    """Return the offset of a character; between two places, characters follow each other."""
    position = bisect_right(places, index, key=lambda one: one[0]) - 1
    first, offset = places[max(position, 0)]
    limit = places[position + 1][1] if position + 1 < len(places) else offset + index
    return min(offset + index - first, max(limit, offset))


def at_literal(found: Diagnostic, literal: Span | None) -> Diagnostic:
    """Return a finding about the text of a string, at its place in the literal that says it.

    Of a text without a literal, as Python gives it, the place in the text itself stays.
    """
    if literal is None or found.span is None:
        return found
    if literal.text.startswith("{"):  # a table of texts, of which the template is made
        return evolve(found, span=literal)
    return evolve(found, span=inside(literal, found.span.start, found.span.end))


def print_string(value: str) -> str:
    """Return a text as a quoted string on one line, with printable characters only.

    >>> print_string('say "hi"\\n')
    '"say \\\\"hi\\\\"\\\\n"'
    """
    return '"' + "".join(map(_printed, value)) + '"'


def print_pattern(value: str) -> str:
    """Return a regular expression as a string, raw if it has a backslash and can be raw.

    >>> print(print_pattern(r"^\\d+$"), print_pattern("abc"), print_pattern(r'\\"'))
    r"^\\d+$" "abc" "\\\\\\""
    """
    ends = (len(value) - len(value.rstrip("\\"))) % 2  # a raw string can't end in a lone backslash
    raw = "\\" in value and '"' not in value and value.isprintable() and not ends
    return f'r"{value}"' if raw else print_string(value)


def print_block(value: str) -> str:
    """Return a text as a triple-quoted string with literal newlines.

    >>> print_block("first\\nsecond")
    '\"\"\"first\\nsecond\"\"\"'
    """
    lines = "\n".join("".join(map(_printed, line)) for line in value.split("\n"))
    # Only a quote that would end the block needs an escape.
    plain = re.sub(r'\\"(?!\\"|$)', '"', lines)
    return f'"""{plain}"""' if read_string(f'"""{plain}"""') == value else f'"""{lines}"""'


def _printed(char: str) -> str:
    if char in _PRINTED:
        return _PRINTED[char]
    if char.isprintable():
        return char
    code = ord(char)
    return (
        f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    )


def print_number(value: float) -> str:
    """Return the shortest text of a number that parses to the same value.

    >>> print_number(0.7), print_number(0.0), print_number(2.0), print_number(1e22)
    ('0.7', '0', '2', '1e+22')
    """
    return repr(value or 0).removesuffix(".0")  # no negative zero


def print_literal(
    value: Literal | Table, words: tuple[str, str, str] = ("true", "false", "null")
) -> str:
    """Return a literal, or a table of them, as text.

    `words` are the spellings of true, false and null.

    >>> print_literal((1, 0.5, "a", True))
    '[1, 0.5, "a", true]'
    """
    if isinstance(value, Table):
        entries = (
            f"{print_string(one.name)}: {print_literal(one.value, words)}"
            for one in value.entries
            if not isinstance(one.value, Expr)
        )
        return "{" + ", ".join(entries) + "}"
    if isinstance(value, str):
        return print_string(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(print_literal(item, words) for item in value) + "]"
    if value is True:
        return words[0]
    if value is False:
        return words[1]
    return words[2] if value is None else repr(value)
