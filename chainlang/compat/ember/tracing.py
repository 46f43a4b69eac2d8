"""`TracerContext`: a record of each call of an operator inside a block."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any, Self

from attrs import define, field

from chainlang.compat.ember.log import logged

__all__ = ["TraceRecord", "TracerContext", "get_tracing_context", "observed"]


@define(kw_only=True)
class TraceRecord:
    """A call of an operator: its inputs, and its output or its exception."""

    operator_name: str
    node_id: str = field(factory=lambda: str(uuid.uuid4()))
    inputs: Any = None
    outputs: Any = None
    start_time: float = 0.0
    end_time: float = 0.0
    exception: BaseException | None = None

    @property
    def timestamp(self) -> float:
        """The time of its end."""
        return self.end_time

    @property
    def duration(self) -> float:
        """Its time in seconds."""
        return self.end_time - self.start_time

    @property
    def succeeded(self) -> bool:
        """Whether it has an output."""
        return self.exception is None


_CURRENT: ContextVar[TracerContext | None] = ContextVar("tracer", default=None)


class TracerContext:
    """A block in which calls of operators are recorded, in the order in which they end.

    >>> from chainlang.compat.ember import Operator
    >>> class Double(Operator):
    ...     def forward(self, *, inputs):
    ...         return {"value": 2 * inputs["value"]}
    >>> with TracerContext() as tracer:
    ...     _ = Double()(value=21)
    >>> [(one.operator_name, one.outputs) for one in tracer.records]
    [('Double', {'value': 42})]
    """

    def __init__(self) -> None:
        self.records: list[TraceRecord] = []
        self._tokens: list[Token[TracerContext | None]] = []

    def __enter__(self) -> Self:
        self._tokens.append(_CURRENT.set(self))
        return self

    def __exit__(self, *_: object) -> None:
        _CURRENT.reset(self._tokens.pop())

    def add_record(self, record: TraceRecord) -> None:
        """Add a record."""
        self.records.append(record)

    @classmethod
    def get_current(cls) -> TracerContext | None:
        """Return the innermost block that is open; None if there is none."""
        return _CURRENT.get()


def get_tracing_context() -> TracerContext | None:
    """Return the innermost `TracerContext` that is open; None if there is none."""
    return TracerContext.get_current()


@contextmanager
def observed(name: str, inputs: Any) -> Iterator[Callable[[Any], None]]:
    """Record and log a call; the block passes its output to the function that it gets."""
    tracer = _CURRENT.get()
    with logged(name, inputs) as log:
        if tracer is None:
            yield log
            return
        made = TraceRecord(operator_name=name, inputs=inputs, start_time=time.time())

        def ended(output: Any) -> None:
            made.outputs = output
            log(output)

        try:
            yield ended
        except BaseException as error:
            made.exception = error
            raise
        finally:
            made.end_time = time.time()
            tracer.add_record(made)
