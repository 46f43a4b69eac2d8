"""Text of diagnostics: the message, the source line with carets, and the hint."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from types import ModuleType

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span

MOST = 20
"""Maximum number of diagnostics that are shown; the others are counted."""
_WIDTH = 100  # characters of a source line that are shown
_NARROWEST = 20
_FRAME = 9  # columns of the number of a line, the frame, and the marks of a shortened line
_COLOURS = {"error": "\x1b[1;31m", "warning": "\x1b[1;33m", "frame": "\x1b[34m", "hint": "\x1b[36m"}
_RESET = "\x1b[0m"
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, and those that change the direction of a text."""


def render(
    diagnostics: Iterable[Diagnostic], *, colour: bool = False, columns: int | None = None
) -> str:
    """Return the text of the first diagnostics, separated by empty lines, and the number of others.

    `columns`: width of the terminal, in which no source line may wrap, as its carets would be off.

    >>> from chainlang.diagnostics.source import Source
    >>> where = Span(Source("3:EE:tiny", "a.chain"), 2, 4)
    >>> print(render([Diagnostic("unknown-name", "unknown stage type 'EE'", where, "write 'E'")]))
    error[unknown-name]: unknown stage type 'EE'
     --> a.chain:1:3
      |
    1 | 3:EE:tiny
      |   ^^
      = hint: write 'E'
    """
    found = tuple(diagnostics)
    width = _WIDTH if columns is None else max(min(_WIDTH, columns - _FRAME), _NARROWEST)
    pages = [_page(one, colour, width) for one in found[:MOST]]
    if rest := found[MOST:]:
        kinds = Counter(one.severity for one in rest)
        counts = (f"{many:,} more {kind}{'s' * (many > 1)}" for kind, many in kinds.items())
        pages.append(f"and {' and '.join(counts)}")
    return "\n\n".join(pages)


def on_one_line(found: Diagnostic) -> str:
    """Return the message of a diagnostic and its hints, on one line.

    >>> on_one_line(Diagnostic("unknown-name", "unknown stage type 'EE'", None, "write 'E'"))
    "unknown stage type 'EE'; write 'E'"
    """
    hints = found.hint.split("\n") if found.hint is not None else []
    return visible("; ".join([found.message, *hints]))


def _page(found: Diagnostic, colour: bool, width: int) -> str:
    def paint(style: str, text: str) -> str:
        return f"{_COLOURS[style]}{text}{_RESET}" if colour else text

    title = paint(found.severity, f"{found.severity}[{found.code}]")
    lines = [f"{title}: {visible(found.message)}"]
    margin = "  "
    if found.span is not None:
        line, column = found.span.source.position(found.span.start)
        number = str(line)
        gutter = " " * len(number)
        margin = gutter + " "
        text, caret = _excerpt(found.span, width)
        bar = paint("frame", "|")
        lines += [
            f"{gutter}{paint('frame', '-->')} {visible(found.span.source.name)}:{line}:{column}",
            f"{margin}{bar}",
            f"{paint('frame', number)} {bar} {text}".rstrip(),
            f"{margin}{bar} {paint(found.severity, caret)}",
        ]
        lines[-1] = f"{margin}{bar} {caret[: len(caret) - len(caret.lstrip())]}" + paint(
            found.severity, caret.lstrip()
        )
    if found.lines:
        bar = paint("frame", "|")
        lines += [f"{margin}{bar}", *(f"{margin}{bar} {visible(line)}" for line in found.lines)]
        lines.append(f"{margin}{bar}")
    for hint in found.hint.split("\n") if found.hint is not None else ():
        lines.append(f"{margin}{paint('hint', '= hint:')} {visible(hint)}")
    return "\n".join(lines)


def _excerpt(span: Span, width: int) -> tuple[str, str]:
    """Return the first line of a span, shortened to a width, and the carets under it."""
    text = span.source.text
    start = text.rfind("\n", 0, span.start) + 1
    end = text.find("\n", start)
    end = len(text) if end < 0 else end
    stop = min(max(span.end, span.start + 1), max(end, span.start + 1))
    left, right = start, end
    if end - start > width:
        left = max(start, min(span.start - width // 3, end - width))
        right = min(end, left + width)
        stop = min(stop, max(right, span.start + 1))
    before, marked = text[left : span.start], text[span.start : stop]
    prefix, suffix = "…" * (left > start), "…" * (right < end)
    carets = max(columns(visible(marked.rstrip("\n"))), 1)
    shown = prefix + visible(text[left:right]) + suffix
    return shown, " " * columns(prefix + visible(before)) + "^" * carets


def visible(text: str) -> str:
    """Return a text that is safe and aligned in a terminal.

    Tabs become a space, and control characters their symbols, because a name in an error may
    contain escape sequences.

    >>> visible("a\\tb\\x00\\x1b[31m")
    'a b␀␛[31m'
    """
    if text.isprintable():
        return text
    return "".join(map(_picture, text))


def escaped(text: str) -> str:
    r"""Return a text that a terminal shows and does not obey; lines and tabs stay as they are.

    >>> print(escaped("a\x1b]52;c;aGk=\x07"))
    a\x1b]52;c;aGk=\x07
    """
    return _OBEYED.sub(lambda found: repr(found[0])[1:-1], text)


def without_places(text: str) -> str:
    """Return a text without the memory addresses in the `repr` of some values.

    >>> without_places("<object object at 0x7f75>")
    '<object object>'
    """
    return re.sub(r" at 0x[0-9a-fA-F]+", "", text)


def shown(value: object, most: int = 60) -> str:
    """Return the `repr` of a value, shortened and printable; its type if `repr` fails.

    >>> shown("a" * 100, 10), shown(10**5000)
    ("'aaaaaa...", 'an int too large to print')
    """
    if isinstance(value, ModuleType):  # not the place where it lies
        return f"<module {value.__name__!r}>"
    try:
        text = visible(" ".join(without_places(repr(value)).split()))
    except (ValueError, RecursionError):  # an integer of 5,000 digits, a list of 5,000 levels
        return f"{article(type(value).__name__)} too large to print"
    return text if len(text) <= most else text[: most - 3] + "..."


def article(word: str) -> str:
    """Return a word with "a" or "an" before it."""
    return f"{'an' if word[:1].lower() in 'aeiou' else 'a'} {word}"


def _picture(char: str) -> str:
    if char.isprintable():
        return char
    if char == "\t":
        return " "
    if char < " ":
        return chr(0x2400 + ord(char))
    if char == "\x7f":
        return "␡"
    return "�" if unicodedata.category(char) != "Zs" else " "


def columns(text: str) -> int:
    """Return the width of a text in terminal columns."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in text
    )
