"""Settings of a `model` item that say something about it: its price, and facts for choosing it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainlang.ir.nodes import Table
from chainlang.ir.rules import Rule
from chainlang.ir.tables import plain

PRICE, FACTS = "price", "facts"
NUMBERS = ("context", "output", "accuracy", "latency", "memory_gb", "gpu_memory_gb", "cpu_cores")
"""Facts that are numbers: tokens of the context and of the longest reply, accuracy from 0 to 1,
seconds until half of the replies are there, and what the model needs of the machine."""
TRUTHS = ("structured_output", "tool_call", "reasoning", "images")
"""Facts that are true or false."""
LISTS = ("tasks", "languages")
"""Facts that are lists of texts."""
NAMES = (*NUMBERS, *TRUTHS, *LISTS)


def _price(value: object) -> object:
    if value == "none":
        return value
    given = _entries(value)
    by_token = {"input", "output"} <= given.keys() <= {"input", "output", "cached"}
    if not (by_token or set(given) == {"gpu_hour"}) or not all(map(_is_number, given.values())):
        raise ValueError(value)
    return value


def _facts(value: object) -> object:
    for name, one in _entries(value).items():
        if name in NUMBERS:
            fits = _is_number(one) and (name != "accuracy" or one <= 1)
        elif name in TRUTHS:
            fits = isinstance(one, bool)
        else:
            is_list = name in LISTS and isinstance(one, list)
            fits = is_list and {str}.issuperset(map(type, one))
        if not fits:
            raise ValueError(value)
    return value


def _entries(value: object) -> dict[str, Any]:
    if not isinstance(value, Table):
        raise ValueError(value)
    found: dict[str, Any] = plain(value)
    return found


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return math.isfinite(value) and value >= 0


RULES: Mapping[str, Rule] = {
    PRICE: Rule(
        'dollars for a million tokens, {"input": 2.5, "output": 10, "cached": 1.25}, for an hour '
        'of the engine, {"gpu_hour": 2.1}, or "none"',
        _price,
        takes_text=True,
    ),
    FACTS: Rule(
        f'a table of facts, {{"accuracy": 0.9, "structured_output": true}}, of {", ".join(NAMES)}',
        _facts,
    ),
}
