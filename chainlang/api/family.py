"""`Family`: a set of chains that differ in some choices; `pick` makes a choice."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import count, product
from math import prod
from typing import Any

from attrs import field, frozen

from chainlang.api.chain import Chain, ChainLike, Several, lift, refuse
from chainlang.diagnostics.render import shown
from chainlang.ir.nodes import Branch, Join, Then
from chainlang.limits import current
from chainlang.notation.literals import print_literal

_SIGNS: Mapping[type, tuple[str, int]] = {Branch: ("|", 0), Join: ("&", 1), Then: (">>", 2)}
"""Sign of each operator, and how tightly it binds."""
_ATOM = 3
_BARE = re.compile(r"[A-Za-z_][\w./@+~:-]*(?<!:)")
"""A model that needs no quotes."""


@frozen
class Member:
    """One chain of a family, with the choices that make it."""

    choices: Mapping[str, Any] = field(hash=False)
    """The chosen values, by the names of their choices; a chain as its text."""
    chain: Chain


class Varied(Several):
    """Operators of a family and of a choice, on either side of a chain."""

    __slots__ = ()

    def family(self) -> Family:
        """Return the family."""
        raise NotImplementedError

    def __rshift__(self, other: Any) -> Family:
        return operated(Then, self, other, operator.rshift)

    def __rrshift__(self, other: Any) -> Family:
        return operated(Then, other, self, operator.rshift)

    def __and__(self, other: Any) -> Family:
        return operated(Join, self, other, operator.and_)

    def __rand__(self, other: Any) -> Family:
        return operated(Join, other, self, operator.and_)

    def __or__(self, other: Any) -> Family:
        return operated(Branch, self, other, operator.or_)

    def __ror__(self, other: Any) -> Family:
        return operated(Branch, other, self, operator.or_)

    def __rmul__(self, times: int) -> Family:
        made = self.family()
        text = made.text if made.binding == _ATOM else f"({made.text})"
        return applied(made, lambda chain: times * chain, f"{times} * {text}")

    def named(self, name: str) -> Family:
        """Return the family whose chains have a label; see `Chain.named`."""
        made = self.family()
        return applied(made, lambda chain: chain.named(name), f"({name} = {made.text})", _ATOM)


@frozen(eq=False, repr=False)
class Family(Varied):
    """A set of chains that differ in some choices. It is no chain: `sweep` and `tune` run it.

    Operators between a family and a chain, or another family, apply to each member. Two choices of
    one name get names of their own, as ``E.count`` and ``E.count_2``.

    >>> from chainlang import E, J, M
    >>> from chainlang.evaluation import pick
    >>> made = E(pick("a", "b"), pick(1, 3)) >> pick(M, J("big"))
    >>> print(made)
    {1, 3}:E:{a, b} >> {M, J:big}
    >>> len(made), str(made[0].chain), dict(made[0].choices)
    (8, 'E:a >> M', {'E.model': 'a', 'E.count': 1, 'choice': 'M'})
    """

    members: tuple[Member, ...]
    text: str
    binding: int = _ATOM
    """Binding of the outermost operator of the text."""

    def family(self) -> Family:
        """The family itself."""
        return self

    @property
    def choices(self) -> Mapping[str, tuple[Any, ...]]:
        """The values of each choice, by its name."""
        found: dict[str, dict[Any, None]] = {}
        for one in self.members:
            for name, value in one.choices.items():
                found.setdefault(name, {})[value] = None
        return {name: tuple(values) for name, values in found.items()}

    def svg(self) -> str:
        """Return an SVG picture: one of all its chains, with the values of a choice in braces.

        >>> from chainlang import E, M
        >>> from chainlang.evaluation import pick
        >>> "E ×{1, 3}" in (E("m", pick(1, 3)) >> M).svg()
        True
        """
        from chainlang.display.family_svg import family_svg

        drawings = [one.chain.drawing() for one in self.members]
        items = dict.fromkeys(item for _, several in drawings for item in several)
        return family_svg((body for body, _ in drawings), items)

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """Representations for notebooks: the picture and the text."""
        return {"text/plain": repr(self), "image/svg+xml": self.svg()}

    def check(self) -> None:
        """Check each member as a whole. Raises what `Chain.check` raises."""
        for one in self.members:
            one.chain.check()

    def __len__(self) -> int:
        return len(self.members)

    def __iter__(self) -> Iterator[Member]:
        return iter(self.members)

    def __getitem__(self, index: int) -> Member:
        return self.members[index]

    def __eq__(self, other: object) -> bool:
        return self.members == other.members if isinstance(other, Family) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.members)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Family of {len(self.members)} chains: {self.text}>"


@frozen(eq=False)
class Pick(Varied):
    """A choice of values: of a field or an option of a stage, or of chains between operators."""

    values: tuple[Any, ...]
    name: str | None = None

    def family(self) -> Family:
        """Return the chains of this choice as a family."""
        chains = [lift(one) for one in self.values]
        name = self.name or "choice"
        members = tuple(Member({name: _text(one)}, one) for one in chains)
        return Family(members, f"{{{', '.join(map(_text, chains))}}}")


def pick(*values: Any, name: str | None = None) -> Any:
    """Return a choice of values, which makes a `Family` of what it stands in.

    As a field or an option of a stage, its values are those of the field; between operators they
    are chains. `name` is the name of the choice in tables; by default it is ``E.count`` and so on,
    or ``choice`` for one of chains. Raises `OperandError` without values, or for equal ones.

    >>> from chainlang import E, M
    >>> [str(one.chain) for one in E("m", pick(1, 3)) >> M]
    ['E:m >> M', '3:E:m >> M']
    """
    if not values:
        refuse("a choice has no values", "write pick(1, 3, 5)")
    kinds = [(type(one), one) for one in values if not callable(one)]
    twice = next((one for at, one in enumerate(kinds) if one in kinds[:at]), None)
    if twice is not None:
        refuse(f"a choice has {shown(twice[1])} twice", "name each value once")
    return Pick(values, name)


def varied(
    make: Callable[[Mapping[str, Any]], Chain], word: str, given: Mapping[str, Any]
) -> Family:
    """Return the family of a call of a stage type, some of whose arguments are choices."""
    held = {key: one for key, one in given.items() if isinstance(one, Pick)}
    members = []
    for values in products([one.values for one in held.values()]):
        chosen = dict(zip(held, values, strict=True))
        named = {held[key].name or f"{word}.{key}": value for key, value in chosen.items()}
        members.append(Member(named, make({**given, **chosen})))
    return Family(tuple(members), _call(word, given))


def operated(
    kind: type[Then] | type[Join] | type[Branch],
    left: object,
    right: object,
    join: Callable[[Chain, Chain], Chain],
) -> Family:
    """Return the family of two operands, at least one of which is a family."""
    sides = [family_of(one) for one in (left, right)]
    members = []
    for first, second in products([one.members for one in sides]):
        renamed = dict(first.choices)
        for name, value in second.choices.items():
            renamed[free_name(name, renamed)] = value
        members.append(Member(renamed, join(first.chain, second.chain)))
    sign, binding = _SIGNS[kind]
    texts = [one.text if one.binding >= binding else f"({one.text})" for one in sides]
    return Family(tuple(members), f" {sign} ".join(texts), binding)


def applied(
    of: Family, change: Callable[[Chain], Chain], text: str, binding: int = _SIGNS[Then][1]
) -> Family:
    """Return a family each of whose chains is changed."""
    members = tuple(Member(one.choices, change(one.chain)) for one in of.members)
    return Family(members, text, binding)


def family_of(given: Any) -> Family:
    """Return a family; a single chain is a family of one."""
    if isinstance(given, Varied):
        return given.family()
    chain = lift(given)
    binding = next(
        (one for kind, (_, one) in _SIGNS.items() if isinstance(chain.body, kind)), _ATOM
    )
    return Family((Member({}, chain),), _text(chain), binding)


def products(groups: Sequence[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    """Return all combinations. Raises `LimitError` for more than a family may have."""
    size = prod(map(len, groups))
    current().check("members", size, f"a family of {size:,} chains")
    return product(*groups)


def free_name(name: str, taken: Collection[str]) -> str:
    """Return a name that is not taken: with ``_2``, ``_3``, ... if need be."""
    if name not in taken:
        return name
    return next(one for number in count(2) if (one := f"{name}_{number}") not in taken)


def _text(chain: ChainLike) -> str:
    return str(Chain(lift(chain).body))


def _call(word: str, given: Mapping[str, Any]) -> str:
    """Return a call with choices in the notation: ``{1, 3}:E:{a, b}(max_tokens={64, 128})``."""
    times, model, temperature = (given.get(key) for key in ("count", "model", "temperature"))
    parts = [] if times in (None, 1) else [_set(times)]
    parts += [word]
    if model is not None or temperature is not None:
        parts.append("" if model is None else _set(model, is_bare=True))
    parts += [] if temperature is None else [_set(temperature)]
    fields = ("count", "model", "temperature")
    more = [f"{key}={_set(one)}" for key, one in given.items() if key not in fields]
    return ":".join(parts) + (f"({', '.join(more)})" if more else "")


def _set(value: Any, *, is_bare: bool = False) -> str:
    """Return a value, or the values of a choice in braces."""
    if isinstance(value, Pick):
        return f"{{{', '.join(_set(one, is_bare=is_bare) for one in value.values)}}}"
    if is_bare and isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return print_literal(value)
