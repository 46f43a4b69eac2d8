"""Plain scalars of YAML 1.2, core schema: null, booleans, whole numbers and decimals."""

from __future__ import annotations

import re

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_WHOLE = re.compile(r"[-+]?[0-9]{1,4000}\Z")
_DECIMAL = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")


def plain_scalar(text: str) -> str | int | float | bool | None:
    """Return the value of an unquoted scalar.

    ``no``, ``0x10``, ``1_000`` and ``.inf`` are texts.

    >>> [plain_scalar(text) for text in ("yes", "true", "012", "1.0.0", "1e3", "~")]
    ['yes', True, 12, '1.0.0', 1000.0, None]
    """
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.match(text):
        return int(text)
    if _DECIMAL.match(text):
        value = float(text)
        return text if value in (float("inf"), float("-inf")) else value
    return text
