"""Values in templates, and their text in a prompt.

A string is inserted as it is, any other value as JSON. A value without JSON, such as a function, is
an error, because Python's text of it is a memory address, which differs between processes.
"""

from __future__ import annotations

import json
import math
from collections.abc import ItemsView, Iterator, KeysView, Mapping, ValuesView
from inspect import isroutine
from typing import Any

REASONING = "reasoning"
"""Name of the reasoning of a candidate, which only those templates have that read it."""


class View:
    """Named values in a template: ``view.name``, and nothing else.

    It is not a mapping, because methods would hide fields named ``items`` or ``values``.
    `reasoning` is read by that name, unless a value has it, and is no part of the whole.

    >>> from chainlang.semantics.prompts import render
    >>> part = View({"items": 3}, reasoning="so")
    >>> render("{{ part.items }}, {{ part.reasoning }}, {{ part }}", {"part": part})
    '3, so, {"items": 3}'
    """

    __slots__ = ("_reasoning", "_values")

    def __init__(self, values: Mapping[str, Any], reasoning: str | None = None) -> None:
        self._values = values
        self._reasoning = reasoning

    def __getitem__(self, name: str) -> Any:
        if name == REASONING and self._reasoning is not None and name not in self._values:
            return self._reasoning
        return self._values[name]

    def get(self, name: str) -> Any:
        """Return a value; None for a missing one."""
        if name == REASONING and name not in self._values:
            return self._reasoning
        return self._values.get(name)

    def __repr__(self) -> str:
        return as_text(self)

    def names(self) -> tuple[str, ...]:
        """Return its names."""
        return tuple(self._values)

    def values(self) -> tuple[Any, ...]:
        """Return its values, in the order of its names."""
        return tuple(self._values.values())

    def plain(self) -> dict[str, Any]:
        """Return its values as JSON values."""
        return {name: plain(one) for name, one in self._values.items()}


def plain(value: Any) -> Any:
    """Convert the value of an expression to a JSON value.

    Raises `TypeError` or `ValueError` for a value without JSON: a function, an infinite number.

    >>> plain([View({"answer": "42"}), (1, 2)])
    [{'answer': '42'}, [1, 2]]
    """
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, View):
        return value.plain()
    if isinstance(value, dict):
        return {_key(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple, *_MANY)):
        return [plain(one) for one in value]
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, float):
        raise ValueError(f"{value} is no number of JSON")
    raise _no_json(value)


def _key(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a field is named by a text, and {name!r} is none")
    return name


def as_text(value: Any) -> str:
    """Return the text of a value in a prompt. Raises `TypeError` for a value without JSON.

    >>> as_text("42"), as_text(["42", None]), as_text(View({"answer": "42"}))
    ('42', '["42", null]', '{"answer": "42"}')
    """
    if isinstance(value, str):
        return value
    if type(value) is int:  # fast path for loop counters
        return str(value)
    if isinstance(value, _AS_JSON):
        return as_json(value)
    if isroutine(value) or isinstance(value, type):
        raise TypeError(f"{value.__name__} is a function, which can't be shown")
    if _is_namespace(value):
        raise _no_json(value)
    return str(value)  # jinja's own values, such as `loop`; an undefined name raises its error


def as_json(value: Any) -> str:
    """Return a value as JSON. Raises `TypeError` for a value without JSON.

    >>> as_json("42"), as_json(iter([1, 2]))
    ('"42"', '[1, 2]')
    """
    return _ENCODER.encode(value)


def in_short(value: Any, most: int = 60) -> str:
    """Return the beginning of a value as JSON, for a message."""
    text = as_json(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _default(value: Any) -> Any:
    if isinstance(value, View):
        return value.plain()
    if isinstance(value, _MANY):
        return list(value)
    raise _no_json(value)


def _no_json(value: Any) -> TypeError:
    if not _is_namespace(value):
        str(value)  # an undefined name raises its own error
    return TypeError(f"a {type(value).__name__} has no JSON")


def _is_namespace(value: Any) -> bool:
    """Return whether a value is a `namespace`, whose text is as long as all that it leads to."""
    return type(value).__name__ == "Namespace"


_MANY = (Iterator, ItemsView, KeysView, ValuesView, range)
_AS_JSON = (bool, int, float, list, tuple, dict, type(None), View, *_MANY)
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=_default)  # faster than `json.dumps`
