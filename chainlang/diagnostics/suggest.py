"""Diagnostics of unknown names, with suggestions.

A text may have thousands of unknown names beside thousands of known ones. So a suggestion is made
when a hint is read, and the letters of two names are compared only where they are nearly the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import lru_cache
from itertools import islice

from attrs import field, frozen

from chainlang.diagnostics.diagnostic import Diagnostic, Kind
from chainlang.diagnostics.source import Span

LISTED = 10
"""Maximum number of names in a hint; the rest are counted."""
_OFFERED = 3  # maximum number of equally similar names
_LONGEST = 60  # maximum length of a name for the edit distance
_CONSIDERED = 1_000  # maximum number of known names that are looked at
_COMPARED = 64  # maximum number of names to which the edit distance is computed
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


def unknown(
    kind: Kind,
    name: str,
    known: Iterable[str],
    span: Span | None = None,
    *,
    code: str = "unknown-name",
    of: str = "",
    hint: str | Suggestion | None = None,
    sign: str = "",
) -> Diagnostic:
    """Return the diagnostic of an unknown name, with the known names as data and as a hint.

    `of`: end of the message. `sign`: prefix of a name, such as ``$``. `hint`: replaces the
    suggestion.

    >>> found = unknown("option", "max_token", ["max_tokens", "top_p"], of=" of E")
    >>> found.message, found.hint, found.subject
    ("unknown option 'max_token' of E", "did you mean 'max_tokens'?", 'max_token')
    """
    names = known if isinstance(known, tuple) else tuple(known)
    message = f"unknown {kind} '{sign}{name}'{of}"
    said = Suggestion(name, names, sign=sign) if hint is None else hint
    return Diagnostic(code, message, span, said, kind=kind, subject=name, known=names)


@frozen
class Suggestion:
    """A hint that is made when it is read: the near names, or else all of them, or a text."""

    name: str
    known: tuple[str, ...] = field(eq=False)
    fallback: str | None = field(default=None, kw_only=True)
    """Text if no name is near; None for a list of all."""
    sign: str = field(default="", kw_only=True)

    def text(self) -> str | None:
        """Return the hint."""
        if self.fallback is None:
            return suggest(self.name, self.known, sign=self.sign)
        return suggest(self.name, self.known, None, sign=self.sign) or self.fallback


def suggest(
    name: str, known: Iterable[str], otherwise: str | None = "available:", *, sign: str = ""
) -> str | None:
    """Return a hint with the known names similar to `name`, or else with all of them.

    `otherwise`: text before the list of all names; None for no hint if no name is similar.

    >>> suggest("max_token", ["max_tokens", "top_p"]), suggest("seed", ["need", "stop"])
    ("did you mean 'max_tokens'?", 'available: need, stop')
    """
    names = list(dict.fromkeys(known))
    if near := nearest(name, names):
        meant = " or ".join(f"'{sign}{one}'" for one in near)
        return f"did you mean {meant}?"
    if otherwise is None or not names:
        return None
    return f"{otherwise} {listed(names, sign=sign)}"


def listed(names: Iterable[str], *, sign: str = "") -> str:
    """Return names separated by commas: at most ten, and the number of others.

    >>> listed(["a", "b"], sign="$"), listed(map(str, range(12)))
    ('$a, $b', '0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 others')
    """
    known = names if isinstance(names, Collection) else tuple(names)
    rest = len(known) - LISTED
    more = f" and {rest} other{'s' * (rest > 1)}" if rest > 0 else ""
    return ", ".join(f"{sign}{name}" for name in islice(known, LISTED)) + more


def closest(name: str, known: Iterable[str]) -> str | None:
    """Return the only known name similar to `name`; None if there is none, or several.

    >>> closest("max_token", ["max_tokens", "top_p"])
    'max_tokens'
    """
    near = nearest(name, known)
    return near[0] if len(near) == 1 else None


def misspelt(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that `name` is a misspelling of, if there is one.

    That is nearer than `nearest` asks for: the same words, one slip of the keyboard, or two in a
    name of eight letters or more.

    >>> misspelt("sead", ["seed"]), misspelt("order", ["ordered"]), misspelt("calls", ["row_calls"])
    ('seed', None, None)
    """
    own, names = _traits(name), tuple(islice(known, _CONSIDERED))
    close = set(_in_letters(own, names))
    for one in names:
        if own.words == _traits(one).words:
            return one
        if one not in close:
            continue
        slips = _slips(own.lower, one.lower())
        most = 2 if max(len(name), len(one)) >= 8 else 1
        if slips is not None and slips <= most:
            return one
    return None


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """Return the known names most similar to `name`; empty if none is similar.

    Names are similar if they have the same words in another order, case or number; else if their
    edit distance is 1 or 2; else if the words of one include those of the other, or one is a prefix
    of the other.

    >>> nearest("tokens_max", ["max_tokens"]), nearest("verdikt", ["verdict"])
    (['max_tokens'], ['verdict'])
    >>> nearest("penalty", ["frequency_penalty", "presence_penalty", "top_p"])
    ['frequency_penalty', 'presence_penalty']
    """
    names = tuple(dict.fromkeys(islice(known, _CONSIDERED)))
    own = _traits(name)
    close = set(_in_letters(own, names))
    ranked: dict[int, list[str]] = {}
    for one in names:
        rank = _rank(own, _traits(one), is_close=one in close)
        if rank is not None:
            ranked.setdefault(rank, []).append(one)
    best = ranked[min(ranked)] if ranked else []
    return sorted(best) if len(best) <= _OFFERED else []


