"""Texts of servers as they are printed: no control characters, no changes of direction."""

from __future__ import annotations

import unicodedata

_LONGEST = 400


def visible(text: str, most: int = _LONGEST) -> str:
    """Return a text on one line in which everything invisible is spelt out, cut after `most`.

    >>> visible("\\x1b[2Jread\\u202e me\\n")
    '\\\\x1b[2Jread\\\\u202e me\\\\n'
    """
    cut = text if len(text) <= most else text[:most] + "…"
    return "".join(one if _is_shown(one) else _escaped(one) for one in cut)


def one_line(text: str) -> str:
    """Return a text with its line breaks and runs of blanks as single blanks, as `visible` does.

    >>> one_line("no such file:\\n  a.txt")
    'no such file: a.txt'
    """
    return visible(" ".join(text.split()))


def _is_shown(character: str) -> bool:
    return character == " " or unicodedata.category(character)[0] in "LMNPS"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
