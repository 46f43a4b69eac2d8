"""`Pending`: the result of a call that may still run; whatever is asked of it waits for the call.

Only results of operators are pending. Their fields are plain values, since reading one waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pydantic import BaseModel

__all__ = ["Pending", "is_pending", "settled"]


class Pending:
    """Stand-in for a result; `wait` returns the result, or raises what the call has raised."""

    __slots__ = ("_wait",)

    def __init__(self, wait: Callable[[], Any]) -> None:
        object.__setattr__(self, "_wait", wait)

    @property  # type: ignore[misc]  # so that isinstance asks the result
    def __class__(self) -> type:
        return type(_result(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(_result(self), name)

    def __getitem__(self, name: Any) -> Any:
        return _result(self)[name]

    def __iter__(self) -> Iterator[Any]:
        return iter(_result(self))

    def __len__(self) -> int:
        return len(_result(self))

    def __contains__(self, name: object) -> bool:
        return name in _result(self)

    def __bool__(self) -> bool:
        return bool(_result(self))

    def __eq__(self, other: object) -> bool:
        return bool(_result(self) == settled(other))

    def __hash__(self) -> int:
        return hash(_result(self))

    def __str__(self) -> str:
        return str(_result(self))

    def __repr__(self) -> str:
        return repr(_result(self))

    def __format__(self, form: str) -> str:
        return format(_result(self), form)


def _result(pending: Pending) -> Any:
    return object.__getattribute__(pending, "_wait")()


def is_pending(value: object) -> bool:
    """Return whether a value is the stand-in of a result."""
    return type(value) is Pending


def settled(value: Any) -> Any:
    """Return a value with results in place of what is pending in it, after waiting for them."""
    if is_pending(value):
        return settled(_result(value))
    if type(value) is dict:
        return {name: settled(one) for name, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(settled(one) for one in value)
    if isinstance(value, BaseModel):
        for name, one in value.__dict__.items():
            if _holds_pending(one):
                value.__dict__[name] = settled(one)
    return value


def _holds_pending(value: Any) -> bool:
    if type(value) is dict:
        return any(map(_holds_pending, value.values()))
    if type(value) in (list, tuple):
        return any(map(_holds_pending, value))
    if is_pending(value):
        return True
    return isinstance(value, BaseModel) and any(map(_holds_pending, value.__dict__.values()))
