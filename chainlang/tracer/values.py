"""Stand-ins: values that are not known while a function is traced.

A stand-in can be put into texts, passed to calls, and compared for `when`; its fields are stand-ins
too. Whatever else Python would compute with it is refused, because it would be computed once and
not for each row.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, Protocol, TypeAlias

from chainlang.diagnostics.render import shown
from chainlang.tracer.places import Instruction, here
from chainlang.tracer.refusal import refusal, refuse
from chainlang.tracer.words import CONDITION, ORDER, WORDS, of_method


class Call(Protocol):
    """A recorded call, as stand-ins know it."""

    @property
    def name(self) -> str:
        """Its name in messages."""


Labels: TypeAlias = Mapping[Any, str]
"""The label of each recorded call in the chain."""


class StandIn:
    """Base class of stand-ins, which refuses what they can't do."""

    __slots__ = ()

    @property
    def _shown(self) -> str:
        """The expression, as messages show it."""
        raise NotImplementedError

    @property
    def __name__(self) -> str:
        """Name of a function, for which operators look where they find no chain."""
        refuse(
            f"`{self._shown}` is a value, and no chain", f"call a chain on it, as J({self._shown})"
        )

    def _roots(self) -> tuple[Any, ...]:
        """Return the recorded calls that it reads."""
        raise NotImplementedError

    def _written(self, labels: Labels) -> str:
        """Return the expression that it stands for."""
        raise NotImplementedError


def _refusing(name: str) -> Callable[..., NoReturn]:
    word = WORDS[name]

    def method(self: StandIn, *_: object, **__: object) -> NoReturn:
        refuse(*word.of(self._shown))

    method.__name__ = name
    return method


for _name in WORDS:
    setattr(StandIn, _name, _refusing(_name))


class Value(StandIn):
    """A field of the row, a field of a result, or an item of `for_each`."""

    __slots__ = ("_after", "_at", "_before", "_mark", "_root")
    _after: str
    _at: Instruction | None
    _before: str
    _mark: Callable[[Value], str]
    _root: Call | str

    def __init__(
        self, mark: Callable[[Value], str], root: Call | str, before: str = "", after: str = ""
    ) -> None:
        """Make the value of an expression: `before`, the root, `after`; `mark` puts it in texts."""
        at = here(sys._getframe(1))
        for name, value in zip(Value.__slots__, (after, at, before, mark, root), strict=True):
            object.__setattr__(self, name, value)

    def _roots(self) -> tuple[Any, ...]:
        """Return the recorded call that it is from, if it is from one."""
        return () if isinstance(self._root, str) else (self._root,)

    def _written(self, labels: Labels) -> str:
        """Return the expression that it stands for."""
        root = self._root if isinstance(self._root, str) else labels[self._root]
        return f"{self._before}{root}{self._after}"

    @property
    def _shown(self) -> str:
        root = self._root if isinstance(self._root, str) else self._root.name
        return f"{self._before}{root}{self._after}"

    @property
    def _made_at(self) -> Instruction | None:
        """The instruction of the function that reads it."""
        return self._at

    @property
    def _field(self) -> str:
        """The last of its fields; empty if it is none."""
        return self._after.rpartition(".")[2]

    @property
    def _is_answer(self) -> bool:
        """Whether it is the answer of a call, as the result of the call is in a text."""
        return (self._before, self._after) in (("", ""), ("", ".answer"))

    def _read(self) -> Value:
        """Return what a text or a comparison reads."""
        return self

    def _then(self, after: str) -> Value:
        return Value(self._mark, self._root, self._before, f"{self._after}{after}")

    def __getattr__(self, name: str) -> Value:
        if name.startswith("_") or not name.isascii():
            raise AttributeError(name)
        return self._then(f".{name}")

    def __getitem__(self, key: object) -> Value:
        if isinstance(key, str):
            return getattr(self, key) if key.isidentifier() and key.isascii() else self._keyed(key)
        if isinstance(key, int) and not isinstance(key, bool):
            return self._then(f"[{key}]")
        if isinstance(key, slice):
            refuse(
                f"a part of `{self._shown}` can't be cut out while the function is traced",
                f'a template cuts: op("f", user="{{{{ text[:100] }}}}")\n'
                f"function(f)({self._shown}) runs Python for each row",
            )
        raise refusal(f"{shown(key)} is no name and no number of an item of `{self._shown}`")

    def _keyed(self, key: str) -> Value:
        return self._then(f"[{quoted(key)}]")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        """Refuse the call of a method."""
        name = self._field
        refuse(*of_method(self._shown.removesuffix(f".{name}"), name))

    def __format__(self, spec: str) -> str:
        if spec:
            refuse(
                f"`{self._shown}` can't be formatted as {spec!r} while the function is traced",
                "leave out the format; a template has filters, as {{ score | round(2) }}",
            )
        return str(self)

    def __str__(self) -> str:
        return self._mark(self._read())

    def __repr__(self) -> str:
        return f"<traced {self._shown}>"

    def __dir__(self) -> list[str]:
        return []

    def _compared(self, sign: str, other: object) -> Condition:
        return Condition(sign, self._read(), operand(other, sign))

    def __eq__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("==", other)

    def __ne__(self, other: object) -> Condition:  # type: ignore[override]
        return self._compared("!=", other)

    def __lt__(self, other: object) -> Condition:
        return self._compared("<", other)

    def __le__(self, other: object) -> Condition:
        return self._compared("<=", other)

    def __gt__(self, other: object) -> Condition:
        return self._compared(">", other)

    def __ge__(self, other: object) -> Condition:
        return self._compared(">=", other)

    __hash__ = StandIn.__hash__


