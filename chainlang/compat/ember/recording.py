"""Recording of calls: while a graph is recorded, operators are not run, and return references."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn, Protocol

from chainlang.compat.ember.exceptions import InvalidArgumentError

__all__ = ["Recorder", "Reference", "recorder_now", "recording", "references", "resolved"]


class Recorder(Protocol):
    """A graph in the making."""

    def record(self, operator: Any, inputs: Any) -> Reference:
        """Add a call, and return the stand-in of its result."""
        ...


_RECORDER: ContextVar[Recorder | None] = ContextVar("recorder", default=None)


def recorder_now() -> Recorder | None:
    """Return the recorder of calls that are made now."""
    return _RECORDER.get()


@contextmanager
def recording(recorder: Recorder | None) -> Iterator[None]:
    """Record the calls inside the block; with None, run them."""
    token = _RECORDER.set(recorder)
    try:
        yield
    finally:
        _RECORDER.reset(token)


class Reference:
    """The result of a recorded call, or a field of it: an argument for later calls, and no value.

    Any other use is an error, since the call has not run.
    """

    __slots__ = ("node_id", "path")

    def __init__(self, node_id: str, path: tuple[Any, ...] = ()) -> None:
        self.node_id = node_id
        self.path = path

    def __getitem__(self, name: Any) -> Reference:
        return Reference(self.node_id, (*self.path, name))

    def __getattr__(self, name: str) -> Reference:
        if name.startswith(("_", "model_")):
            raise AttributeError(name)
        return self[name]

    def __repr__(self) -> str:
        return f"<result of {self}>"

    def _text(self) -> str:
        return self.node_id + "".join(f"[{one!r}]" for one in self.path)

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise InvalidArgumentError(
            f"the result of {self._text()} is not known while a graph is recorded",
            recovery_hint="pass it to another operator as it is, or use @jit, which runs the calls",
        )

    __bool__ = __iter__ = __len__ = __contains__ = __call__ = __float__ = __int__ = _refuse
    __add__ = __radd__ = __lt__ = __le__ = __gt__ = __ge__ = _refuse

    def __format__(self, form: str) -> str:
        self._refuse()

    def __str__(self) -> str:
        return self._text()


def references(value: Any) -> list[Reference]:
    """Return the references in a value, in order."""
    if isinstance(value, Reference):
        return [value]
    if isinstance(value, Mapping):
        return [found for one in value.values() for found in references(one)]
    if isinstance(value, list | tuple):
        return [found for one in value for found in references(one)]
    return []


def resolved(value: Any, results: Mapping[str, Any]) -> Any:
    """Return a value with results in place of its references."""
    if isinstance(value, Reference):
        found = results[value.node_id]
        for name in value.path:
            found = found[name] if not _has_attribute(found, name) else getattr(found, name)
        return found
    if isinstance(value, dict):
        return {name: resolved(one, results) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(resolved(one, results) for one in value)
    return value


def _has_attribute(value: Any, name: Any) -> bool:
    return isinstance(name, str) and not isinstance(value, Mapping) and hasattr(value, name)
