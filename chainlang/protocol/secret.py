"""Secrets as values: a text whose `repr` does not show it, and its removal from other texts."""

from __future__ import annotations

import re
from functools import cache

_BETWEEN = r"(?:\s|\\{1,4}[nrt])*"
"""Line breaks and blanks that a text was wrapped with, as they are or escaped."""


class Secret(str):
    """A text that tracebacks with local variables, logs and debuggers show as stars.

    >>> Secret("sk-1"), Secret("sk-1") == "sk-1"
    ('**********', True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'**********'"


def without(secret: str, text: str) -> str:
    """Return a text without a secret, however it is encoded.

    As JSON, in a URL, in HTML, or wrapped over several lines.

    >>> without("sk/1+2", 'not sk/1+2, "sk\\\\/1\\\\u002b2", sk%2F1%2b2, sk&#47;1+2')
    'not [API key], "[API key]", [API key], [API key]'
    """
    return _pattern(secret).sub("[API key]", text) if secret else text


@cache
def _pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret; each repetition in it is bounded, so it is linear."""
    return re.compile(_BETWEEN.join(map(_spelled, secret)))


def _spelled(char: str) -> str:
    code = ord(char)
    digits = "".join(f"[{one}{one.upper()}]" if one.isalpha() else one for one in f"{code:02x}")
    spellings = (
        rf"\\{{0,4}}{re.escape(char)}",
        rf"\\{{1,4}}u00{digits}",
        rf"%(?:25){{0,3}}{digits}",
        rf"&#(?:{code}|[xX]{digits});",
    )
    return f"(?:{'|'.join(spellings)})"
