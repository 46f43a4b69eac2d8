"""Encoding of samples as bytes, for caches and journals. Decoding imports and executes nothing.

An entry is JSON: the length of the prompt, and the non-default fields of the sample. With them are
``format``, the number of the format of the entry's key (without it, that is format 1), ``under``,
the bounds of a whole sample, and ``paid``, its cost.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from itertools import compress
from operator import attrgetter, is_not
from typing import Any, get_args

from attrs import field, fields, frozen

from chainlang.protocol.json_encoder import encoder
from chainlang.protocol.messages import Finish, Sample
from chainlang.protocol.quick_init import quick_init

_USUAL = {one.name: one.default for one in fields(Sample)}
_NAMES, _DEFAULTS = tuple(_USUAL), tuple(_USUAL.values())
_values, _PLACES = attrgetter(*_NAMES), range(len(_NAMES))
_OFTEN = ("text", "finish", "tokens", "needs")
_rarer = attrgetter(*(name for name in _NAMES if name not in _OFTEN))
_RARER_DEFAULTS = tuple(_USUAL[name] for name in _NAMES if name not in _OFTEN)
_ENCODE = encoder(ascii_only=True, nan=True)
_TEXT = json.encoder.encode_basestring_ascii
_FORMAT, _UNDER, _PAID, _MADE = "format", "under", "paid", "made"


@frozen(cache_hash=True)
class Bounds:
    """The bounds of a sample's length."""

    max_tokens: int
    context: int | None
    """None if unknown; then the engine alone knows it, and it does not change."""
    budgets: tuple[tuple[str, int], ...] = ()
    """Fields that are closed at a number of tokens. A sample of which none was closed fits larger
    ones, too."""

    def holds(self, drawn: Drawn) -> bool:
        """Return whether a sample that ended by itself would do so within these bounds, too.

        >>> sample = Sample("42", "stop", 2, needs=3)
        >>> drawn = Drawn(sample, 7, under=Bounds(100, 50))
        >>> [Bounds(*one).holds(drawn) for one in ((100, 50), (3, 10), (2, 50), (100, 9))]
        [True, True, False, False]
        """
        under = drawn.under or self
        needs = under.max_tokens if drawn.sample.needs is None else drawn.sample.needs
        if self.max_tokens < min(needs, under.max_tokens):
            return False
        known = dict(under.budgets)
        budgets = [(most, known.get(name, most + 1)) for name, most in self.budgets]
        if any(most < min(needs, bound) for most, bound in budgets):
            return False
        if self.context is None or (under.context is not None and under.context <= self.context):
            return True
        room = self.context - drawn.prompt_tokens  # a smaller one makes the budgets smaller
        shares = [most * room // self.max_tokens for most, _ in budgets]
        return needs <= min([room, *shares])


@frozen
class Paid:
    """The cost of a sample in dollars, by whom it was paid."""

    model: str
    row: int
    """Position of the row that generated it: others have it at no cost."""
    cost: Decimal
    session: str = ""
    """Mark of the process that generated it."""


@quick_init
@frozen(weakref_slot=False)
class Drawn:
    """A sample, and the length of its prompt."""

    sample: Sample
    prompt_tokens: int
    format: int = 1
    """Format of its key."""
    under: Bounds | None = None
    """Bounds under which a whole sample was generated; None if its key has them."""
    paid: Paid | None = field(default=None, eq=False)
    """Its cost, in a journal; None if it is unknown."""
    made: int | None = field(default=None, eq=False)
    """The time of its recording in a cache, in seconds since 1970; None if it is unknown."""


class LaterEntry(ValueError):
    """An entry of a later version; the message is the unknown field."""


class OddEntry(ValueError):
    """An entry that is no sample, although its checksum matches."""


def encoded(drawn: Drawn) -> bytes:
    """Return a sample as JSON, without fields that have their default.

    >>> encoded(Drawn(Sample("42", "stop", 2), 7))
    b'[7, {"text": "42", "finish": "stop", "tokens": 2}]'
    """
    sample, under = drawn.sample, drawn.under
    if drawn.paid is None is drawn.made and _rarer(sample) == _RARER_DEFAULTS:
        # As of most samples: an encoder would take longer for the names than for the values.
        needs = "" if sample.needs is None else f', "needs": {sample.needs}'
        rest = f'"finish": "{sample.finish}", "tokens": {sample.tokens}{needs}'
        rest += _text_of_key(drawn.format, under)
        return f'[{drawn.prompt_tokens}, {{"text": {_TEXT(sample.text)}, {rest}}}]'.encode()
    values = _values(sample)
    said: dict[str, Any] = {}
    for at in compress(_PLACES, map(is_not, _DEFAULTS, values)):
        if values[at] != _DEFAULTS[at]:
            said[_NAMES[at]] = values[at]
    said |= _of_key(drawn.format, under)
    if drawn.paid is not None:
        said[_PAID] = (drawn.paid.model, drawn.paid.row, str(drawn.paid.cost), drawn.paid.session)
    if drawn.made is not None:
        said[_MADE] = drawn.made
    return _ENCODE([drawn.prompt_tokens, said]).encode()


def _of_key(number: int, under: Bounds | None) -> dict[str, Any]:
    """Return what the key of a sample leaves open: its format, and the bounds of a whole one."""
    found: dict[str, Any] = {} if number == 1 else {_FORMAT: number}
    if under is not None:
        bounds = (under.max_tokens, under.context)
        found[_UNDER] = (*bounds, under.budgets) if under.budgets else bounds
    return found


@lru_cache(maxsize=256)
def _text_of_key(number: int, under: Bounds | None) -> str:
    """Return the JSON of `_of_key`, as the end of a longer object."""
    found = _of_key(number, under)
    return f", {_ENCODE(found)[1:-1]}" if found else ""


def decoded(entry: bytes) -> Drawn:
    """Return the sample of an entry, with defaults for missing fields.

    Raises `LaterEntry` for an unknown field, and `OddEntry` for any other shape.
    """
    try:
        match json.loads(entry):
            case [int(prompt_tokens), {"text": _, "finish": _, "tokens": _} as said]:
                number, under = said.pop(_FORMAT, 1), said.pop(_UNDER, None)
                paid, made = _paid(said.pop(_PAID, None)), said.pop(_MADE, None)
            case _:
                raise OddEntry("it is no sample")
    except (ValueError, RecursionError) as error:
        raise OddEntry("it is no sample") from error
    if later := sorted(said.keys() - _USUAL.keys()):
        raise LaterEntry(later[0])
    values: dict[str, Any] = {
        name: _frozen(value) if isinstance(value, list) else value for name, value in said.items()
    }
    odd = [name for name, value in values.items() if not _FITS[name](value)]
    if odd or not isinstance(number, int) or not isinstance(made, int | None):
        raise OddEntry(f"its {', '.join(odd) or _FORMAT} can't be read")
    match under:
        case None:
            bounds = None
        case [int(max_tokens), int() | None as context]:
            bounds = Bounds(max_tokens, context)
        case [int(max_tokens), int() | None as context, list(given)] if _pairs(given):
            bounds = Bounds(max_tokens, context, tuple((name, most) for name, most in given))
        case _:
            raise OddEntry(f"its {_UNDER} can't be read")
    return Drawn(Sample(**values), prompt_tokens, number, bounds, paid, made)


def _paid(value: object) -> Paid | None:
    """Return the cost in an entry; None if it has none."""
    match value:
        case None:
            return None
        case [str(model), int(row), str(cost), str(session)]:
            try:
                return Paid(model, row, Decimal(cost), session)
            except ArithmeticError as error:
                raise OddEntry(f"its {_PAID} can't be read") from error
    raise OddEntry(f"its {_PAID} can't be read")


def _frozen(values: list[Any]) -> tuple[Any, ...]:
    """Return nested lists as tuples."""
    return tuple(_frozen(one) if isinstance(one, list) else one for one in values)


def _pairs(value: list[Any]) -> bool:
    """Return whether a list has the JSON of `Bounds.budgets`."""
    return all(isinstance(one, list) and list(map(type, one)) == [str, int] for one in value)


def _ranked(value: object) -> bool:
    """Return whether a value has the type of `Sample.top_logprobs`."""
    match value:
        case tuple(positions):
            pairs = [pair for one in positions if isinstance(one, tuple) for pair in one]
            return all(isinstance(one, tuple) for one in positions) and all(
                isinstance(pair, tuple)
                and len(pair) == 2
                and isinstance(pair[0], str)
                and isinstance(pair[1], int | float)
                for pair in pairs
            )
    return False


def _is_call(value: object) -> bool:
    """Return whether a value has the type of one of `Sample.calls`."""
    return isinstance(value, tuple) and list(map(type, value)) == [str, str]


def _several(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(isinstance(one, types) for one in value)


def _one(*types: type) -> Callable[[object], bool]:
    return lambda value: isinstance(value, types)


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "text": _one(str),
    "finish": lambda value: value in get_args(Finish),
    "tokens": _one(int),
    "token_ids": _several(int),
    "unkept": _several(str),
    "reasoning": _one(str),
    "logprobs": _several(int, float),
    "stop": _one(str, int),
    "top_logprobs": _ranked,
    "labels": _several(int, float),
    "needs": _one(int),
    "context": _one(int),
    "refusal": _one(str),
    "closed": _one(bool),
    "closed_fields": _several(str),
    "spelled": _several(int),
    "model": _one(str),
    "switched": _one(str),
    "moved": _one(str),
    "calls": lambda value: isinstance(value, tuple) and all(map(_is_call, value)),
}
"""For each field of a sample, whether a value in an entry has its type."""


def checksum(key: bytes, entry: bytes) -> bytes:
    """Return the checksum of a key and its entry."""
    return hashlib.blake2b(entry, key=key[:64], digest_size=8).digest()


def fits(key: object, entry: object, total: object) -> bool:
    """Return whether an entry matches its checksum."""
    if not (isinstance(key, bytes) and isinstance(entry, bytes)):
        return False
    return checksum(key, entry) == total
