"""JSON encoders that are made once, and not for each call as those of `json.dumps` are."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def encoder(*, ascii_only: bool, nan: bool) -> Callable[[Any], str]:
    """Return a function with the results of `json.dumps`, and without its check for circles.

    With `nan`, numbers that are none are written as JavaScript does; else they are a `ValueError`.
    A circle is a `RecursionError`.

    >>> encoder(ascii_only=True, nan=True)({"text": "\\u00e9", "score": 0.5, "none": [None, True]})
    '{"text": "\\\\u00e9", "score": 0.5, "none": [null, true]}'
    """
    whole = json.JSONEncoder(ensure_ascii=ascii_only, allow_nan=nan)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:  # a Python without the module in C
        return whole.encode
    text = json.encoder.encode_basestring_ascii if ascii_only else json.encoder.encode_basestring
    chunks = make(None, whole.default, text, None, ": ", ", ", False, False, nan)

    def encode(value: Any) -> str:
        return "".join(chunks(value, 0))

    return encode
