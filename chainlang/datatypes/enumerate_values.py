"""Enumeration of all replies of a type that has few values."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import TypeAlias, assert_never

from chainlang.datatypes.check_types import Declared
from chainlang.ir import declarations

MOST = 100
"""Maximum number of replies, because engines compare all of them after each token."""


class _Unbounded(Exception):
    """A type has too many values, or values that can be written in several ways."""


def replies(
    node: declarations.Type, types: Mapping[str, Declared] | None = None
) -> tuple[str, ...]:
    """Return every reply of a type, as JSON without blanks; empty if they can't be enumerated.

    That is so if there are more than `MOST`, or if a value can be written in several ways: a string
    with a quote, a slash or a character beyond ASCII, a negative number, a fraction.

    >>> replies(declarations.OneOf((declarations.Constant("pos"), declarations.Constant("neg"))))
    ('"pos"', '"neg"')
    >>> replies(declarations.Shape((declarations.Field("ok", declarations.TypeName("bool")),)))
    ('{"ok":true}', '{"ok":false}')
    >>> replies(declarations.TypeName("str"))
    ()
    """
    return _all(node, types, _plain)


def values(node: declarations.Type, types: Mapping[str, Declared] | None = None) -> tuple[str, ...]:
    """Return one reply for each value of a type, as JSON without blanks; empty if there are many.

    >>> values(declarations.OneOf((declarations.Constant('a "b"'), declarations.Constant(0.5))))
    ('"a \\\\"b\\\\""', '0.5')
    """
    return _all(node, types, json.dumps)


_Spell: TypeAlias = Callable[[object], str]


def _all(
    node: declarations.Type, types: Mapping[str, Declared] | None, spell: _Spell
) -> tuple[str, ...]:
    try:
        return _few(_texts(node, types or {}, frozenset(), spell))
    except _Unbounded:
        return ()


def _texts(
    node: declarations.Type,
    types: Mapping[str, Declared],
    inside: frozenset[str],
    spell: _Spell,
) -> Iterator[str]:
    """Yield the values of a type as text; `inside` are the enclosing named types."""
    match node:
        case declarations.TypeName("bool"):
            yield from ("true", "false")
        case declarations.TypeName("int", low, high) if (
            low is not None and high is not None and low >= 0
        ):
            yield from (str(number) for number in range(int(low), int(high) + 1))
        case declarations.TypeName(name) if name in types and name not in inside:
            declared = types[name]
            if isinstance(declared, declarations.PythonType):
                raise _Unbounded
            yield from _texts(declared.type, types, inside | {name}, spell)
        case declarations.Constant(value):
            yield spell(value)
        case declarations.Maybe(item):
            yield from _texts(item, types, inside, spell)
            yield "null"
        case declarations.OneOf(options):
            for one in options:
                yield from _texts(one, types, inside, spell)
        case declarations.Shape(fields):
            names = [spell(one.name) for one in fields]
            kinds = [one.type for one in fields if one.type is not None]
            each = [_few(_texts(kind, types, inside, spell)) for kind in kinds]
            for found in product(*each):
                parts = (f"{name}:{value}" for name, value in zip(names, found, strict=True))
                yield f"{{{','.join(parts)}}}"
        case (
            declarations.TypeName()
            | declarations.RowChoice()
            | declarations.ListOf()
            | declarations.DictOf()
        ):
            raise _Unbounded
        case _:
            assert_never(node)


def _few(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for text in texts:
        found[text] = None
        if len(found) > MOST:
            raise _Unbounded
    return tuple(found)


def _plain(value: object) -> str:
    """Return a constant as JSON. Raises `_Unbounded` if it can be written in several ways."""
    text = json.dumps(value)
    inside = text[1:-1] if isinstance(value, str) else text
    if isinstance(value, float) or text.startswith("-"):
        raise _Unbounded
    if set(inside) & set('"\\/') or not inside.isprintable():
        raise _Unbounded
    return text
