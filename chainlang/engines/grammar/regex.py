r"""Regular expressions, as far as engines can hold a reply to one: read, and an example of each.

What is read is what most patterns are made of: characters, classes, groups, choices, repetitions,
and the anchors at both ends. Anything else (look-around, ``\b``, flags, ``\p{L}``) is refused in
words. A pattern is never matched here, so none can hang a run.
"""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import NoReturn, TypeAlias

from attrs import define, frozen

_MOST = 10_000  # repetitions, as they multiply
_LAST = sys.maxunicode
Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points, from and to, in order and apart."""


@frozen
class Characters:
    """One character, of these."""

    ranges: Ranges


@frozen
class Repeated:
    """A part so many times; `high` is None for any number."""

    part: Part
    low: int
    high: int | None


@frozen
class Sequence:
    """Parts one after another."""

    parts: tuple[Part, ...]


@frozen
class Choice:
    """One of several parts."""

    options: tuple[Part, ...]


Part: TypeAlias = Characters | Repeated | Sequence | Choice


# ---------------------------------------------------------------- sets of characters


def union(*several: Ranges) -> Ranges:
    """Return the characters of several sets."""
    found: list[tuple[int, int]] = []
    for low, high in sorted(one for ranges in several for one in ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], high))
        else:
            found.append((low, high))
    return tuple(found)


def without(ranges: Ranges) -> Ranges:
    """Return every other character; half a surrogate pair is none."""
    found, start = [], 0
    for low, high in union(ranges, ((0xD800, 0xDFFF),)):
        if start < low:
            found.append((start, low - 1))
        start = high + 1
    return (*found, (start, _LAST)) if start <= _LAST else tuple(found)


def of(text: str) -> Ranges:
    """Return the characters of a text."""
    return union(tuple((ord(char), ord(char)) for char in text))


_DIGITS: Ranges = ((48, 57),)
_WORD: Ranges = union(_DIGITS, ((65, 90), (97, 122)), of("_"))
_SPACE: Ranges = of(" \t\n\r\f")
_ASCII: Ranges = ((0, 127),)


@lru_cache(maxsize=1)
def _any_digit() -> Ranges:
    codes = (code for code in range(_LAST + 1) if unicodedata.category(chr(code)) == "Nd")
    return union(tuple((code, code) for code in codes))


def common(left: Ranges, right: Ranges) -> Ranges:
    """Return the characters that are in both."""
    return without(union(without(left), without(right)))


def _shorthand(char: str) -> Ranges | None:
    r"""Return the characters of ``\d`` and its like: never more than any engine means by it."""
    match char:
        case "d":
            return _DIGITS
        case "w":
            return _WORD
        case "s":
            return _SPACE
        case "D":
            return without(_any_digit())
        case "W":
            return common(_ASCII, without(_WORD))
        case "S":
            every = of("\x0b\x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000")
            return without(union(_SPACE, every, ((0x1C, 0x1F), (0x2000, 0x200A))))
    return None


ANY = without(())
"""All characters."""


# ---------------------------------------------------------------- reading


@lru_cache(maxsize=1024)
def read(pattern: str) -> Part:
    r"""Return what a whole text has to be for a pattern to match somewhere in it.

    Raises ValueError, in words, for what is beyond the patterns read here.

    >>> read("^a$")
    Sequence(parts=(Characters(ranges=((97, 97),)),))
    >>> read(r"\bword")
    Traceback (most recent call last):
        ...
    ValueError: \b at character 1
    """
    reader = _Reader(pattern)
    found = reader.choice(top=True)
    if reader.at < len(pattern):
        reader.refuse(pattern[reader.at])
    if spelled(found) > _MOST:
        raise ValueError(f"more than {_MOST:,} repetitions")
    return found


def spelled(part: Part) -> int:
    """Return how many characters a part spells out, with repetitions as often as they may be."""
    match part:
        case Characters():
            return 1
        case Repeated(inner, low, high):
            return spelled(inner) * max(low if high is None else high, 1)
        case Sequence(parts) | Choice(parts):
            return sum(map(spelled, parts))


@define
class _Reader:
    text: str
    at: int = 0

    def refuse(self, what: str) -> NoReturn:
        raise ValueError(f"{what} at character {self.at + 1}")

    def next(self, *wanted: str) -> str | None:
        """Take one of some texts, if it comes next."""
        for one in wanted:
            if self.text.startswith(one, self.at):
                self.at += len(one)
                return one
        return None

    def choice(self, *, top: bool) -> Part:
        options = [self.sequence(top=top)]
        while self.next("|"):
            options.append(self.sequence(top=top))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def sequence(self, *, top: bool) -> Part:
        """Read up to ``|`` or ``)``. At the top, what has no anchor may have anything around it."""
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
        return Characters(without(of("\n")) if char == "." else of(char))

    def name(self) -> None:
        """Take the name of a group."""
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
        """Read a class, after its bracket."""
        negated = bool(self.next("^"))
        found: Ranges = ()
        first = True
        while first or not self.next("]"):
            start = self.one()
            if self.text.startswith("--", self.at):
                self.refuse("a class in a class")
            single = start[0][0] if len(start) == 1 and start[0][0] == start[0][1] else None
            rest = self.text[self.at + 1 : self.at + 2]
            if single is not None and rest not in ("]", "") and self.next("-"):
                end = self.one()
                start = ((single, end[0][0]),) if end[0][0] >= single else ()
            found = union(found, start)
            first = False
        return Characters(without(found) if negated else found)

    def one(self) -> Ranges:
        """Read one character of a class, or a shorthand."""
        char = self.text[self.at : self.at + 1]
        if char in ("", "[") or self.text[self.at : self.at + 2] in ("&&", "--", "~~"):
            self.refuse("a class in a class" if char else "an open class")
        self.at += 1
        return self.escape() if char == "\\" else of(char)


_ESCAPES = {name: of(char) for name, char in zip("ntrf", "\n\t\r\f", strict=True)}


# ---------------------------------------------------------------- saying


def sample(part: Part, below: Callable[[int], int]) -> str:
    """Return a text that a pattern matches; `below` draws a number from 0 to below a bound.

    >>> sample(read("^[a-c]{2}(x|y)$"), lambda bound: bound - 1)
    'ccy'
    """
    match part:
        case Characters(ranges):
            some = common(ranges, ((33, 126),)) or ranges
            number = below(sum(high - low + 1 for low, high in some))
            for low, high in some:
                if number <= high - low:
                    return chr(low + number)
                number -= high - low + 1
            raise ValueError("a class without a character")
        case Repeated(Characters(ranges), 0, None) if ranges == ANY:
            return ""  # around a pattern without anchors
        case Repeated(inner, low, high):
            most = 2 if high is None else min(high - low, 2)
            return "".join(sample(inner, below) for _ in range(low + below(most + 1)))
        case Sequence(parts):
            return "".join(sample(one, below) for one in parts)
        case Choice(options):
            return sample(options[below(len(options))], below)