class Output(Value):
    """The result of a recorded call: in a text its answer; its fields are values."""

    __slots__ = ()

    @property
    def _step(self) -> Any:
        """The recorded call."""
        assert not isinstance(self._root, str)
        return self._root

    @property
    def value(self) -> Output:
        """The reply itself: the same fields."""
        return self

    def _read(self) -> Value:
        """Return its answer."""
        return self._then(".answer")

    def __getattr__(self, name: str) -> Value:
        if name == "responses":
            after = f"{self._after}.candidates | map(attribute='answer') | list)"
            return Value(self._mark, self._root, "(", after)
        return super().__getattr__(name)

    def __getitem__(self, key: object) -> Value:
        if isinstance(key, int):
            refuse(
                f"`{self._shown}` is a result, which has no numbers; its candidates have",
                f"write {self._shown}.candidates[{key}]",
            )
        return super().__getitem__(key)


class Condition(StandIn):
    """A comparison of stand-ins, for `when`; ``&``, ``|`` and ``~`` combine conditions."""

    __slots__ = ("_left", "_right", "_sign")
    _left: StandIn | str
    _right: StandIn | str
    _sign: str

    def __init__(self, sign: str, left: StandIn | str, right: StandIn | str) -> None:
        """Make the condition of two operands."""
        for name, value in zip(self.__slots__, (left, right, sign), strict=True):
            object.__setattr__(self, name, value)

    def _values(self) -> Iterator[Value]:
        """Yield the values that it compares."""
        for side in self._sides:
            if isinstance(side, Condition):
                yield from side._values()
            elif isinstance(side, Value):
                yield side

    @property
    def _sides(self) -> tuple[StandIn | str, StandIn | str]:
        return self._left, self._right

    def _roots(self) -> tuple[Any, ...]:
        """Return the recorded calls that its sides read."""
        sides = [one for one in self._sides if isinstance(one, StandIn)]
        return tuple(root for one in sides for root in one._roots())

    def _written(self, labels: Labels) -> str:
        """Return the comparison as an expression."""
        left, right = (_side(one, lambda it: it._written(labels)) for one in self._sides)
        return f"{left} {self._sign} {right}".strip()

    @property
    def _shown(self) -> str:
        left, right = (_side(one, lambda it: it._shown) for one in self._sides)
        return f"{left} {self._sign} {right}".strip()

    def __bool__(self) -> bool:  # noqa: PLE0304  # it never returns
        refuse(*(ORDER if self._sign in ("<", "<=", ">", ">=") else CONDITION).of(self._shown))

    def __and__(self, other: object) -> Condition:
        return Condition("and", self, _condition(other))

    def __or__(self, other: object) -> Condition:
        return Condition("or", self, _condition(other))

    def __invert__(self) -> Condition:
        return Condition("not", "", self)

    def __repr__(self) -> str:
        return f"<traced {self._shown}>"

    def __format__(self, spec: str) -> str:
        refuse(
            f"`{self._shown}` is not known while the function is traced, so no text shows it", _WHEN
        )

    def __eq__(self, other: object) -> NoReturn:
        refuse(f"`{self._shown}` is a condition, which can't be compared", _WHEN)

    __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __eq__
    __hash__ = StandIn.__hash__


_WHEN = "a condition is for when(condition, lambda: ..., otherwise=lambda: ...)"


def _side(side: StandIn | str, write: Callable[[StandIn], str]) -> str:
    if isinstance(side, str):
        return side
    text = write(side)
    return f"({text})" if isinstance(side, Condition) else text


def _condition(other: object) -> Condition:
    if not isinstance(other, Condition):
        refuse(f"{shown(other)} is no condition", "compare it: (a == 1) & (b == 2)")
    return other


def operand(value: object, sign: str) -> StandIn | str:
    """Return a side of a comparison: a stand-in, or a constant as an expression has it."""
    if isinstance(value, Condition):
        refuse("a condition can't be compared", "write (a == 1) & (b == 2)")
    if isinstance(value, Value):
        return value._read()
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return quoted(value)
    raise refusal(
        f"{sign} compares with a text, a number, True, False or None, not with {shown(value)}",
        "write (x == 'a') | (x == 'b')" if isinstance(value, list | tuple | set) else None,
    )


def told(value: object) -> str:
    """Return a value as messages show it: a stand-in by its expression, a text by its kind.

    >>> told(["a"])
    "['a']"
    """
    return f"`{value._shown}`" if isinstance(value, StandIn) else shown(value)


def quoted(text: str) -> str:
    """Return a text as an expression has it.

    >>> print(quoted("it's"), quoted("it"))
    "it's" 'it'
    """
    mark = '"' if "'" in text and '"' not in text else "'"
    text = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return f"{mark}{text}{mark}".replace("\n", "\\n").replace("\r", "\\r")
