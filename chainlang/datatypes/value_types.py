"""Types of the values that templates and expressions read, and of their fields.

The types are a lattice: `UNKNOWN` is its top, `NEVER`, the type without values, its bottom, and
`either` its join. `TypeValues` converts declared types; the analysis builds the types of candidates
and named parts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import TypeAlias, assert_never

from attrs import define, evolve, field, frozen

from chainlang.datatypes.check_types import Declared
from chainlang.ir import declarations

_MOST = 32  # maximum number of alternatives; beyond, the type is unknown
_DEEPEST = 50  # maximum nesting of types


@frozen
class Unknown:
    """Unknown type."""


@frozen
class Scalar:
    """Type of a value without fields; `what` describes it in messages, as in "a text"."""

    what: str
    value: str | None = None
    """Its only value, as JSON; None if it has several."""

    @property
    def whole(self) -> Scalar:
        """The type of all values of its kind."""
        return self if self.value is None else Scalar(self.what)


@frozen(cache_hash=True)
class Listing:
    """Type of a list."""

    item: ValueType


@frozen(cache_hash=True)
class Fields:
    """Type of a value with fields: an object, a candidate, or a named part."""

    names: tuple[tuple[str, ValueType], ...] = ()
    """Sorted by name, without duplicates."""
    of: str | None = None
    """Stage of the candidate, if it is one."""
    is_open: bool = False
    """Whether it may have other fields, too."""
    is_view: bool = False
    """Whether it has fields only, without an object's methods."""

    def __getitem__(self, name: str) -> ValueType | None:
        return next((kind for one, kind in self.names if one == name), None)

    def with_fields(self, **more: ValueType) -> Fields:
        """Return the type with more fields; a new one replaces an old one."""
        return evolve(self, names=_ordered({**dict(self.names), **more}))


@frozen(cache_hash=True)
class Either:
    """Union of types, flat; the empty union is `NEVER`."""

    options: tuple[Unknown | Scalar | Listing | Fields, ...] = ()


_Option: TypeAlias = Unknown | Scalar | Listing | Fields
ValueType: TypeAlias = _Option | Either

UNKNOWN = Unknown()
NEVER = Either()
TEXT = Scalar("a text")
NUMBER = Scalar("a number")
TRUTH = Scalar("true or false")
NOTHING = Scalar("null")
_FEW = {TRUTH: ("true", "false"), NOTHING: ("null",)}
_NAMED = {
    "str": TEXT, "int": NUMBER, "float": NUMBER, "bool": TRUTH,
    "date": TEXT, "datetime": TEXT, "decimal": TEXT,
}  # fmt: skip


class Presence(Enum):
    """Presence of a field in a value."""

    ALWAYS = "always"
    PERHAPS = "perhaps"
    NEVER = "never"
    UNKNOWN = "unknown"


@frozen
class Found:
    """A field of a value: its presence, its type, and the stages that never set it."""

    presence: Presence
    type: ValueType
    lacking: tuple[str, ...] = ()


def view(names: Mapping[str, ValueType], of: str | None = None) -> Fields:
    """Return the type of a value with these fields and no methods."""
    return Fields(_ordered(names), of, is_view=True)


def options_of(value: ValueType) -> tuple[Unknown | Scalar | Listing | Fields, ...]:
    """Return the alternatives of a type."""
    return value.options if isinstance(value, Either) else (value,)


def either(several: Iterable[ValueType]) -> ValueType:
    """Return the union of several types.

    >>> either([TEXT, TEXT]) == TEXT, either([TEXT, UNKNOWN]), either([]) == NEVER
    (True, Unknown(), True)
    """
    found = tuple(dict.fromkeys(option for one in several for option in options_of(one)))
    if len(found) > _MOST:
        found = tuple(dict.fromkeys(_widened(one) for one in found))
    if len(found) > _MOST or UNKNOWN in found:
        return UNKNOWN
    found = tuple(one for one in found if _widened(one) is one or _widened(one) not in found)
    return found[0] if len(found) == 1 else Either(found)


def _widened(one: _Option) -> _Option:
    return one.whole if isinstance(one, Scalar) else one


def values_of(value: ValueType) -> tuple[str, ...] | None:
    """Return all values of a type, as JSON; None if there is no bound.

    >>> values_of(either([TRUTH, Scalar("a text", '"a"')])), values_of(either([TEXT, NOTHING]))
    (('true', 'false', '"a"'), None)
    """
    found: list[str] = []
    for option in options_of(value):
        match option:
            case Scalar(value=str(only)):
                found.append(only)
            case Scalar() if option in _FEW:
                found += _FEW[option]
            case _:
                return None
    return tuple(found)


