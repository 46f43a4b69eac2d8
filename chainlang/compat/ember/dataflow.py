"""Overlapping calls: a call starts in a thread, and its result is waited for where it is read.

`Scope` is one execution of a `forward`, or of a function. A call of an operator inside it starts at
once and returns a `Pending`, unless a ``try`` or a ``with`` is around the call: what it catches has
to be raised there. At its end a scope waits for all of its calls.
"""

from __future__ import annotations

import contextvars
import dis
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from functools import lru_cache
from types import CodeType, FrameType
from typing import Any, TypeVar

from attrs import define, field, frozen

from chainlang.compat.ember.exceptions import ExecutionError
from chainlang.compat.ember.execution_options import ExecutionOptions
from chainlang.compat.ember.pending import Pending, settled
from chainlang.compat.ember.use import Position, at

__all__ = ["Call", "Scope", "Work", "opcodes_that_catch", "outside", "scope_now", "together"]

T = TypeVar("T")

_THREADS = 128
"""Number of calls of one function, or of one list, that have a thread at the same time."""
_SCOPE: ContextVar[Scope | None] = ContextVar("scope", default=None)
_PERMITS: ContextVar[threading.Semaphore | None] = ContextVar("permits", default=None)


def scope_now() -> Scope | None:
    """Return the scope in which calls overlap now; None where they do not."""
    return _SCOPE.get()


