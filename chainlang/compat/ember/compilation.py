"""`jit` and `structural_jit`: a `forward` as one chain, or its calls overlapping.

A `forward` that passes values on, and does nothing else with them, is traced into one chain. In any
other, calls that do not need each other overlap; the results are those of plain calls, types and
errors included. Nothing of an earlier call is replayed.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, TypeVar, overload
from weakref import WeakSet

from attrs import define, field, fields_dict

from chainlang.compat.ember.dataflow import Scope, scope_now
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.compat.ember.execution_options import (
    ExecutionOptions,
    execution_options,
    get_execution_options,
)
from chainlang.compat.ember.jit_options import JITMode, JITOptions
from chainlang.compat.ember.one_chain import OneChain, Refused, one_chain
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.structures import fields_of
from chainlang.compat.ember.use import at, next_position

__all__ = [
    "JITMode",
    "JITOptions",
    "disable_structural_jit",
    "explain_jit_selection",
    "get_jit_stats",
    "jit",
    "structural_jit",
]

T = TypeVar("T", bound=Callable[..., Any])
Strategy = Literal["auto", "parallel", "sequential"]

_PLAN = "_plan"
_disabled: ContextVar[bool] = ContextVar("jit is off", default=False)


@define
class _Stats:
    """Counts of one jitted function or class."""

    calls: int = 0
    as_one_chain: int = 0
    traced: int = 0
    reused: int = 0
    overlapped: int = 0
    seconds: float = 0.0


@define(eq=False)
class _Jit:
    """The way a jitted `forward` or function is executed."""

    name: str
    options: JITOptions
    strategy: Strategy = "auto"
    threshold: int = 2
    max_workers: int | None = None
    is_on: bool = True
    stats: _Stats = field(factory=_Stats)

    def prepare(self, operator: Operator[Any, Any]) -> None:
        """Check the sample inputs of a new operator."""
        sample, specification = self.options.sample_input, operator.specification
        if sample is not None and specification is not None:
            specification.validate_inputs(inputs=dict(sample))
        if sample is not None or self.must_trace:
            self.plan(operator)

    @property
    def must_trace(self) -> bool:
        """Whether a `forward` that is not one chain is an error."""
        return self.options.mode == "trace" or not self.options.fallback

    def plan(self, operator: Operator[Any, Any]) -> OneChain | Refused:
        """Return the chain of an operator, which is traced once, or why there is none."""
        found: OneChain | Refused | None = vars(operator).get(_PLAN)
        if found is None:
            found = one_chain(operator)
            self.stats.traced += 1
            object.__setattr__(operator, _PLAN, found)
        if isinstance(found, Refused) and self.must_trace:
            raise InvalidArgumentError(
                f"{self.name}.forward is not one chain: {found.reason}",
                recovery_hint='without mode="trace" and fallback=False, its calls overlap',
            )
        return found

    def run(self, operator: Operator[Any, Any], inputs: Any) -> Any:
        """Return what the `forward` of an operator returns."""
        is_known, started = _PLAN in vars(operator), time.perf_counter()
        if self.is_one(operator) and _is_row(inputs):
            plan = self.plan(operator)
            assert isinstance(plan, OneChain)
            try:
                return plan.run(inputs)
            finally:
                self.stats.calls += 1
                self.stats.as_one_chain += 1
                self.stats.reused += is_known
                self.stats.seconds += time.perf_counter() - started
        return self.execute(lambda: operator.forward(inputs=inputs), operator)

    def is_one(self, operator: Operator[Any, Any]) -> bool:
        """Return whether the operator is run as one chain, by the options in force."""
        options = get_execution_options()
        return (
            self.is_on
            and not _disabled.get()
            and not self.options.force_trace
            and self.options.mode in ("auto", "trace")
            and options.parallel
            and options.max_workers is None
            and not getattr(operator, "runs_chain", False)
            and isinstance(self.plan(operator), OneChain)
        )

    def execute(self, function: Callable[[], Any], owner: object = None) -> Any:
        """Return what a function returns, its calls overlapping where they may."""
        started = time.perf_counter()
        scope = self._scope(owner)
        try:
            if self.options.preserve_stochasticity and get_execution_options().enable_caching:
                with execution_options(enable_caching=False):
                    return function() if scope is None else scope.run(function)
            return function() if scope is None else scope.run(function)
        finally:
            self.stats.calls += 1
            self.stats.overlapped += 0 if scope is None else len(scope.calls)
            self.stats.seconds += time.perf_counter() - started

    def _scope(self, owner: object) -> Scope | None:
        if not self.is_on or _disabled.get() or self.options.force_trace:
            return None
        options, around = get_execution_options(), scope_now()
        if self.max_workers is not None:
            options = options.with_options(max_workers=self.max_workers)
        if not self.overlaps(options, owner):
            return None
        if around is not None and self.max_workers is None:
            return Scope(options, around.permits, self.options.recursive)
        return Scope.of(options, nested=self.options.recursive)

    def overlaps(self, options: ExecutionOptions, owner: object) -> bool:
        """Return whether calls overlap, by the strategy and the options in force."""
        if self.strategy == "sequential" or not options.parallel:
            return False
        enough = self.strategy == "parallel" or held(owner) >= self.threshold
        return enough or not isinstance(owner, Operator) or self.threshold <= 0


def _is_row(inputs: Any) -> bool:
    """Return whether all fields of inputs are texts and whole numbers."""
    return all(type(one) in (str, int) for one in (fields_of(inputs) or {"": None}).values())


def held(owner: object) -> int:
    """Return the number of operators that an operator holds, also in lists, and inside these."""
    if not isinstance(owner, Operator):
        return 0
    found = 0
    for value in vars(owner).values():
        several = value if isinstance(value, list | tuple) else [value]
        found += sum(1 + held(one) for one in several if isinstance(one, Operator))
    return found


_made: WeakSet[_Jit] = WeakSet()

# ---------------------------------------------------------------- decorators


@overload
def jit(func: T, /) -> T: ...
@overload
def jit(
    func: None = None,
    *,
    mode: str = ...,
    sample_input: Mapping[str, Any] | None = ...,
    recursive: bool = ...,
    force_trace: bool = ...,
    preserve_stochasticity: bool = ...,
    fallback: bool = ...,
    options: JITOptions | None = ...,
) -> Callable[[T], T]: ...


def jit(func: Any = None, *, options: JITOptions | None = None, **changed: Any) -> Any:
    """Let calls of operators overlap inside a function, or inside the `forward` of a class.

    As a decorator, ``@jit`` or ``@jit(recursive=False)``; `options`, or keywords, are those of
    `JITOptions`. A `forward` that can be traced runs as one chain. Else a call starts when what it
    reads is there, unless a ``try`` or ``with`` is around it. `execution_options` say whether and
    how many calls overlap.

    >>> from chainlang.compat.ember import Operator, non, use
    >>> from chainlang.engines.fake import FakeEngine
    >>> @jit
    ... class Both(Operator):
    ...     def __init__(self):
    ...         self.first = non.UniformEnsemble(num_units=2, model_name="a", temperature=0.7)
    ...         self.second = non.UniformEnsemble(num_units=1, model_name="b", temperature=0.7)
    ...     def forward(self, *, inputs):
    ...         first, second = self.first(inputs=inputs), self.second(inputs=inputs)
    ...         return {"responses": first.responses + second.responses}
    >>> with use(engine=FakeEngine(answers={"17": "42"})):
    ...     Both()(query="What is 17 + 25?")
    {'responses': ['42', '42', '42']}
    >>> get_jit_stats(Both)["overlapped_calls"]
    2
    """
    if options is not None and changed:
        raise InvalidArgumentError(
            "jit takes options= or keywords, not both", recovery_hint="jit(options=JITOptions(...))"
        )
    unknown = [name for name in changed if name not in fields_dict(JITOptions)]
    if unknown:
        known = ", ".join(fields_dict(JITOptions))
        raise InvalidArgumentError(
            f"jit has no option '{unknown[0]}'", recovery_hint=f"there are: {known}"
        )
    chosen = options or JITOptions(**changed)

    def decorate(target: Any) -> Any:
        return _decorated(target, _Jit(_name(target), chosen, threshold=0))

    return decorate if func is None else decorate(func)


def structural_jit(
    func: Any = None,
    *,
    execution_strategy: Strategy = "auto",
    parallel_threshold: int = 2,
    max_workers: int | None = None,
    options: JITOptions | None = None,
) -> Any:
    """Let calls overlap as `jit` does, by what an operator holds.

    ``"auto"`` does so where it holds at least `parallel_threshold` operators, those inside of them
    included; ``"parallel"`` always, ``"sequential"`` never.
    """
    if execution_strategy not in ("auto", "parallel", "sequential"):
        raise InvalidArgumentError(
            f"execution_strategy= can't be {execution_strategy!r}",
            recovery_hint="there are: auto, parallel, sequential",
        )
    ExecutionOptions(max_workers=max_workers)

    def decorate(target: Any) -> Any:
        made = _Jit(
            _name(target),
            options or JITOptions(mode="structural"),
            execution_strategy,
            parallel_threshold,
            max_workers,
        )
        return _decorated(target, made)

    return decorate if func is None else decorate(func)


def _name(target: Any) -> str:
    return getattr(target, "__name__", type(target).__name__)


def _decorated(target: Any, made: _Jit) -> Any:
    _made.add(made)
    if isinstance(target, type) and issubclass(target, Operator):
        target._runner = made
        return _controlled(target, made)
    if isinstance(target, type) or not callable(target):
        raise InvalidArgumentError(
            f"jit takes a function or a class of operators, not {target!r}",
            recovery_hint="derive the class from Operator",
        )

    if made.must_trace:
        raise InvalidArgumentError(
            f"jit makes one chain of a class of operators, not of the function {made.name}",
            recovery_hint="chainlang.trace makes a chain of a function",
        )

    @functools.wraps(target, updated=())
    def wrapped(*args: Any, **keywords: Any) -> Any:
        with at(next_position(lambda: (made.name, repr((args, keywords))))):
            return made.execute(lambda: target(*args, **keywords), target)

    wrapped._runner = made  # type: ignore[attr-defined]
    return _controlled(wrapped, made)


def _controlled(target: Any, made: _Jit) -> Any:
    target.disable_jit = lambda *_: setattr(made, "is_on", False)
    target.enable_jit = lambda *_: setattr(made, "is_on", True)
    return target


@contextmanager
def disable_structural_jit() -> Iterator[None]:
    """Run jitted functions and operators as they are, inside the block."""
    token = _disabled.set(True)
    try:
        yield
    finally:
        _disabled.reset(token)


# ---------------------------------------------------------------- what happened


def _jit_of(target: Any) -> _Jit:
    made = getattr(target, "_runner", None)
    if not isinstance(made, _Jit):
        raise InvalidArgumentError(f"{_name(target)} is not jitted", recovery_hint="write @jit")
    return made


def get_jit_stats(target: Any = None) -> dict[str, Any]:
    """Return what was counted for a jitted function, class or operator; None: for all of them.

    The keys: ``calls``, ``calls_as_one_chain``, ``overlapped_calls`` (calls of operators inside,
    which ran in threads of their own), ``compilation_count`` (operators that were traced),
    ``cache_hits`` and ``cache_misses`` (calls as one chain that was traced before, or then),
    ``total_execution_time_ms``, ``avg_execution_time_ms``.
    """
    several = [one.stats for one in _made] if target is None else [_jit_of(target).stats]
    sums = {name: sum(getattr(one, name) for one in several) for name in fields_dict(_Stats)}
    calls, milliseconds = sums["calls"], sums["seconds"] * 1000
    return {
        "calls": calls,
        "calls_as_one_chain": sums["as_one_chain"],
        "overlapped_calls": sums["overlapped"],
        "compilation_count": sums["traced"],
        "cache_hits": sums["reused"],
        "cache_misses": sums["as_one_chain"] - sums["reused"],
        "total_execution_time_ms": milliseconds,
        "avg_execution_time_ms": milliseconds / calls if calls else 0.0,
    }


def explain_jit_selection(target: Any) -> dict[str, str]:
    """Return how a jitted function or operator is executed now, as ``strategy``, and why.

    An operator that is one chain has it as ``chain``.
    """
    made = _jit_of(target)
    options = get_execution_options()
    if not made.is_on or _disabled.get():
        return {"strategy": "plain", "rationale": "jit is disabled"}
    if made.options.force_trace:
        return {"strategy": "plain", "rationale": "force_trace runs the function as it is"}
    if not options.parallel:
        return {"strategy": "plain", "rationale": "the execution options are sequential"}
    reason = "a call starts when what it reads is there"
    if isinstance(target, Operator):
        if made.is_one(target):
            chain = str(target.as_chain())
            return {"strategy": "chain", "rationale": "its forward can be traced", "chain": chain}
        plan = vars(target).get(_PLAN)
        if isinstance(plan, Refused):
            reason += f"; it is not one chain: {plan.reason}"
    if made.overlaps(options, target):
        return {"strategy": "overlap", "rationale": reason}
    reason = f"{made.strategy}: it holds {held(target)} operators of {made.threshold}"
    return {"strategy": "plain", "rationale": reason}