@define
class TypeValues:
    """Converter of declared types to types of values, with a cache."""

    known: Mapping[str, Declared] = field(factory=dict)
    _made: dict[str, ValueType] = field(factory=dict, init=False)
    _depth: int = field(default=0, init=False)

    def of(self, node: declarations.Type) -> ValueType:
        """Return the type of the values of a declared type.

        >>> from chainlang.notation import parse_file
        >>> op = parse_file('op a : map -> { a: int?, b: list[str] } {}').node.items[0]
        >>> [name for name, _ in TypeValues().of(op.returns).names]
        ['a', 'b']
        """
        if self._depth > _DEEPEST:
            return UNKNOWN
        self._depth += 1
        try:
            return self._of(node)
        finally:
            self._depth -= 1

    def _of(self, node: declarations.Type) -> ValueType:
        match node:
            case declarations.TypeName("int", int(low), int(high)) if 0 <= high - low < _MOST:
                return either(Scalar(NUMBER.what, str(one)) for one in range(low, high + 1))
            case declarations.TypeName(name):
                return _NAMED[name] if name in _NAMED else self._named(name)
            case declarations.Constant(value):
                whole = NUMBER if not isinstance(value, str) else TEXT
                whole = TRUTH if isinstance(value, bool) else whole
                return Scalar(whole.what, json.dumps(value))
            case declarations.RowChoice():
                return either((TEXT, NUMBER))
            case declarations.ListOf(item):
                return Listing(self.of(item))
            case declarations.DictOf():
                return Fields(is_open=True)
            case declarations.Maybe(item):
                return either((self.of(item), NOTHING))
            case declarations.OneOf(options):
                return either(self.of(one) for one in options)
            case declarations.Shape(fields):
                return Fields(_ordered({one.name: self.of_field(one) for one in fields}))
        assert_never(node)

    def of_field(self, node: declarations.Field) -> ValueType:
        """Return the type of a field; unknown for a derived field."""
        return UNKNOWN if node.type is None else self.of(node.type)

    def _named(self, name: str) -> ValueType:
        if name not in self._made:
            self._made[name] = UNKNOWN  # for a type that contains itself, which is an error
            declared = self.known.get(name)
            if isinstance(declared, declarations.TypeDef):  # others are known to their class only
                self._made[name] = self.of(declared.type)
        return self._made[name]


def _ordered(names: Mapping[str, ValueType]) -> tuple[tuple[str, ValueType], ...]:
    return tuple(sorted(names.items(), key=lambda one: one[0]))


def field_of(value: ValueType, name: str) -> Found:
    """Return the presence and type of a field.

    >>> found = field_of(either([view({"a": TEXT}, of="E"), view({"b": TEXT}, of="V")]), "a")
    >>> found.presence.value, found.type.what, found.lacking
    ('perhaps', 'a text', ('V',))
    """
    types: list[ValueType] = []
    having: set[str | None] = set()
    lacking: list[str | None] = []
    for option in options_of(value):
        match option:
            case Unknown():
                return Found(Presence.UNKNOWN, UNKNOWN)
            case Fields():
                if (found := option[name]) is not None:
                    types.append(found)
                    having.add(option.of)
                elif option.is_open:
                    return Found(Presence.UNKNOWN, UNKNOWN)
                else:
                    lacking.append(option.of)
            case Scalar() | Listing():
                lacking.append(None)
            case _:
                assert_never(option)
    stages = tuple(dict.fromkeys(one for one in lacking if one and one not in having))
    if not lacking:
        return Found(Presence.ALWAYS if types else Presence.UNKNOWN, either(types))
    return Found(Presence.PERHAPS if types else Presence.NEVER, either(types), stages)


def item_of(value: ValueType) -> ValueType:
    """Return the type of a list's items; unknown for other values."""
    return either(one.item if isinstance(one, Listing) else UNKNOWN for one in options_of(value))


def described(value: ValueType) -> str:
    """Return the types of a value in words.

    >>> described(either([TEXT, Listing(TEXT)]))
    'a text or a list'
    """
    words = []
    for option in options_of(value):
        match option:
            case Unknown():
                words.append("anything")
            case Scalar(what):
                words.append(what)
            case Listing():
                words.append("a list")
            case Fields():
                words.append("an object")
            case _:
                assert_never(option)
    return " or ".join(dict.fromkeys(words))


def names_of(value: ValueType) -> tuple[str, ...]:
    """Return the known fields of a value."""
    return tuple(dict.fromkeys(
        name for one in options_of(value) if isinstance(one, Fields) for name, _ in one.names
    ))  # fmt: skip