@define(eq=False)
class Call:
    """A call in a thread of its own."""

    name: str
    _thread: threading.Thread | None = field(default=None, init=False)
    _result: Any = field(default=None, init=False)
    error: BaseException | None = field(default=None, init=False)
    is_dropped: bool = field(default=False, init=False)
    """Whether its result is not waited for any more, so that it does not start."""
    _is_done: threading.Event = field(factory=threading.Event, init=False)

    def start(
        self,
        work: Callable[[], Any],
        permits: threading.Semaphore | None,
        after: Sequence[threading.Event] = (),
        ended: Callable[[], object] = lambda: None,
    ) -> None:
        """Run `work` in a thread with the context of the caller, once a permit is free."""
        context = contextvars.copy_context()

        def run() -> None:
            for one in after:
                one.wait()
            try:
                with permits or nullcontext():
                    context.run(_PERMITS.set, permits)
                    if not self.is_dropped:
                        self._result = context.run(work)
            except BaseException as error:  # noqa: BLE001  # raised where the result is read
                self.error = error
            finally:
                self._is_done.set()
                ended()

        self._thread = threading.Thread(target=run, name=self.name, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end, without keeping a permit; return whether it has ended."""
        held = _PERMITS.get()
        if held is None or self._is_done.is_set():
            return self._is_done.wait(seconds)
        held.release()
        try:
            return self._is_done.wait(seconds)
        finally:
            held.acquire()

    def result(self) -> Any:
        """Return the result, after waiting. Raises what the call has raised."""
        self.wait()
        if self.error is not None:
            raise self.error
        return self._result


@define(eq=False)
class Scope:
    """One execution of a function whose calls overlap."""

    options: ExecutionOptions
    permits: threading.Semaphore | None = None
    nested: bool = True
    """Whether calls inside its calls overlap too."""
    boundary: FrameType | None = field(default=None, init=False)
    calls: list[Call] = field(factory=list, init=False)
    _slots: threading.Semaphore = field(factory=lambda: threading.Semaphore(_THREADS), init=False)

    @classmethod
    def of(cls, options: ExecutionOptions, *, nested: bool = True) -> Scope:
        """Return an outermost scope."""
        most = options.max_workers
        return cls(options, None if most is None else threading.Semaphore(most), nested)

    def inner(self) -> Scope | None:
        """Return the scope of a call inside this one; None if its calls do not overlap."""
        return Scope(self.options, self.permits, self.nested) if self.nested else None

    def run(self, function: Callable[[], T]) -> T:
        """Return what a function returns, after all of its calls have ended.

        Raises what it raises, else what the first failed call has raised.
        """
        token = _SCOPE.set(self)
        self.boundary = _caller()
        try:
            result: T = settled(function())
        except KeyboardInterrupt:
            _drop(self.calls)
            self.calls.clear()
            raise
        finally:
            _SCOPE.reset(token)
            self.boundary = None
            for one in self.calls:
                one.wait()
        for one in self.calls:
            if one.error is not None:
                raise one.error
        return result

    def may_overlap(self, frame: FrameType | None) -> bool:
        """Return whether nothing catches errors between a frame and this scope."""
        while frame is not None and frame is not self.boundary:
            if _is_guarded(frame.f_code, frame.f_lasti):
                return False
            frame = frame.f_back
        return True

    def start(self, name: str, position: Position, work: Callable[[], Any]) -> Any:
        """Start a call at a position, and return its pending result.

        Where as many calls run as may have a thread, the call is made here.
        """

        def placed() -> Any:
            with at(position):
                return outside(self.inner(), work)

        if not self._slots.acquire(blocking=False):
            return placed()
        call = Call(name)
        self.calls.append(call)
        call.start(placed, self.permits, ended=self._slots.release)
        return Pending(call.result)


def outside(scope: Scope | None, work: Callable[[], T]) -> T:
    """Return what `work` returns, with another scope in force."""
    token = _SCOPE.set(scope)
    try:
        return work()
    finally:
        _SCOPE.reset(token)


@frozen
class Work:
    """A call to make: its name, its position, a function, and what has to happen before it."""

    name: str
    position: Position
    function: Callable[[], Any]
    after: tuple[threading.Event, ...] = ()


def together(
    works: Sequence[Work],
    options: ExecutionOptions,
    *,
    fail_fast: bool = True,
    seconds: float | None = None,
) -> list[Any]:
    """Return the results of several calls in order; those that fail give their exceptions.

    They run at the same time, at most `max_workers`, or one after another. With `fail_fast`, calls
    that have not started when one fails do not start, and give None. Raises `ExecutionError` if
    they take longer than `seconds`; threads can't be stopped, so what they return then is lost.
    """
    until = None if seconds is None else time.monotonic() + seconds
    scope = _SCOPE.get()
    permits = None if scope is None else scope.permits
    if permits is None and options.max_workers is not None:
        permits = threading.Semaphore(options.max_workers)
    failed, slots = threading.Event(), threading.Semaphore(_THREADS)
    calls: list[Call] = []
    for one in works:
        _in_time(one.name, lambda left: slots.acquire(timeout=left), calls, until, seconds)
        call = Call(one.name)
        calls.append(call)

        def placed(one: Work = one) -> Any:
            if fail_fast and failed.is_set():
                return None
            try:
                with at(one.position):
                    return one.function()
            except BaseException:
                failed.set()
                raise

        call.start(placed, permits, one.after, slots.release)
        if not options.parallel:
            _in_time(call.name, call.wait, calls, until, seconds)
    for call in calls:
        _in_time(call.name, call.wait, calls, until, seconds)
    return [call.result() if call.error is None else call.error for call in calls]


def _drop(calls: Sequence[Call]) -> None:
    for one in calls:
        one.is_dropped = True


def _in_time(
    name: str,
    wait: Callable[[float | None], bool],
    calls: Sequence[Call],
    until: float | None,
    seconds: float | None,
) -> None:
    """Wait for a call; calls that have not started do not start where that ends early."""
    try:
        is_done = wait(None if until is None else max(0.0, until - time.monotonic()))
    except KeyboardInterrupt:
        _drop(calls)
        raise
    if not is_done:
        _drop(calls)
        raise ExecutionError(
            f"'{name}' did not end within {seconds:g} s",
            recovery_hint="set a longer timeout_seconds, or None",
        )


# ---------------------------------------------------------------- frames


def _caller() -> FrameType | None:
    import sys

    return sys._getframe(1)


@lru_cache(maxsize=1024)
def _entries(code: CodeType) -> tuple[Any, ...]:
    return tuple(getattr(dis.Bytecode(code), "exception_entries", ()))


def opcodes_that_catch() -> frozenset[str]:
    """Return the names of the instructions with which a handler begins."""
    return frozenset({"PUSH_EXC_INFO"}) & frozenset(dis.opmap)


def _is_guarded(code: CodeType, offset: int) -> bool:
    """Return whether a ``try`` or a ``with`` is around an instruction, in its own frame."""
    catches = {dis.opmap[name] for name in opcodes_that_catch()}
    for _ in range(32):  # a comprehension has a handler of its own inside of others
        found = [one for one in _entries(code) if one.start <= offset < one.end]
        if not found:
            return False
        target = found[0].target
        if code.co_code[target] in catches:
            return True
        offset = target
    return True
