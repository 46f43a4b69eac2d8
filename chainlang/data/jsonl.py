"""Reader of JSON Lines: one object on each line. It is strict where JSON parsers differ."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from chainlang.data.lines import read_lines
from chainlang.data.passing import Passing
from chainlang.data.read_progress import Extent
from chainlang.data.reading import Reading
from chainlang.data.refusal import refuse
from chainlang.data.row import DEEPEST, BadRow, Row, Unreadable, beginning
from chainlang.diagnostics.render import article, shown
from chainlang.semantics.not_json import NotJson, original, reason

_AT = re.compile("( starting)? at$")  # end of some of Python's messages
_KINDS = {list: "list", str: "string", bool: "boolean", type(None): "null", int: "number"}


def read_jsonl(
    path: Path,
    reading: Reading | None = None,
    extent: Extent | None = None,
    passing: Passing | None = None,
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file, behind those that are passed, and mark how far they are read.

    Empty lines are skipped, but count as lines. Raises `SourceError` if all lines are empty.
    """
    reading, marks = reading or Reading(), None if extent is None else extent.marks
    none, file = passing is None, str(path)
    for line in read_lines(path, reading.line_bytes, extent, reading.encoding, passing):
        if line.error is not None:
            marks = None  # behind a row that can't be read there is none
            yield BadRow(line.number, line.error, text=beginning(line.text), file=file)
        elif not line.text or line.text.isspace():
            continue
        else:
            try:
                row = Row(line.number, read_object(line.text, reading.depth), file=file)
                if marks is not None:
                    marks.row(line.number)
                yield row
            except Unreadable as error:
                marks = None
                yield BadRow(line.number, str(error), text=beginning(line.text), file=file)
        none = False
    if none:
        refuse(path, "this file is empty", "write one JSON object on each line")


def read_object(text: str, depth: int = DEEPEST) -> dict[str, Any]:
    """Parse the object of one line.

    NaN, infinite numbers, values that are nested too deep, and objects with duplicate names, which
    JSON parsers read in different ways, become `NotJson`. Raises `Unreadable` for text that is not
    a JSON object, and for duplicate names of the object itself.

    >>> read_object('{"a": 1, "a": 2}')
    Traceback (most recent call last):
        ...
    chainlang.data.row.Unreadable: the object has the name 'a' twice
    """
    try:
        value = _decoded(text)
    except json.JSONDecodeError as error:
        what = _AT.sub("", error.msg[:1].lower() + error.msg[1:])
        raise Unreadable(f"not JSON: {what} at column {error.colno}") from error
    except RecursionError as error:
        raise Unreadable(_too_deep(depth)) from error
    if isinstance(value, NotJson):
        raise Unreadable(reason(value))
    if not isinstance(value, dict):
        kind = article(_KINDS.get(type(value), "number"))
        raise Unreadable(f"{kind} is not a row: each line is one JSON object")
    may_be_deep = len(text) > depth and text.count("{") + text.count("[") > depth
    if may_be_deep or NotJson in map(type, value.values()):
        for name, one in value.items():
            if isinstance(one, NotJson):
                value[name] = NotJson(f"{name}: {reason(one)}", original(one))
            elif may_be_deep and _deeper(one, depth - 1):
                value[name] = NotJson(f"{name}: {_too_deep(depth)}", one)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any] | NotJson:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, _ in pairs if counts[name] > 1)
        return NotJson(f"the object has the name {shown(twice)} twice", fields)
    return fields


def _finite(text: str) -> float | NotJson:
    value = float(text)
    if math.isinf(value):
        return NotJson(f"the number {shown(text)[1:-1]} is too large", value)
    return value


def _integer(text: str) -> int | NotJson:
    try:
        return int(text)
    except ValueError:
        return NotJson("a number of more than 4,300 digits", text)


def _constant(text: str) -> NotJson:
    return NotJson(f"{text} is not JSON: write null for a missing number", float(text))


_HOOKS: dict[str, Any] = {
    "object_pairs_hook": _unique,
    "parse_float": _finite,
    "parse_constant": _constant,
}
_DECODER = json.JSONDecoder(**_HOOKS)
_SLOW_DECODER = json.JSONDecoder(**_HOOKS, parse_int=_integer)


def _decoded(text: str) -> Any:
    try:
        if text[:1] == "{":  # as nearly all lines begin; `decode` looks for blanks by two patterns
            value, end = _DECODER.raw_decode(text)
            if end == len(text):
                return value
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer that Python does not parse
        return _SLOW_DECODER.decode(text)


def _deeper(value: object, depth: int) -> bool:
    """Return whether lists and objects nest deeper than `depth`, without recursion."""
    level: list[Any] = [value] if isinstance(value, dict | list) else []
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
