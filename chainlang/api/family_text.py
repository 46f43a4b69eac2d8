"""Families as text: chains with sets in braces, ``{1,3,9}:E:{a,b}:{0,0.7} >> {M, J:big}``.

A set stands in a field, an option or as an operand. Each combination of its alternatives is a text
of its own, which is read as a chain. A table, whose first word is a string and a colon, is no set.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from attrs import frozen

from chainlang.api.chain import Chain, ChainLike, lift
from chainlang.api.family import Family, Member, free_name, products
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Source, Span
from chainlang.errors import ChainlangWarning, error_of, warn

_PIECE = re.compile(
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<comment>\#[^\n]*)|(?P<sign>[{}()\[\],])""",
    re.DOTALL,
)
_TABLE = re.compile(r"\{\s*(?:(?:\"[^\"]*\"|'[^']*')\s*:|\w+\s*=(?!=)|\})")
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?")
_LITERAL = re.compile(rf"{_NUMBER.pattern}|\".*\"|'.*'|true|false|null", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_CLOSING = {"{": "}", "(": ")", "[": "]"}


@frozen
class _Set:
    """A set in braces: where it stands, and its alternatives."""

    start: int
    end: int
    values: tuple[str, ...]
    name: str
    is_operand: bool


def family(text: str, of: ChainLike | None = None) -> Family:
    """Return the family of a text with sets in braces.

    `of`: a chain whose ops, types and models the text may use. Raises what `chain` raises, for the
    first combination that is wrong, and `NotationError` for braces that don't fit.

    >>> from chainlang.evaluation import family
    >>> made = family("{1, 3}:E:{a, b} >> M")
    >>> [str(one.chain) for one in made]
    ['E:a >> M', 'E:b >> M', '3:E:a >> M', '3:E:b >> M']
    >>> dict(made[3].choices)
    {'E.count': 3, 'E.model': 'b'}
    """
    items = () if of is None else lift(of).items
    sets = list(_sets(Source(text, "<family>")))
    members = []
    warned: dict[str, Diagnostic] = {}  # one warning of each kind: there are many combinations
    for chosen in products([one.values for one in sets]):
        choices: dict[str, Any] = {}
        pieces, at = [], 0
        for one, value in zip(sets, chosen, strict=True):
            choices[free_name(one.name, choices)] = _value(value)
            written = f"({value})" if one.is_operand and not _is_atom(value) else value
            pieces += [text[at : one.start], written]
            at = one.end
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always", ChainlangWarning)
            made = lift_text("".join([*pieces, text[at:]]), items)
        members.append(Member(choices, made))
        for caught in found:
            warned.update((it.code, it) for it in _diagnostics(caught.message))
    for diagnostic in warned.values():
        warn(diagnostic)
    return Family(tuple(members), text, 0)


def _diagnostics(message: Warning | str) -> tuple[Diagnostic, ...]:
    return message.diagnostics if isinstance(message, ChainlangWarning) else ()


def lift_text(text: str, items: Any) -> Chain:
    """Return a chain of a text that may use the declarations of another."""
    made = lift(text, items)
    return Chain(made.body, tuple(items)) if items else made


def _sets(source: Source) -> Iterator[_Set]:
    """Yield the sets of a text, in its order."""
    text, at = source.text, 0
    while (piece := _PIECE.search(text, at)) is not None:
        at = piece.end()
        if piece["sign"] != "{":
            continue
        end, commas = _closed(source, piece.start())
        if _TABLE.match(text, piece.start()) is not None:
            at = end
            continue
        edges = [piece.start(), *commas, end - 1]
        values = tuple(text[left + 1 : right].strip() for left, right in pairwise(edges))
        span = Span(source, piece.start(), end)
        if "" in values or any("{" in value for value in values):
            what = "a set has an empty alternative" if "" in values else "a set stands in a set"
            raise error_of("syntax", what, "write {1, 3, 5}", span=span)
        if len({*values}) < len(values):
            raise error_of("syntax", "a set has an alternative twice", "write each once", span=span)
        name, is_operand = _place(text, piece.start(), end, values)
        yield _Set(piece.start(), end, values, name, is_operand)
        at = end


def _closed(source: Source, start: int) -> tuple[int, list[int]]:
    """Return the end of a bracket, and the commas that stand directly in it."""
    text, open_signs, commas = source.text, list[str](), list[int]()
    for piece in _PIECE.finditer(text, start):
        sign = piece["sign"]
        if sign in _CLOSING:
            open_signs.append(_CLOSING[sign])
        elif sign == ",":
            commas += [piece.start()] if len(open_signs) == 1 else []
        elif sign is not None:
            if sign != open_signs.pop():
                break
            if not open_signs:
                return piece.end(), commas
    span = Span(source, start, start + 1)
    raise error_of("unclosed", "this '{' is never closed", "close it with '}'", span=span)


def _place(text: str, start: int, end: int, values: tuple[str, ...]) -> tuple[str, bool]:
    """Return the name of the choice that a set is, and whether it is an operand."""
    before, after = text[:start].rstrip(), text[end:].lstrip()
    if after.startswith(":") and not before.endswith(":"):
        word = _WORD.match(after[1:].lstrip())
        return f"{word[0] if word else 'E'}.count", False
    if before.endswith(":"):
        is_number = all(map(_NUMBER.fullmatch, values)) and not after.startswith(":")
        return f"{_type_of(before)}.{'temperature' if is_number else 'model'}", False
    option = re.search(r"(\w+)\s*=\Z", before)
    if option is not None and all(map(_LITERAL.fullmatch, values)):
        return f"{_type_of(before)}.{option[1]}", False
    return "choice", True


def _type_of(before: str) -> str:
    """Return the type of the stage that a text ends in."""
    fields = re.search(r"([\w./@+~:{}, -]*)(?:\([^()]*)?\Z", before)
    stage = re.split(r"[,>&|(=]\s*(?![^{]*\})", fields[1] if fields else before)[-1]
    words = [one for one in stage.split(":") if _WORD.fullmatch(one.strip())]
    return words[0].strip() if words else "E"


def _is_atom(value: str) -> bool:
    """Return whether an alternative can stand beside an operator as it is."""
    return re.fullmatch(r"[\w./@+~:$-]+(\(.*\))?", value, re.DOTALL) is not None


def _value(text: str) -> Any:
    """Return an alternative as a value: a number, a text without its quotes, or a chain's text."""
    if _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    return text[1:-1] if text[:1] in "\"'" and text[-1:] == text[:1] else text
