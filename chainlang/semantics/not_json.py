"""Values of a row that JSON can't hold: kept as they are, and an error where something reads them.

A prompt, a condition or a function that reads such a value fails with its reason; a row in which
nothing reads it does not, and tables leave it out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from chainlang.semantics.events import Event


class NotJson:
    """A value that JSON can't hold. Whatever is done with it raises `TypeError` with the reason.

    >>> len(NotJson("photo: bytes are not a JSON value"))
    Traceback (most recent call last):
        ...
    TypeError: photo: bytes are not a JSON value
    """

    __slots__ = ("_reason", "_value")

    def __init__(self, reason: str, value: object = None) -> None:
        self._reason = reason
        self._value = value

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NotJson):
            return self._reason == other._reason
        return self._read()

    def __hash__(self) -> int:
        return hash(self._reason)

    def __repr__(self) -> str:
        return f"<{self._reason}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked for by copying, among others
            raise AttributeError(name)
        self._read()

    def _read(self, *_: object) -> NoReturn:
        raise TypeError(self._reason)

    __str__ = __bool__ = __len__ = __iter__ = __contains__ = __getitem__ = _read
    __lt__ = __le__ = __gt__ = __ge__ = __int__ = __float__ = __add__ = __radd__ = _read


def reason(value: NotJson) -> str:
    """Return why JSON can't hold a value."""
    return value._reason


def original(value: Any) -> Any:
    """Return a value as it stood in its source.

    >>> original(NotJson("bytes are not a JSON value", b"a")), original("b")
    (b'a', 'b')
    """
    return value._value if isinstance(value, NotJson) else value


def json_only(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return fields without the values that JSON can't hold, at any depth.

    >>> json_only({"text": "a", "by": {"name": "b", "photo": NotJson("bytes")}})
    {'text': 'a', 'by': {'name': 'b'}}
    """
    return _without(fields) if left_out(fields) else fields


def left_out(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the fields that have, or are, values that JSON can't hold."""
    names = [name for name, one in fields.items() if type(one) not in _ATOMS and _has_any(one)]
    return tuple(names)


_ATOMS = frozenset({str, int, float, bool, type(None)})
"""Types of values that are JSON, and hold no other values."""


def omissions(names: Iterable[str]) -> tuple[Event, ...]:
    """Return an event for each field that tables leave out."""
    return tuple(Event("left_out", (), f"JSON can't hold the value of {name!r}") for name in names)


def _has_any(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_any, value.values()))
    if isinstance(value, list):
        return any(map(_has_any, value))
    return isinstance(value, NotJson)


def _without(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without(one) for name, one in value.items() if not isinstance(one, NotJson)}
    if isinstance(value, list):
        return [_without(one) for one in value if not isinstance(one, NotJson)]
    return value
