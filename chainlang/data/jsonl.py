"""JSON lines: one object a line. What JSON leaves open is closed here."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from chainlang.data.lines import read_lines, refuse
from chainlang.data.read_progress import Extent
from chainlang.data.row import DEEPEST, LARGEST_LINE, BadRow, Row, Unreadable
from chainlang.diagnostics.render import article, shown

_AT = re.compile("( starting)? at$")  # how some of Python's messages end
_KINDS = {list: "list", str: "text", bool: "truth", type(None): "null", int: "number"}


def read_jsonl(
    path: Path,
    *,
    line_bytes: int = LARGEST_LINE,
    depth: int = DEEPEST,
    extent: Extent | None = None,
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file of JSON lines. Empty lines are skipped, and counted.

    Raises `SourceError` if there is no row in it, not even a bad one.
    """
    none = True
    for line in read_lines(path, line_bytes, extent):
        if line.fault is not None:
            yield BadRow(line.number, line.fault)
        elif not line.text or line.text.isspace():
            continue
        else:
            try:
                yield Row(line.number, read_object(line.text, depth))
            except Unreadable as error:
                yield BadRow(line.number, str(error))
        none = False
    if none:
        refuse(path, "this file is empty", "write one JSON object on each line")


def read_object(text: str, depth: int = DEEPEST) -> dict[str, Any]:
    """Return the object that a line holds.

    Raises `Unreadable` for what is not JSON, not an object, or what readers of JSON disagree
    about: a name that stands twice, NaN, and numbers that are too large to hold.

    >>> read_object('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    chainlang.data.row.Unreadable: the name 'a' stands twice in one object
    """
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        what = _AT.sub("", error.msg[:1].lower() + error.msg[1:])
        raise Unreadable(f"not JSON: {what} at column {error.colno}") from error
    except RecursionError as error:
        raise Unreadable(_too_deep(depth)) from error
    except Unreadable:
        raise
    except ValueError as error:  # Python reads no integer of more digits
        raise Unreadable("a number of more than 4,300 digits") from error
    if not isinstance(value, dict):
        kind = article(_KINDS.get(type(value), "number"))
        raise Unreadable(f"{kind} is no row: each line is one JSON object")
    if text.count("{") + text.count("[") > depth and _deeper(value, depth):
        raise Unreadable(_too_deep(depth))
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise Unreadable(f"the name {shown(twice)} stands twice in one object")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Unreadable(f"the number {shown(text)[1:-1]} is too large")
    return value


def _no_constant(text: str) -> NoReturn:
    raise Unreadable(f"{text} is not JSON: write null where a number is missing")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)


def _deeper(value: object, depth: int) -> bool:
    """Return whether lists and objects nest deeper than that. Level by level, not by recursion."""
    level: list[Any] = [value]
    for _ in range(depth):
        inner: list[Any] = []
        for outer in level:
            inner += outer.values() if isinstance(outer, dict) else outer
        level = [one for one in inner if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _too_deep(depth: int) -> str:
    return f"nested more than {depth} deep, which is the limit"
