"""Replies of which only one is left, before the model has said the whole of it."""

from __future__ import annotations

from collections.abc import Iterable

_PUNCTUATION = "{}[]:,"  # blanks may stand before and after each of these


def completed(text: str, choices: Iterable[str]) -> str | None:
    """Return the whole reply, once only one of the choices can come of its beginning.

    Else None. `choices` are as a request has them: JSON without blanks, and without a quote or an
    escape inside a text.

    >>> completed('"p', ['"pos"', '"neg"']), completed('"', ['"pos"', '"neg"'])
    ('"pos"', None)
    >>> completed('{ "ok": t', ['{"ok":true}', '{"ok":false}'])
    '{ "ok": true}'
    """
    said = _without_blanks(text)
    left = [one for one in choices if one.startswith(said)]
    return text + left[0][len(said) :] if len(left) == 1 else None


def longest_rest(text: str, whole: str, blanks: int) -> int:
    """Return how many tokens a model needs at most to say the rest of a reply, and that it ends.

    A token is a character at least. `blanks` is how many of them it puts in one place at most.

    >>> longest_rest('"p', '"pos"', 2), longest_rest('{"ok":t', '{"ok":true}', 2)
    (4, 9)
    """
    rest = whole[len(text) :]
    places = sum(rest.count(one) for one in _PUNCTUATION)
    return len(rest) + 2 * blanks * places + 1


def _without_blanks(text: str) -> str:
    parts = text.split('"')  # those at odd positions are inside quotes
    return '"'.join(one if at % 2 else "".join(one.split()) for at, one in enumerate(parts))
