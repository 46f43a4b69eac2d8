"""Tags of `<AUTO>`: hidden from the YAML parser, whose characters their texts may hold."""

from __future__ import annotations

import re

from chainlang.diagnostics.source import Source, Span
from chainlang.errors import error_of
from chainlang.pipelines.values import Auto, Path

_HIDDEN = ":#,[]{}&*!|>'\"%@`?-\\\n\t"
_FIRST = 0xE000
_MASK = {ord(one): _FIRST + index for index, one in enumerate(_HIDDEN)}
_UNMASK = {mask: char for char, mask in _MASK.items()}
MASKS = re.compile(f"[{chr(_FIRST)}-{chr(_FIRST + len(_HIDDEN) - 1)}]")
"""Characters that stand for others while YAML is parsed, so that no text may have them."""
_TAG = re.compile(r"(<AUTO(?: [^<>\n]*)?>)((?:[^<]|<(?!/?AUTO\b))*)(</AUTO>)")
_WHOLE = re.compile(r"\s*<AUTO( [^<>\n]*)?>((?:[^<]|<(?!/?AUTO\b))*)</AUTO>\s*\Z")
_ATTRIBUTE = re.compile(r"""\s*([A-Za-z_]\w*)\s*=\s*("[^"]*"|'[^']*'|[^\s"']+)""")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


def masked(text: str) -> str:
    """Return a text of the same length in which YAML has no meaning inside `<AUTO>` tags.

    >>> masked("a: <AUTO>b: c</AUTO>") == "a: <AUTO>b\\ue000 c</AUTO>"
    True
    """
    return _TAG.sub(lambda match: match[0].translate(_INSIDE), text)


_INSIDE = {char: mask for char, mask in _MASK.items() if chr(char) != ">"}


def unmasked(text: str) -> str:
    """Return a text with the characters that `masked` has replaced."""
    return text.translate(_UNMASK)


def auto_of(text: str, style: str | None, span: Span, path: Path) -> Auto | None:
    """Return the tag that is the whole of an unmasked scalar; None for a text without tags.

    `style`: the quotes of the scalar, whose escapes are read. Raises `NotationError` for a tag that
    is only a part of a text, or is not closed.
    """
    if "<AUTO" not in text and "</AUTO>" not in text:
        return None
    whole = _WHOLE.match(text)
    if whole is None:
        raise _no_tag(text, span)
    words = _unescaped(whole[2], style, span)
    if not words.strip():
        hint = "write what is to be decided: <AUTO>choose: short, medium or long</AUTO>"
        raise error_of("empty", "this <AUTO> has no words", hint, span=span)
    given = _unescaped(whole[1] or "", style, span)
    return Auto(" ".join(words.split()), span, path, _attributes(given, span))


def _no_tag(text: str, span: Span) -> Exception:
    opened, closed = len(re.findall(r"<AUTO\b", text)), text.count("</AUTO>")
    if opened > closed:
        return error_of("unclosed", "this <AUTO> has no </AUTO>", "close it: </AUTO>", span=span)
    if opened < closed:
        return error_of("syntax", "this </AUTO> closes nothing", "open it: <AUTO>", span=span)
    if opened > 1:
        hint = "one value has one <AUTO>; to decide two, give them two keys"
        return error_of("syntax", "a value with several <AUTO>", hint, span=span)
    message = "an <AUTO> is the whole of a value, and here it is a part of a text"
    hint = "give it a key of its own, and let nothing else stand in its value"
    return error_of("syntax", message, hint, span=span)


def _unescaped(text: str, style: str | None, span: Span) -> str:
    if style == "'":
        return text.replace("''", "'")
    if style != '"':
        return text

    def char(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            hint = r"inside a quoted <AUTO>, \", \\ and \n are the only escapes"
            raise error_of("string", f"the escape {match[0]!r} in an <AUTO>", hint, span=span)
        return _ESCAPES[match[1]]

    return _ESCAPE.sub(char, text)


_ESCAPES = {'"': '"', "\\": "\\", "n": "\n", "t": "\t", "/": "/", "\n": " "}


def _attributes(text: str, span: Span) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    at = 0
    while text[at:].strip():
        match = _ATTRIBUTE.match(text, at)
        if match is None:
            hint = 'write <AUTO type="int" min="1" max="5">'
            what = f"the attributes of this <AUTO> can't be read: {text[at:].strip()}"
            raise error_of("syntax", what, hint, span=span)
        if match[1] in found:
            message = f"the attribute '{match[1]}' of this <AUTO> is given twice"
            raise error_of("duplicate-name", message, span=span, subject=match[1])
        quoted = match[2][0] in "\"'"
        found[match[1]] = match[2][1:-1] if quoted else match[2]
        at = match.end()
    return tuple(found.items())


def check_characters(source: Source) -> None:
    """Raise `NotationError` for a text with a character that stands for another."""
    if match := MASKS.search(source.text):
        where = Span(source, match.start(), match.end())
        message = f"the private-use character U+{ord(match[0]):04X} can't be in a file"
        raise error_of("character", message, "remove it", span=where)
