"""Values that a model decides: the text that stands for one in a chain until it is decided.

``auto("How deep?", "int(1..5)")`` in a chain, and ``<AUTO type="int(1..5)">How deep?</AUTO>`` in
a text, are the same value.
"""

from __future__ import annotations

import re

from attrs import frozen

_TAG = re.compile(r'<AUTO(?: type="([^"<>]*)")?>([^<>]*)</AUTO>\Z')
_WRITTEN = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}
_READ = {sign: char for char, sign in _WRITTEN.items()}
_SIGN = re.compile("|".join(_READ))
AUTO = "auto"
"""The call that makes one in the notation."""


@frozen
class Auto:
    """A value that a model decides: what is to be decided in words, and its type as text."""

    words: str
    type: str | None = None
    """None if its type follows from what it is a value of, or is to be decided, too."""

    @property
    def reads_row(self) -> bool:
        """Whether the words are a template, so that each row has a value of its own."""
        return "{{" in self.words or "{%" in self.words


def auto_text(words: str, returns: str | None = None) -> str:
    """Return the text that stands for a value to be decided.

    >>> auto_text("more than <3>?", "bool")
    '<AUTO type="bool">more than &lt;3&gt;?</AUTO>'
    """
    given = "" if returns is None else f' type="{_escaped(returns)}"'
    return f"<AUTO{given}>{_escaped(words)}</AUTO>"


def auto_of(value: object) -> Auto | None:
    """Return the value to be decided that a text stands for; None for any other value.

    >>> auto_of(auto_text("a & b", '"x" | "y"'))
    Auto(words='a & b', type='"x" | "y"')
    """
    if not isinstance(value, str) or not value.startswith("<AUTO"):
        return None
    found = _TAG.match(value)
    if found is None or not found[2].strip():
        return None
    return Auto(_plain(found[2]), None if found[1] is None else _plain(found[1]))


def is_auto(value: object) -> bool:
    """Return whether a value is one that a model decides."""
    return auto_of(value) is not None


def _escaped(text: str) -> str:
    return "".join(_WRITTEN.get(char, char) for char in text)


def _plain(text: str) -> str:
    return _SIGN.sub(lambda match: _READ[match[0]], text)
