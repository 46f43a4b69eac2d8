"""Diagnostics of unknown names, with suggestions."""

from __future__ import annotations

import re
from collections.abc import Iterable

from chainlang.diagnostics.diagnostic import Diagnostic, Kind
from chainlang.diagnostics.source import Span

LISTED = 10
"""Maximum number of names in a hint; the rest are counted."""
_OFFERED = 3  # maximum number of equally similar names
_LONGEST = 60  # maximum length of a name for the edit distance
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+")


def unknown(
    kind: Kind,
    name: str,
    known: Iterable[str],
    span: Span | None = None,
    *,
    code: str = "unknown-name",
    of: str = "",
    hint: str | None = None,
    sign: str = "",
) -> Diagnostic:
    """Return the diagnostic of an unknown name, with the known names as data and as a hint.

    `of`: end of the message. `sign`: prefix of a name, such as ``$``. `hint`: replaces the
    suggestion.

    >>> found = unknown("option", "max_token", ["max_tokens", "top_p"], of=" of E")
    >>> found.message, found.hint, found.subject
    ("unknown option 'max_token' of E", "did you mean 'max_tokens'?", 'max_token')
    """
    names = tuple(known)
    message = f"unknown {kind} '{sign}{name}'{of}"
    hint = suggest(name, names, sign=sign) if hint is None else hint
    return Diagnostic(code, message, span, hint, kind=kind, subject=name, known=names)


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
    signed = [f"{sign}{name}" for name in names]
    rest = len(signed) - LISTED
    more = f" and {rest} other{'s' * (rest > 1)}" if rest > 0 else ""
    return ", ".join(signed[:LISTED]) + more


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
    for one in known:
        slips = _slips(name.lower(), one.lower())
        most = 2 if max(len(name), len(one)) >= 8 else 1
        if _words(name) == _words(one) or (slips is not None and slips <= most):
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
    ranked: dict[int, list[str]] = {}
    for one in dict.fromkeys(known):
        rank = _rank(name, one)
        if rank is not None:
            ranked.setdefault(rank, []).append(one)
    best = ranked[min(ranked)] if ranked else []
    return sorted(best) if len(best) <= _OFFERED else []


def _rank(name: str, known: str) -> int | None:
    """Return the distance of two names; None if they are not similar."""
    if name.lower() == known.lower():
        return 0
    words, others = _words(name), _words(known)
    if words and words == others:
        return 1
    slips = _slips(name.lower(), known.lower())
    if slips is not None:
        return 1 + slips
    shared = words & others
    if shared in (words, others) and any(len(word) > 2 for word in shared):
        return 4
    short, long = sorted((name.lower(), known.lower()), key=len)
    least = 3 if short == name.lower() else 4
    return 5 if len(short) >= least and long.startswith(short) else None


def _words(name: str) -> frozenset[str]:
    """Return the words of a name in lower case, without the `s` of a plural."""
    words = (word.lower() for word in _WORDS.findall(name))
    return frozenset(word.removesuffix("s") if len(word) > 3 else word for word in words)


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
