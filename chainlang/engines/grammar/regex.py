r"""Parser of the regular expressions that engines can enforce, and generator of matching texts.

It supports characters, classes, groups, alternatives, repetitions, and anchors at both ends. Other
syntax (look-around, ``\b``, flags, ``\p{L}``) raises `ValueError` with its position. Nothing is
matched here, so no expression can hang a run.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn, TypeAlias

from attrs import define, frozen

_MOST = 10_000  # characters of an expression with its repetitions expanded
_LAST = sys.maxunicode
Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Set of characters as ranges of code points, both ends included, sorted and not adjacent."""


@frozen
class Characters:
    """One character of a set."""

    ranges: Ranges


@frozen
class Repeated:
    """A part repeated `low` to `high` times; no upper bound if `high` is None."""

    part: Part
    low: int
    high: int | None


@frozen
class Sequence:
    """Concatenation of parts."""

    parts: tuple[Part, ...]


@frozen
class Choice:
    """Alternation of parts."""

    options: tuple[Part, ...]


Part: TypeAlias = Characters | Repeated | Sequence | Choice


# ---------------------------------------------------------------- sets of characters


def union(*several: Ranges) -> Ranges:
    """Return the union of sets of characters."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(pair for ranges in several for pair in ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)


def complement(ranges: Ranges) -> Ranges:
    """Return all characters that are not in a set; surrogates are not characters."""
    gaps, start = [], 0
    for low, high in union(ranges, ((0xD800, 0xDFFF),)):
        if start < low:
            gaps.append((start, low - 1))
        start = high + 1
    return (*gaps, (start, _LAST)) if start <= _LAST else tuple(gaps)


def of(text: str) -> Ranges:
    """Return the set of the characters of a text."""
    return union(tuple((ord(char), ord(char)) for char in text))


_DIGITS: Ranges = ((48, 57),)
_WORD: Ranges = union(_DIGITS, ((65, 90), (97, 122)), of("_"))
_SPACE: Ranges = of(" \t\n\r\f")
_ASCII: Ranges = ((0, 127),)


@lru_cache(maxsize=1)
def _any_digit() -> Ranges:
    codes = (code for code in range(_LAST + 1) if unicodedata.category(chr(code)) == "Nd")
    return union(tuple((code, code) for code in codes))


def intersection(left: Ranges, right: Ranges) -> Ranges:
    """Return the characters that are in both sets."""
    return complement(union(complement(left), complement(right)))


def _shorthand(char: str) -> Ranges | None:
    r"""Return the characters of ``\d``, ``\w``, ``\s`` and their opposites; None for other letters.

    Engines differ in these classes; the set has only characters that are in the class of each.
    """
    match char:
        case "d":
            return _DIGITS
        case "w":
            return _WORD
        case "s":
            return _SPACE
        case "D":
            return complement(_any_digit())
        case "W":
            return intersection(_ASCII, complement(_WORD))
        case "S":
            every = of("\x0b\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000")
            return complement(union(_SPACE, every, ((0x1C, 0x1F), (0x2000, 0x200A))))
    return None


ANY = complement(())
"""All characters."""


# ---------------------------------------------------------------- parsing


@lru_cache(maxsize=1024)
def read(pattern: str) -> Part:
    r"""Parse an expression into one for whole texts.

    Without ``^`` any text may stand before the match, and without ``$`` after it. Raises
    `ValueError` with the unsupported syntax and its position, counted from 1.

    >>> read("^a$")
    Sequence(parts=(Characters(ranges=((97, 97),)),))
    >>> read(r"\bword")
    Traceback (most recent call last):
        ...
    ValueError: \b at character 1
    """
    parser = _Parser(pattern)
    part = parser.choice(top=True)
    if parser.at < len(pattern):
        parser.refuse(pattern[parser.at])
    if expanded_length(part) > _MOST:
        raise ValueError(f"more than {_MOST:,} repetitions")
    return part


def expanded_length(part: Part) -> int:
    """Return the number of characters of a part, with its repetitions expanded to their maximum."""
    match part:
        case Characters():
            return 1
        case Repeated(inner, low, high):
            return expanded_length(inner) * max(low if high is None else high, 1)
        case Sequence(parts) | Choice(parts):
            return sum(map(expanded_length, parts))


@define
class _Parser:
    text: str
    at: int = 0

    def refuse(self, what: str) -> NoReturn:
        raise ValueError(f"{what} at character {self.at + 1}")

    def next(self, *wanted: str) -> str | None:
        """Consume and return the first of `wanted` that comes next; None if none does."""
        for token in wanted:
            if self.text.startswith(token, self.at):
                self.at += len(token)
                return token
        return None

    def choice(self, *, top: bool) -> Part:
        options = [self.sequence(top=top)]
        while self.next("|"):
            options.append(self.sequence(top=top))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self, *, top: bool) -> Part:
        """Parse up to ``|`` or ``)``; at the top level any text may surround it without anchors."""
        anything = Repeated(Characters(ANY), 0, None)
        parts: list[Part] = [] if top and self.next("^") else [anything] if top else []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            ends = self.text[self.at] == "$" and self.text[self.at + 1 : self.at + 2] in ("", "|")
            if top and ends:
                self.at += 1
                return Sequence(tuple(parts))
            parts.append(self.repeated(self.atom()))
        return Sequence((*parts, anything) if top else tuple(parts))

    def repeated(self, part: Part) -> Part:
        match self.next("*", "+", "?", "{"):
            case "*":
                low, high = 0, None
            case "+":
                low, high = 1, None
            case "?":
                low, high = 0, 1
            case "{":
                low, high = self.bounds()
            case _:
                return part
        self.next("?")  # a lazy one matches the same texts
        if self.text[self.at : self.at + 1] in ("*", "+", "{"):
            self.refuse("a repetition of a repetition")
        return Repeated(part, low, high)

    def bounds(self) -> tuple[int, int | None]:
        end = self.text.find("}", self.at)
        least, comma, most = self.text[self.at : end].partition(",")
        numbers = all(one.isdecimal() and one.isascii() for one in (least, most or "0"))
        if end < 0 or not numbers or len(least) > 6 or len(most) > 6:
            self.refuse("a repetition that is not {n}, {n,} or {n,m}")
        self.at = end + 1
        return int(least), int(most) if most else None if comma else int(least)

    def atom(self) -> Part:
        char = self.text[self.at]
        if self.next("("):
            if self.next("?") and not self.next(":"):
                self.name()
            inner = self.choice(top=False)
            if not self.next(")"):
                self.refuse("an open group")
            return inner
        if char in "^$*+?{":
            self.refuse(char)
        self.at += 1
        if char == "[":
            return self.characters()
        if char == "\\":
            return Characters(self.escape())
        return Characters(complement(of("\n")) if char == "." else of(char))

    def name(self) -> None:
        """Consume the name of a group."""
        end = self.text.find(">", self.at)
        if not self.next("P<", "<") or end < 0 or not self.text[self.at : end].isidentifier():
            self.refuse("a group that is not (...), (?:...) or (?P<name>...)")
        self.at = end + 1

    def escape(self) -> Ranges:
        char = self.text[self.at : self.at + 1]
        found = _shorthand(char) or _ESCAPES.get(char)
        if found is None and (not char or char.isalnum() or not char.isascii()):
            self.at -= 1
            self.refuse(f"\\{char}")
        self.at += 1
        return found or of(char)

    def characters(self) -> Characters:
        """Parse a class after its opening bracket."""
        negated = bool(self.next("^"))
        ranges: Ranges = ()
        first = True
        while first or not self.next("]"):
            start = self.class_item()
            if self.text.startswith("--", self.at):
                self.refuse("a class in a class")
            single = start[0][0] if len(start) == 1 and start[0][0] == start[0][1] else None
            rest = self.text[self.at + 1 : self.at + 2]
            if single is not None and rest not in ("]", "") and self.next("-"):
                end = self.class_item()
                start = ((single, end[0][0]),) if end[0][0] >= single else ()
            ranges = union(ranges, start)
            first = False
        return Characters(complement(ranges) if negated else ranges)

    def class_item(self) -> Ranges:
        """Parse one character of a class, or a shorthand such as ``\\d``."""
        char = self.text[self.at : self.at + 1]
        if char in ("", "[") or self.text[self.at : self.at + 2] in ("&&", "--", "~~"):
            self.refuse("a class in a class" if char else "an open class")
        self.at += 1
        return self.escape() if char == "\\" else of(char)


_ESCAPES = {name: of(char) for name, char in zip("ntrf", "\n\t\r\f", strict=True)}


# ---------------------------------------------------------------- sampling


def sample(part: Part, below: Callable[[int], int]) -> str:
    """Return a text that matches; `below` maps a bound to an integer in [0, bound).

    >>> sample(read("^[a-c]{2}(x|y)$"), lambda bound: bound - 1)
    'ccy'
    """
    match part:
        case Characters(ranges):
            some = intersection(ranges, ((33, 126),)) or ranges
            number = below(sum(high - low + 1 for low, high in some))
            for low, high in some:
                if number <= high - low:
                    return chr(low + number)
                number -= high - low + 1
            raise ValueError("a class without a character")
        case Repeated(Characters(ranges), 0, None) if ranges == ANY:
            return ""  # added around an expression without anchors
        case Repeated(inner, low, high):
            most = 2 if high is None else min(high - low, 2)
            return "".join(sample(inner, below) for _ in range(low + below(most + 1)))
        case Sequence(parts):
            return "".join(sample(one, below) for one in parts)
        case Choice(options):
            return sample(options[below(len(options))], below)
