"""Closing of a free text in a typed reply: where it stands in the reply, and what comes after it.

A reply is an object of JSON. A field of text in it that is longer than its budget is cut, closed,
and followed by the next field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

CHARACTERS = 4
"""Characters that a token stands for where only characters can be bounded, as of English text."""
_PARTS = re.compile(r'"(?:[^"\\]|\\.)*+(?:(?P<end>")|\\?\Z)|[{}\[\],]', re.DOTALL)
_CLEAN = re.compile(
    r'"(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[0-9a-fA-F]{4}'
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})*+"
)


def texts(reply: str) -> dict[str, tuple[int, int | None]]:
    """Return the texts among the fields of the beginning of a reply, each with its range.

    A range begins with the opening quote, and ends after the closing one; None for a text that is
    still open. Texts inside a field are left out.

    >>> texts('{"why": "so", "more": {"a": "b"}, "then": "an')
    {'why': (8, 12), 'then': (42, None)}
    """
    found: dict[str, tuple[int, int | None]] = {}
    depth, name = 0, None
    for part in _PARTS.finditer(reply):
        match reply[part.start()]:
            case "{" | "[":
                depth += 1
            case "}" | "]":
                depth -= 1
                if not depth:
                    break
            case ",":
                name = None if depth == 1 else name
            case _ if depth == 1:
                is_open = part["end"] is None
                if name is not None:
                    found[name] = (part.start(), None if is_open else part.end())
                elif not is_open:
                    name = json.loads(part[0])
    return found


def is_clean(reply: str, start: int) -> bool:
    """Return whether a text that is open at the end of a reply can end there.

    It can't within an escape, nor between the two halves of a character.

    >>> is_clean('{"why": "so', 8), is_clean('{"why": "so\\\\', 8), is_clean('{"a": "\\\\ud83d', 6)
    (True, False, False)
    """
    return _CLEAN.fullmatch(reply, start) is not None


@lru_cache(maxsize=1024)
def after(schema: str, name: str) -> str | None:
    """Return the schema of an object with the fields after one; None if there are none.

    Raises `ValueError` if the schema is not that of an object with such a field, all of whose
    fields after it are required.

    >>> after('{"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]}', "a")
    '{"type": "object", "properties": {"b": {}}, "required": ["b"]}'
    """
    document = json.loads(schema)
    whole = _referred(document)
    fields = whole.get("properties", {})
    if name not in fields:
        raise ValueError(f"the schema has no field {name!r} to close")
    names = [*fields]
    later = names[names.index(name) + 1 :]
    if not later:
        return None
    if missing := [one for one in later if one not in whole.get("required", ())]:
        raise ValueError(f"{missing[0]!r}, after {name!r} to close, may be absent")
    rest = {**whole, "properties": {one: fields[one] for one in later}, "required": later}
    defs = document.get("$defs")
    return json.dumps({**rest, "$defs": defs} if defs else rest)


def _referred(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a schema refers to, or itself; {} if that is not there."""
    whole = document
    while "$ref" in whole:
        found = document.get("$defs", {}).get(str(whole["$ref"]).removeprefix("#/$defs/"))
        whole = found if isinstance(found, dict) else {}
    return whole


def effective(budgets: Sequence[tuple[str, int]], most: int, room: int) -> dict[str, int]:
    """Return the budgets of fields where the context leaves less room than `max_tokens`, `most`.

    They are smaller by the same share.

    >>> effective([("reasoning", 768)], 1024, 5000), effective([("reasoning", 768)], 1024, 512)
    ({'reasoning': 768}, {'reasoning': 384})
    """
    if not budgets or room >= most:
        return dict(budgets)
    return {name: max(1, budget * max(room, 1) // most) for name, budget in budgets}


def bounded(schema: str, budgets: Mapping[str, int]) -> str:
    """Return a schema whose fields of text have at most the characters of their budgets.

    >>> bounded('{"properties": {"a": {"type": "string"}}}', {"a": 10})
    '{"properties": {"a": {"type": "string", "maxLength": 40}}}'
    """
    document = json.loads(schema)
    whole = _referred(document)
    for name, budget in budgets.items():
        one = whole["properties"][name]
        for option in one.get("anyOf", [one]):
            if option.get("type") == "string":
                most = CHARACTERS * budget
                option["maxLength"] = min(most, option.get("maxLength", most))
    return json.dumps(document)


def is_full(text: object, budget: int) -> bool:
    """Return whether a text has as many characters as its budget has at most.

    >>> is_full("x" * 40, 10), is_full("x" * 39, 10)
    (True, False)
    """
    return isinstance(text, str) and len(text) >= CHARACTERS * budget
