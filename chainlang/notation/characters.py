"""Diagnostics for characters that are not in the language, with what to write instead."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import visible
from chainlang.diagnostics.source import Source, Span
from chainlang.notation.scan import ending
from chainlang.notation.tokens import TERMINALS

# Operators of other languages, and what to write instead.
FOREIGN = {
    "→": "write >> for a sequence",
    "⇒": "write >> for a sequence",
    "»": "write >> for a sequence",
    "->": "write >> for a sequence",
    "=>": "write >> for a sequence",
    "|>": "write >> for a sequence",
    "<<": "data flows from left to right: write a >> b",
    "×": "write * to repeat a part",
    "“": 'write straight quotes: "..."',
    "”": 'write straight quotes: "..."',
    "‘": 'write straight quotes: "..."',
    "’": 'write straight quotes: "..."',
    "＞": "write >> for a sequence",
    "：": "write an ASCII ':'",
    "（": "write an ASCII '('",
    "）": "write an ASCII ')'",
    "^": "the operators are * >> & |",
    "==": "write one '=' to name a part",
    "||": "write | (branch)",
    "&&": "write & (join)",
    "**": "write * (repeat)",
    ">>>": "write >> for a sequence",
    "+": "write & to join parts, >> to put one after another",
    "-": "the operators are * >> & |",
    ";": "nothing ends a chain; in a file, each definition starts on a line of its own",
    ".": "fields are joined by ':', as in 3:E:tiny:0.7",
    "\\": "a chain may go on in the next line as it is",
    "!": "to name a part, write `name = part`",
    "%": "the operators are * >> & |",
    "~": "the operators are * >> & |",
    "/": "the operators are * >> & |",
    ">": "write >> for a sequence",
    "<": "data flows from left to right: write a >> b",
    "//": "a comment starts with #",
    "/*": "a comment starts with #",
    "`": 'quote with "..."',
    "```": "leave out what stands around the chain",
}
INSTEAD = {
    **dict.fromkeys(("→", "⇒", "»", "->", "=>", "|>", "＞", ">>>", ">"), ">>"),
    **dict.fromkeys("“”‘’", '"'),
    "×": "*",
    "：": ":",
    "（": "(",
    "）": ")",
    "==": "=",
    "||": "|",
    "&&": "&",
    "**": "*",
    "//": "#",
}
"""Text that replaces an operator of another language, where there is only one."""


def foreign(source: Source, at: int) -> Diagnostic | None:
    """Return the diagnostic for another language's operator, which may be tokenized as a label."""
    text = source.text
    places = [(start, start + size) for start in (at - 2, at - 1, at) for size in (3, 2, 1)]
    for start, stop in places:
        if start < 0 or not start <= at < stop:
            continue
        found = text[start:stop]
        if found in FOREIGN:
            hint = FOREIGN[found]
            if found == "-" and ending(r"\w", text[:at]) and re.match(r"\w", text[stop:]):
                hint = "names are made of ASCII letters, digits and _"
            where = Span(source, start, stop)
            return Diagnostic(
                "character",
                f"unexpected '{found}'",
                where,
                hint,
                replacement=INSTEAD.get(found),
            )
    return None


def in_field(source: Source, at: int) -> Diagnostic | None:
    """Return the diagnostic for a character that makes a field need quotes."""
    text = source.text
    char = text[at : at + 1]
    field = ending(r":[\w./@+~-]*", text[:at])
    if field is None or not char.isprintable() or char.isspace() or char in "=&|<>;()":
        return None
    start = field.start() + 1
    stop = at + len((re.match(r"[^\s()>&|\"#]*", text[at:]) or [""])[0])
    whole = visible(text[start:stop])
    return Diagnostic(
        "character",
        f"unexpected {called(char)} in a field without quotes",
        Span(source, at, at + 1),
        f'if it is a part of the model, quote it: "{whole}"',
    )


def strange(where: Span) -> Diagnostic:
    """Return the diagnostic for any other character."""
    char = where.text
    hint = None
    if not char.isprintable() or char.isspace():
        hint = "delete it, or write an ordinary space"
    elif char.isnumeric():
        hint = "numbers are written in ASCII digits"
    elif not char.isascii():
        hint = "names are made of ASCII letters, digits and _; anything else is quoted"
    return Diagnostic("character", f"unexpected character {called(char)}", where, hint)


def called(char: str) -> str:
    """Return a character for messages; its code point and name if it is not printable."""
    if char.isprintable() and char.isascii():
        return f"'{char}'"
    unnamed = "a lone surrogate" if 0xD800 <= ord(char) < 0xE000 else "a control character"
    name = unicodedata.name(char, unnamed).lower()
    shown = f"'{char}' " if char.isprintable() and not char.isspace() else ""
    return f"{shown}U+{ord(char):04X} ({name})"


def instead(expected: Iterable[str], source: Source) -> str:
    """Return ``: expected a, b or c`` for a set of terminals, or nothing for a large one."""
    expected = set(expected)
    if not any(bracket in source.text for bracket in "([{"):  # LALR states merge contexts
        expected -= {"RPAR", "RSQB", "RBRACE"}
    if "COLON" in expected:  # required, unlike the description that may come before it
        expected -= {"STRING"}
    if "TYPE" not in expected and {"NAME", "FUNCTION"} <= expected and "REF" not in expected:
        expected -= {"LABEL", "FUNCTION"}  # after `type`, where these are rare
    names = {} if "REF" in expected else {"NAME": "a name"}
    known = expected & TERMINALS.keys()
    words = sorted({names.get(terminal, TERMINALS[terminal].name) for terminal in known})
    if not words or len(words) > 7:
        return ""
    return ": expected " + (", ".join(words[:-1]) + " or " if words[:-1] else "") + words[-1]
