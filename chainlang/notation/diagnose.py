"""What the parser could not read, said so that the reader knows what to write.

The parser reports a token or a character, and what it would have taken. Here that becomes a
sentence: first the mistakes that people make, each with its own rule, then the general case.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from chainlang.diagnostics import Diagnostic
from chainlang.notation.grammar import WORDS
from chainlang.notation.scan import PAIRS, unclosed
from chainlang.report import visible
from chainlang.spans import Source, Span

_OPERATORS = {"SHIFT", "AMP", "BAR"}
_OPERANDS = {"NAME", "COUNTED", "REF", "FUNCTION", "LPAR"}
_DECLARES = {"USE", "MODEL", "INPUT", "TYPE", "OP"}

# Characters and pairs that other languages write where this one writes something else.
_FOREIGN = {
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
    "+": "write & to join parts, >> to put one after another",
    ";": "write each definition on a line of its own; nothing separates them",
    "!": "to name a part, write `name = part`",
    "%": "the operators are * >> & |",
    "~": "the operators are * >> & |",
    "/": "the operators are * >> & |",
    ">": "write >> for a sequence",
    "<": "data flows from left to right: write a >> b",
    "//": "a comment starts with #",
    "/*": "a comment starts with #",
    "`": 'quote with "..."',
}


def diagnose(error: UnexpectedInput, source: Source) -> Diagnostic:
    """Return the finding for a text that the grammar does not accept."""
    if isinstance(error, UnexpectedCharacters):
        return _character(source, error.pos_in_stream or 0, set(error.allowed or ()))
    if isinstance(error, UnexpectedToken):
        return _token(source, error.token, set(error.expected))
    return Diagnostic("syntax", "this is not in the language", Span(source, 0, 0))


def _character(source: Source, at: int, expected: set[str]) -> Diagnostic:
    text = source.text
    char = text[at : at + 1]
    where = Span(source, at, at + 1)
    if char in "\"'":
        return _quote(source, at, expected)
    if char == ":":
        return _colon(source, at)
    if char in ")]}":
        return Diagnostic("unclosed", f"this '{char}' closes nothing", where)
    if char in ("$", "@"):
        what = "a definition" if char == "$" else "a Python function"
        return Diagnostic(
            "syntax", f"'{char}' stands before the name of {what}, without a space", where
        )
    field = re.search(r":[\w./@+~-]*\Z", text[:at])
    if field and not char.isspace() and char not in "=,*&|<>;" and field.end() == at:
        start = field.start() + 1
        stop = at + len((re.match(r"[^\s()>&|,\"#]*", text[at:]) or [""])[0])
        whole = visible(text[start:stop])
        return Diagnostic(
            "character",
            f"{_called(char)} can't stand in a field without quotes",
            where,
            f'quote the model: "{whole}"' if len(whole) <= 80 else "quote the model",
        )
    foreign = next((two for two in (text[at : at + 2], char) if two in _FOREIGN), None)
    if foreign:
        return Diagnostic(
            "character",
            f"'{foreign}' is not in the language",
            Span(source, at, at + len(foreign)),
            _FOREIGN[foreign],
        )
    hint = None
    if unicodedata.category(char or "x") in ("Zs", "Cf"):
        hint = "delete it, or write an ordinary space"
    elif char.isalpha():
        hint = "names are made of ASCII letters, digits and _; anything else is quoted"
    return Diagnostic("character", f"{_called(char)} is not in the language", where, hint)


def _quote(source: Source, at: int, expected: set[str]) -> Diagnostic:
    text = source.text
    quotes = '"""' if text.startswith('"""', at) else text[at]
    closed = re.compile(
        r'"""(?:\\(?:.|\n)|[^\\])*?"""|"(?:\\.|[^"\\\n])*"|' + r"'(?:\\.|[^'\\\n])*'"
    ).match(text, at)
    if closed is None:
        end = text.find("\n", at)
        until = "text" if len(quotes) == 3 else "line"
        return Diagnostic(
            "unclosed",
            f"this string is not closed before the end of the {until}",
            Span(source, at, len(text) if end < 0 or len(quotes) == 3 else end),
            f"close it with {quotes}",
        )
    return _text_operand(Span(source, at, closed.end()), expected)


def _text_operand(where: Span, expected: set[str]) -> Diagnostic:
    if expected & _OPERANDS:
        return Diagnostic(
            "syntax",
            "a string stands where a stage belongs",
            where,
            "inside a notation, stages are written without quotes",
        )
    return Diagnostic("syntax", f"a string can't stand here{_instead(expected)}", where)


def _colon(source: Source, at: int) -> Diagnostic:
    before = source.text[:at].rstrip()
    where = Span(source, at, at + 1)
    count = re.search(r"(?<![\w.])[0-9]+\Z", before)
    if count:
        return Diagnostic(
            "syntax",
            "a count and its type are one word: no space around this ':'",
            where,
            f"write {count[0]}:E",
        )
    return Diagnostic(
        "syntax",
        "this ':' follows nothing that has fields",
        where,
        "a stage is count:type:model:temperature, as in 3:E:tiny:0.7",
    )


def _token(source: Source, token: Token, expected: set[str]) -> Diagnostic:
    if token.type == "$END":
        return _end(source, expected)
    start = token.start_pos or 0
    where = Span(source, start, token.end_pos or start)
    before = source.text[:start].rstrip()
    kind = token.type
    if kind in ("RPAR", "RSQB", "RBRACE"):
        return _closing(source, token, where, expected)
    if kind == "STRING":
        return _text_operand(where, expected)
    if kind in _OPERATORS | {"STAR"}:
        return _operator(token, where, before)
    if kind == "FIELD":
        return _colon(source, start)
    if kind == "LABEL":
        return _label(source, token, where, expected)
    if before.endswith(":") and kind in ("NAME", "INT", "NUMBER", "COUNTED"):
        return Diagnostic(
            "syntax",
            "fields are written without spaces",
            Span(source, len(before), start),
            "write count:type:model:temperature in one word, as in 3:E:tiny:0.7",
        )
    if kind == "EQUALS" or str(token) == "=":
        label = re.search(r"[A-Za-z_]\w*\Z", before)
        if label:
            named = Span(source, label.start(), where.end)
            return _label(source, Token("LABEL", label[0]), named, expected | {"NAME"})
        return Diagnostic(
            "syntax",
            f"'=' can't stand here{_instead(expected)}",
            where,
            "`name = part` names a part, `name=value` gives an option",
        )
    if kind in ("INT", "NUMBER") and expected & _OPERANDS:
        return Diagnostic(
            "syntax",
            f"{token} is not a part of a chain",
            where,
            "a count belongs to a type, as in 3:E, or to a part, as in 3 * (E >> M)",
        )
    if kind in _OPERANDS and expected & _OPERATORS:
        return Diagnostic(
            "syntax",
            f"an operator is missing before '{visible(str(token))}'",
            where,
            "write >> (sequence), & (join) or | (branch) between two parts",
        )
    return Diagnostic(
        "syntax", f"'{visible(str(token))}' can't stand here{_instead(expected)}", where
    )


def _closing(source: Source, token: Token, where: Span, expected: set[str]) -> Diagnostic:
    opened = unclosed(source.text, where.start)
    if opened is None:
        return Diagnostic("unclosed", f"this '{token}' closes nothing", where, "delete it")
    if PAIRS[opened.text] != str(token):
        return Diagnostic(
            "unclosed",
            f"'{token}' can't close the '{opened.text}' that was opened before it",
            where,
            f"write '{PAIRS[opened.text]}'",
        )
    before = source.text[: where.start].rstrip()
    if before.endswith(opened.text) and expected & _OPERANDS:
        return Diagnostic(
            "empty", "these parentheses hold nothing", Span(source, opened.start, where.end)
        )
    if re.search(r"(>>|[&|*])\Z", before):
        at = Span(source, where.start, where.end)
        return Diagnostic("syntax", f"nothing stands between the operator and this '{token}'", at)
    return Diagnostic("syntax", f"'{token}' can't stand here{_instead(expected)}", where)


def _operator(token: Token, where: Span, before: str) -> Diagnostic:
    doubled = {"|": "||", "&": "&&", "*": "**"}
    text = str(token)
    if before == "" or before.endswith(("(", "=", "{", ",")):
        return Diagnostic(
            "syntax",
            f"nothing stands before this '{text}'",
            where,
            "an operator stands between two parts",
        )
    if doubled.get(text) == before[-1:] + text and where.start == len(before):
        both = Span(where.source, where.start - 1, where.end)
        return Diagnostic("syntax", f"'{doubled[text]}' is not an operator", both, f"write {text}")
    if re.search(r"(>>|[&|*])\Z", before):
        return Diagnostic(
            "syntax", f"two operators in a row: nothing stands before this '{text}'", where
        )
    if text == "*":
        return Diagnostic(
            "syntax",
            "'*' repeats the part after it",
            where,
            "write the count first, as in 3 * (E >> M)",
        )
    return Diagnostic("syntax", f"'{text}' can't stand here", where)


def _label(source: Source, token: Token, where: Span, expected: set[str]) -> Diagnostic:
    name = token.rstrip("= \t")
    if source.text[: where.start].rstrip().endswith((">>", "*")):
        return Diagnostic(
            "syntax",
            "a label names a whole sequence and can't stand inside one",
            where,
            f"put the part in parentheses: a >> ({name} = b) >> c",
        )
    if expected & _OPERANDS:
        return Diagnostic(
            "syntax",
            "a label can't stand at the top of a definition or an argument",
            where,
            f"put it in parentheses: ({name} = ...)",
        )
    if expected & _OPERATORS:
        return Diagnostic(
            "syntax",
            f"an operator is missing before '{name} ='",
            where,
            "in one expression, parts are separated by >> & |; definitions belong in a file",
        )
    return Diagnostic("syntax", f"'{name} =' can't stand here{_instead(expected)}", where)


def _end(source: Source, expected: set[str]) -> Diagnostic:
    text = source.text
    end = len(text.rstrip())
    opened = unclosed(text, len(text))
    if opened is not None:
        return Diagnostic(
            "unclosed",
            f"this '{opened.text}' is never closed",
            Span(source, opened.start, opened.end),
            f"close it with '{PAIRS[opened.text]}'",
        )
    where = Span(source, end, end)
    operator = re.search(r"(>>|[&|*])\Z", text[:end])
    if operator:
        return Diagnostic("syntax", f"nothing stands after the last '{operator[0]}'", where)
    if not text.strip():
        return Diagnostic(
            "empty", "there is no chain in this text", where, "the shortest chain is one type: E"
        )
    label = re.search(r"([A-Za-z_]\w*)[ \t]*=\Z", text[:end])
    if label:
        return Diagnostic("syntax", f"nothing stands after '{label[1]} ='", where)
    if "STAR" in expected:
        return Diagnostic(
            "syntax",
            "a number alone is not a chain",
            where,
            "a count belongs to a type, as in 3:E, or to a part, as in 3 * (E >> M)",
        )
    return Diagnostic("syntax", f"the text ends too early{_instead(expected)}", where)


def _instead(expected: Iterable[str]) -> str:
    """Return ``: expected a, b or c`` for a set of terminals, or nothing for a large one."""
    words = sorted({WORDS[terminal] for terminal in expected if terminal in WORDS})
    if not words or len(words) > 6:
        return ""
    return ": expected " + (", ".join(words[:-1]) + " or " if words[:-1] else "") + words[-1]


def _called(char: str) -> str:
    """Return how to speak of a character: itself, or its number and name where it can't be seen."""
    if char.isprintable() and char.isascii():
        return f"'{char}'"
    name = unicodedata.name(char, "a control character").lower()
    shown = f"'{char}' " if char.isprintable() and not char.isspace() else ""
    return f"{shown}U+{ord(char):04X} ({name})"
