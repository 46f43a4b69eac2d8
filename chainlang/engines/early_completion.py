"""Early completion of a reply whose beginning allows a single choice."""

from __future__ import annotations

from collections.abc import Iterable

_PUNCTUATION = "{}[]:,"  # JSON allows blanks before and after each of these


def completed(text: str, choices: Iterable[str]) -> str | None:
    """Return the whole reply if its beginning, `text`, allows exactly one choice; else None.

    `choices` are those of a `Request`: JSON without blanks, and without quotes or escapes in its
    strings.

    >>> completed('"p', ['"pos"', '"neg"']), completed('"', ['"pos"', '"neg"'])
    ('"pos"', None)
    >>> completed('{ "ok": t', ['{"ok":true}', '{"ok":false}'])
    '{ "ok": true}'
    """
    prefix = _without_blanks(text)
    possible = [choice for choice in choices if choice.startswith(prefix)]
    return text + possible[0][len(prefix) :] if len(possible) == 1 else None


def longest_rest(text: str, whole: str, blanks: int) -> int:
    """Return the maximum number of tokens for the rest of a reply and its end token.

    `text` is the beginning of `whole`; `blanks` is the maximum number of blanks in one place. A
    token is at least one character.

    >>> longest_rest('"p', '"pos"', 2), longest_rest('{"ok":t', '{"ok":true}', 2)
    (4, 9)
    """
    rest = whole[len(text) :]
    places = sum(rest.count(sign) for sign in _PUNCTUATION)
    return len(rest) + 2 * blanks * places + 1


def _without_blanks(text: str) -> str:
    parts = text.split('"')  # those at odd positions are inside quotes
    return '"'.join(part if at % 2 else "".join(part.split()) for at, part in enumerate(parts))
