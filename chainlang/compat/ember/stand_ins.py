"""Stand-ins of results while a `forward` is traced into a chain, and the calls that make them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from chainlang.api.chain import Chain
from chainlang.api.recording import Recorder
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.ir.builtins import canonical
from chainlang.ir.nodes import Named, Repeat, Stage, Then
from chainlang.tracer.values import Output
from chainlang.tracer.variables import is_variable

__all__ = ["Responses", "TracedResult", "name_results", "recorded", "untraced"]

_ANSWERS = ("final_answer", "synthesized_response")
_FOLDS = ("J", "S", "M")
_FIELDS = ("reasoning", "explanation", "verdict", "confidence", "choice")
"""Fields of built-in stages that are a text or a number, as texts show them."""


class Responses:
    """The answers of a recorded call, as an argument of another call."""

    __slots__ = ("result",)

    def __init__(self, result: TracedResult) -> None:
        self.result = result

    def _refuse(self, *_: object) -> NoReturn:
        untraced("the answers of a call are a list only when the chain runs")

    __getitem__ = __len__ = __bool__ = __contains__ = __iter__ = __str__ = __format__ = _refuse
    __add__ = __radd__ = _refuse


class TracedResult(Output):
    """The result of a recorded call of an operator that is a chain: its fields are stand-ins."""

    __slots__ = ("_chain",)
    _chain: Chain

    @classmethod
    def of(cls, output: Output, chain: Chain) -> TracedResult:
        """Return the result of a call of a chain."""
        made = cls(output._mark, output._step)
        object.__setattr__(made, "_chain", chain)
        return made

    @property
    def output(self) -> Output:
        """Its answer, as the result of any call."""
        return Output(self._mark, self._step)

    @property
    def _last(self) -> str:
        """The type of its last stage."""
        node = self._chain.body
        while isinstance(node, Then | Named):
            node = node.parts[-1] if isinstance(node, Then) else node.body
        return canonical(node.name) if isinstance(node, Stage) and node.count == 1 else ""

    @property
    def is_one(self) -> bool:
        """Whether it has exactly one candidate, so that it is its answer."""
        node = self._chain.body
        alone = isinstance(node, Stage) and node.count == 1 and canonical(node.name) == "E"
        return alone or (self._last in _FOLDS and not isinstance(node, Repeat))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._named(name)

    def __getitem__(self, name: object) -> Any:
        return self._named(str(name))

    def _named(self, name: str) -> Any:
        if name == "responses":
            return Responses(self)
        if self.is_one and (name == "answer" or (name in _ANSWERS and self._last in _FOLDS)):
            return self.output
        if name not in _FIELDS:
            untraced(f"the field '{name}' of a result is known only when the chain runs")
        return getattr(self.output, name)

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ARG002  # Ember's signature
        """Return a field."""
        return self._named(name)


def untraced(reason: str) -> NoReturn:
    """Raise the error of a `forward` that is not one chain."""
    raise InvalidArgumentError(reason)


def recorded(recorder: Recorder, chain: Chain, fields: Mapping[str, Any] | None) -> TracedResult:
    """Record a call of a chain on fields, and return the stand-in of its result."""
    if fields is None:
        untraced("an operator is called with something other than fields")
    named = dict(fields)
    read: list[Any] = []
    if "responses" in named:
        several = named.pop("responses")
        read += [several.result.output] if isinstance(several, Responses) else _each(several)
    if "candidate_answer" in named:
        read += _each([named.pop("candidate_answer")])
    if _is_vote(chain):
        named.pop("query", None)  # which a vote does not read
    return TracedResult.of(recorder.call(chain, tuple(read), named), chain)


def _each(several: Any) -> list[Any]:
    if not isinstance(several, list | tuple) or not all(isinstance(one, Output) for one in several):
        untraced("these responses are no answers of calls, or of calls with several")
    return [one.output if isinstance(one, TracedResult) else one for one in several]


def name_results(steps: Iterable[Any]) -> None:
    """Give calls without a name that of a variable that holds their result."""
    for step in steps:
        for frame in step.frames:
            for name, value in frame.f_locals.items():
                known = step.variable is not None or not is_variable(name)
                if not known and isinstance(value, TracedResult) and value._step is step:
                    step.variable = name


def _is_vote(chain: Chain) -> bool:
    return isinstance(chain.body, Stage) and canonical(chain.body.name) == "M"
