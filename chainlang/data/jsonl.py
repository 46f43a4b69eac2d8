"""Reader of JSON Lines: one object on each line. It is strict where JSON parsers differ."""

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

_AT = re.compile("( starting)? at$")  # end of some of Python's messages
_KINDS = {list: "list", str: "string", bool: "boolean", type(None): "null", int: "number"}


def read_jsonl(
    path: Path,
    *,
    line_bytes: int = LARGEST_LINE,
    depth: int = DEEPEST,
    extent: Extent | None = None,
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file. Empty lines are skipped, but count as lines.

    Raises `SourceError` if all lines are empty.
    """
    none = True
    for line in read_lines(path, line_bytes, extent):
        if line.error is not None:
            yield BadRow(line.number, line.error)
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
    """Parse the object of one line.

    Raises `Unreadable` for text that is not a JSON object, and for what JSON parsers treat
    differently: duplicate names, NaN, and numbers that are too large.

    >>> read_object('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    chainlang.data.row.Unreadable: the object has the name 'a' twice
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
    except ValueError as error:  # the longest integer that Python parses
        raise Unreadable("a number of more than 4,300 digits") from error
    if not isinstance(value, dict):
        kind = article(_KINDS.get(type(value), "number"))
        raise Unreadable(f"{kind} is not a row: each line is one JSON object")
    if text.count("{") + text.count("[") > depth and _deeper(value, depth):
        raise Unreadable(_too_deep(depth))
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise Unreadable(f"the object has the name {shown(twice)} twice")
    return fields


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise Unreadable(f"the number {shown(text)[1:-1]} is too large")
    return value


def _no_constant(text: str) -> NoReturn:
    raise Unreadable(f"{text} is not JSON: write null for a missing number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)


def _deeper(value: object, depth: int) -> bool:
    """Return whether lists and objects nest deeper than `depth`, without recursion."""
    level: list[Any] = [value]
    for _ in range(depth):
        inner: list[Any] = []
        for outer in level:
            inner += outer.values() if isinstance(outer, dict) else outer
        level = [value for value in inner if isinstance(value, dict | list)]
        if not level:
            return False
    return True


def _too_deep(depth: int) -> str:
    return f"nested more than {depth} deep, which is the limit"
