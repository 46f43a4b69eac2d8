"""Frozen classes whose instances are made as fast as those of other classes."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import NOTHING, Attribute, Factory, fields

T = TypeVar("T")


def quick_init(cls: type[T]) -> type[T]:
    """Give a frozen class of attrs an `__init__` that takes half the time, with the same arguments.

    That of attrs calls `object.__setattr__` for each field, as assignments are errors. This one
    assigns them while the instance is of a class with the same slots, where they are none. Raises
    `TypeError` for a class with what it does not know: a factory, a converter, a slot for weak
    references.

    >>> from attrs import frozen
    >>> @quick_init
    ... @frozen(weakref_slot=False)
    ... class Point:
    ...     x: int
    ...     y: int = 0
    >>> Point(1), Point(1) == Point(x=1, y=0)
    (Point(x=1, y=0), True)
    """
    of_attrs: Any = cls.__init__
    several: tuple[Attribute[Any], ...] = fields(cls)  # type: ignore[arg-type]
    slots = {"__slots__": vars(cls)["__slots__"], "__module__": cls.__module__}
    names: dict[str, Any] = {
        "_open": type(cls.__name__, cls.__bases__, slots),
        "_whole": cls,
        "_set": object.__setattr__,
        **{f"_{one.alias}": _default(one) for one in several},
    }
    arguments = ["self", *(_argument(one) for one in several if not one.kw_only)]
    named = [_argument(one) for one in several if one.kw_only]
    arguments += ["*", *named] if named else []
    lines = ["_set(self, '__class__', _open)"]
    lines += [f"self.{one.name} = {one.alias}" for one in several]
    lines += ["self.__class__ = _whole"]
    code = "\n    ".join([f"def __init__({', '.join(arguments)}):", *lines])
    exec(compile(code, f"<quick init of {cls.__qualname__}>", "exec"), names)  # noqa: S102
    made = names["__init__"]
    made.__annotations__, made.__qualname__ = of_attrs.__annotations__, of_attrs.__qualname__
    made.__module__ = cls.__module__
    cls.__init__ = made  # type: ignore[method-assign]
    return cls


def _default(one: Attribute[Any]) -> Any:
    is_made = isinstance(one.default, Factory)  # type: ignore[arg-type]
    if is_made or one.converter or one.validator or not one.init:
        raise TypeError(f"{one.name} is more than an argument with a value as its default")
    return one.default


def _argument(one: Attribute[Any]) -> str:
    return str(one.alias) if one.default is NOTHING else f"{one.alias}=_{one.alias}"
