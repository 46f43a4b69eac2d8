"""The only canonical spelling of a number, from any decimal spelling of it."""

from __future__ import annotations

import re

_NUMBER = re.compile(
    r"(?P<sign>[+-]?)"
    r"(?:(?P<whole>[0-9]+|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.(?P<part>[0-9]*))?|\.(?P<only>[0-9]+))"
    r"(?:[eE](?P<exponent>[+-]?[0-9]{1,9}))?\Z"
)
_WRITTEN_OUT = 40  # most zeros of a number that is written without an exponent


def number_text(text: str) -> str | None:
    """Return a number in its canonical spelling; None for what is no number.

    Exact, however long. Commas are read where they group a whole number by thousands, and nowhere
    else.

    >>> [number_text(one) for one in ("1.0", "-0", "1,234.50", "+.5", "1e3", "1e99", "2E-3")]
    ['1', '0', '1234.5', '0.5', '1000', '1e99', '0.002']
    >>> [number_text(one) for one in ("3,14", "1,23,456", "0,123", "1_000", "5 %", "nan", "")]
    [None, None, None, None, None, None, None]
    """
    found = _NUMBER.match(text)
    if found is None:
        return None
    whole = (found["whole"] or "").replace(",", "")
    part = found["part"] or found["only"] or ""
    digits = (whole + part).lstrip("0")
    kept = digits.rstrip("0")
    if not kept:
        return "0"
    exponent = int(found["exponent"] or 0) - len(part) + len(digits) - len(kept)
    return ("-" if found["sign"] == "-" else "") + _written(kept, exponent)


def _written(digits: str, exponent: int) -> str:
    """Return ``digits`` times ten to the power of an exponent; no digit at the ends is 0."""
    point = len(digits) + exponent  # digits before the point
    if 0 <= exponent <= _WRITTEN_OUT:
        return digits + "0" * exponent
    if 0 < point < len(digits):
        return f"{digits[:point]}.{digits[point:]}"
    if -_WRITTEN_OUT <= point <= 0:
        return f"0.{'0' * -point}{digits}"
    return f"{digits}e{exponent}"
