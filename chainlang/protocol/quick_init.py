"""Frozen classes whose instances are made as fast as those of other classes."""

from __future__ import annotations

from typing import Any, TypeVar

from attrs import NOTHING, Attribute, Factory, fields

T = TypeVar("T")


def quick_init(cls: type[T]) -> type[T]:
    """Give a frozen class of attrs an `__init__` that takes half the time, with the same arguments.

    That of attrs calls `object.__setattr__` for each field, as assignments are errors. This one
    assigns them while the instance is of a class with the same slots, where they are none. Raises
    `TypeError` for a class with what it does not know, such as a converter.

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
    if "__weakref__" in slots["__slots__"]:
        raise TypeError(f"{cls.__name__} is to be made with weakref_slot=False")
    names: dict[str, Any] = {
        "_open": type(cls.__name__, cls.__bases__, slots),
        "_whole": cls,
        "_set": object.__setattr__,
        "_nothing": NOTHING,
        **{f"_{one.alias}": _default(one) for one in several},
    }
    arguments = ["self", *(_argument(one) for one in several if not one.kw_only)]
    named = [_argument(one) for one in several if one.kw_only]
    arguments += ["*", *named] if named else []
    values = [f"self.{one.name} = {_value(one)}" for one in several]
    lines = ["_set(self, '__class__', _open)", *values, "self.__class__ = _whole"]
    code = "\n    ".join([f"def __init__({', '.join(arguments)}):", *lines])
    exec(compile(code, f"<quick init of {cls.__qualname__}>", "exec"), names)  # noqa: S102
    made = names["__init__"]
    made.__annotations__, made.__qualname__ = of_attrs.__annotations__, of_attrs.__qualname__
    made.__module__ = cls.__module__
    cls.__init__ = made  # type: ignore[method-assign]
    return cls


def _default(one: Attribute[Any]) -> Any:
    """Return what the code knows by the name of a field: its default, or the factory of it."""
    default: Any = one.default
    is_made = _is_made(one)
    if (is_made and default.takes_self) or one.converter or one.validator or not one.init:
        raise TypeError(f"{one.name} is more than an argument with a default")
    return default.factory if is_made else default


def _argument(one: Attribute[Any]) -> str:
    if one.default is NOTHING:
        return str(one.alias)
    return f"{one.alias}={'_nothing' if _is_made(one) else f'_{one.alias}'}"


def _value(one: Attribute[Any]) -> str:
    name = one.alias
    return f"_{name}() if {name} is _nothing else {name}" if _is_made(one) else str(name)


def _is_made(one: Attribute[Any]) -> bool:
    return isinstance(one.default, Factory)  # type: ignore[arg-type]