@frozen
class _Traits:
    """Properties of a name that comparisons read."""

    lower: str
    words: frozenset[str]
    """In lower case, without the `s` of a plural."""
    letters: int
    """Its characters as a set of bits."""


@lru_cache(maxsize=1 << 14)
def _traits(name: str) -> _Traits:
    words = (word.lower() for word in _WORDS.findall(name))
    stems = frozenset(word.removesuffix("s") if len(word) > 3 else word for word in words)
    letters = 0
    for letter in set(name.lower()[: _LONGEST + 1]):
        letters |= 1 << ord(letter) % 61
    return _Traits(name.lower(), stems, letters)


def _in_letters(own: _Traits, names: tuple[str, ...]) -> list[str]:
    """Return the names whose edit distance may be two or less, the nearest first; at most 64.

    An edit changes at most two letters of the set.
    """
    length, letters = len(own.lower), own.letters
    found = []
    for one in names:
        if -2 <= len(one) - length <= 2:
            differing = (_traits(one).letters ^ letters).bit_count()
            if differing <= 4:
                found.append((differing, one))
    if len(found) > _COMPARED:
        found = sorted(found, key=lambda each: each[0])[:_COMPARED]
    return [one for _, one in found]


def _rank(own: _Traits, known: _Traits, *, is_close: bool) -> int | None:
    """Return the distance of two names; None if they are not similar."""
    if own.lower == known.lower:
        return 0
    words, others = own.words, known.words
    if words and words == others:
        return 1
    slips = _slips(own.lower, known.lower) if is_close else None
    if slips is not None:
        return 1 + slips
    shared = words & others
    if shared in (words, others) and any(len(word) > 2 for word in shared):
        return 4
    short, long = sorted((own.lower, known.lower), key=len)
    least = 3 if short == own.lower else 4
    return 5 if len(short) >= least and long.startswith(short) else None


def _slips(left: str, right: str) -> int | None:
    """Return the edit distance with transpositions; None if it is too large.

    It is at most a third of the length, and at most two. In names of up to four letters the first
    letter has to be equal, unless letters are swapped.
    """
    longest = max(len(left), len(right))
    most = min(longest // 3, 2)
    if abs(len(left) - len(right)) > most or longest > _LONGEST:
        return None
    if longest <= 4 and left[:1] != right[:1] and sorted(left) != sorted(right):
        return None
    before: list[int] = []
    row = list(range(len(right) + 1))
    for at, letter in enumerate(left, 1):
        before, last, row = row, before, [at]
        for to, other in enumerate(right, 1):
            cost = min(before[to] + 1, row[to - 1] + 1, before[to - 1] + (letter != other))
            if at > 1 and to > 1 and letter == right[to - 2] and left[at - 2] == other:
                cost = min(cost, last[to - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:  # no later row is less
            return None
    return row[-1] if row[-1] <= most else None
