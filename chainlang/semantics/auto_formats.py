"""Formats of the values that a model decides: what is known of them, and what a model says."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from chainlang.datatypes.check_types import type_faults
from chainlang.errors import ChainlangError
from chainlang.ir.auto import Auto
from chainlang.ir.declarations import Constant, OneOf, Op, Shape, Type, TypeName
from chainlang.ir.row_settings import MOST_TOKENS
from chainlang.notation import parse_file
from chainlang.notation.literals import print_number, print_string

TEXT, LIST = "str(1..500)", "list[str(1..100)](1..12)"
"""Types of free texts and of lists of them: bounded, so that each value ends."""
_FIELD = "value"
_OPTIONS = 40
_LARGEST = 10**9
_KNOWN: Mapping[str, str] = {
    "accept": "bool",
    "backoff": "float(0..60)",
    "frequency_penalty": "float(-2..2)",
    "max": "int(1..10)",
    "max_tokens": f"int(1..{MOST_TOKENS})",
    "min_p": "float(0..1)",
    "over": LIST,
    "presence_penalty": "float(-2..2)",
    "seconds": "float(1..3600)",
    "temperature": "float(0..2)",
    "times": "int(1..10)",
    "top_k": "int(1..100)",
    "top_p": "float(0.01..1)",
    "until": "bool",
}
"""Types of the options whose values have a range that is known."""
_ASKED = re.compile(r"\b(?:choose|select|pick|one of|either|style|format|options?)\b", re.I)
_BETWEEN = re.compile(r"\s*,\s*(?:or\s+|and\s+)?|\s+or\s+", re.I)
_ARTICLE = re.compile(r"(?:either|an?|the)\s+", re.I)


def of_words(words: str) -> tuple[str, ...]:
    """Return the options that words list after a colon; none if they list no options.

    >>> of_words("Choose writing style: academic, business, or general")
    ('academic', 'business', 'general')
    >>> of_words("Determine the best approach"), of_words("Note: this is hard")
    ((), ())
    """
    before, colon, after = words.strip().rstrip(".").rpartition(":")
    if not colon or not _ASKED.search(before):
        return ()
    found = [_ARTICLE.sub("", one.strip(), count=1) for one in _BETWEEN.split(after)]
    is_list = len(found) > 1 and all(0 < len(one) <= _OPTIONS for one in found)
    return tuple(dict.fromkeys(found)) if is_list else ()


def choice(options: tuple[str, ...]) -> str:
    """Return the type of one of some texts.

    >>> choice(("a", "b"))
    '"a" | "b"'
    """
    return " | ".join(map(print_string, options))


def type_of_option(name: str) -> str | None:
    """Return the type of the value of an option; None if it is not known by its name."""
    return _KNOWN.get(name)


def type_of_format(said: Mapping[str, Any]) -> str:
    """Return the type of a format that a model has chosen.

    >>> type_of_format({"kind": "int", "options": [], "low": 1, "high": 5})
    'int(1..5)'
    >>> type_of_format({"kind": "choice", "options": ["a", "b", "a"], "low": None, "high": None})
    '"a" | "b"'
    """
    kind = said["kind"]
    if kind == "choice":
        options = tuple(dict.fromkeys(one.strip() for one in said["options"] if one.strip()))
        return choice(options) if len(options) > 1 else TEXT
    if kind in ("int", "float"):
        low, high = (_bound(said.get(end), kind) for end in ("low", "high"))
        if low is not None and high is not None and low < high:
            return f"{kind}({print_number(low)}..{print_number(high)})"
        return f"{kind}({-_LARGEST}..{_LARGEST})"
    return {"bool": "bool", "list": LIST}.get(kind, TEXT)


def _bound(value: Any, kind: str) -> int | float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    if abs(value) > _LARGEST:
        return None
    return round(value) if kind == "int" else round(float(value), 6)


@lru_cache(maxsize=256)
def op_of(name: str, returns: str, user: str) -> Op | None:
    """Return the op whose reply is a value of a type, given as text; None if it is no type."""
    text = f"op {name} : generate -> {{ {_FIELD}: {returns} }} {{ user = {print_string(user)} "
    try:
        items = parse_file(f'{text} answer = "{_FIELD}" temperature = 0 }}').node.items
    except ChainlangError:
        return None
    if len(items) != 1 or not isinstance(op := items[0], Op) or not isinstance(op.returns, Shape):
        return None
    return op if len(op.returns.fields) == 1 else None


def declared_type(text: str) -> Type | None:
    """Return a type that is given as text; None if it is none, or names another one."""
    op = op_of("value", text, "x")
    if op is None or not isinstance(op.returns, Shape):
        return None
    return None if any(type_faults(op.returns, {})) else op.returns.fields[0].type


def only_value(text: str) -> tuple[bool, Any]:
    """Return whether a type has a single value, and that value.

    >>> only_value('"a"'), only_value("int(3..3)"), only_value("bool")
    ((True, 'a'), (True, 3), (False, None))
    """
    found = declared_type(text)
    if isinstance(found, Constant):
        return True, found.value
    is_number = isinstance(found, TypeName) and found.name in ("int", "float")
    if is_number and isinstance(found, TypeName) and found.low == found.high is not None:
        return True, found.low
    return False, None


def example_of(text: str | None) -> Any:
    """Return a value of a type, for plans and prices before it is decided; the largest number."""
    found = None if text is None else declared_type(text)
    if isinstance(found, OneOf) and isinstance(first := found.options[0], Constant):
        return first.value
    if isinstance(found, Constant):
        return found.value
    if isinstance(found, TypeName) and found.name in ("int", "float"):
        return found.high if found.high is not None else found.low or 1
    if isinstance(found, TypeName) and found.name == "bool":
        return True
    return "..." if text != LIST else ["..."]


def type_of(auto: Auto, known: str | None = None) -> str | None:
    """Return the type of a value to be decided, where no model has to choose a format."""
    if auto.type is not None or known is not None:
        return auto.type or known
    options = of_words(auto.words)
    return choice(options) if options else None
