"""A `forward` as one chain: traced once, and run with the optimizer's passes and the plan's graph.

`one_chain` gives the reason where that can't be; then calls overlap instead, as `dataflow` has it.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

from attrs import field, frozen
from pydantic import BaseModel

from chainlang.api import recording
from chainlang.api.chain import Chain
from chainlang.api.recording import Recorder
from chainlang.compat.ember.calls import run_chain
from chainlang.compat.ember.chain_operator import Outputs
from chainlang.compat.ember.exceptions import InvalidArgumentError
from chainlang.compat.ember.operator import Operator
from chainlang.compat.ember.stand_ins import (
    Responses,
    TracedResult,
    name_results,
    untraced,
)
from chainlang.compat.ember.straight import Watch, forwards, why_not
from chainlang.compat.ember.structures import fields_of
from chainlang.errors import ChainlangError, ChainlangWarning
from chainlang.tracer.trace import trace
from chainlang.tracer.values import Output, Value

__all__ = ["OneChain", "Refused", "one_chain"]

Reader = Callable[[Outputs], Any]


@frozen
class Refused:
    """The reason why a `forward` is not one chain."""

    reason: str


@frozen
class OneChain:
    """The chain of a `forward`, and how its output is made of a result."""

    chain: Chain
    read: Reader = field(repr=False)

    def run(self, inputs: Any) -> Any:
        """Return the output for inputs."""
        return self.read(Outputs.of(run_chain(self.chain, fields_of(inputs), {})))


def one_chain(operator: Operator[Any, Any]) -> OneChain | Refused:
    """Return the chain of an operator's `forward`, or the reason why there is none."""
    model = operator.specification and operator.specification.input_model
    if model is None:
        return Refused("its inputs have no declared fields")
    unfit = [name for name, one in model.model_fields.items() if one.annotation not in (str, int)]
    if unfit:
        return Refused(f"its field '{unfit[0]}' is neither a text nor a whole number")
    watch, shape = Watch(), list[Any]()
    for one, forward in forwards(operator):
        reason = why_not(one, forward)
        if reason is not None:
            return Refused(reason)
        watch.allow(forward.__code__)

    def called(**fields: Any) -> Any:
        inputs = model.model_construct(**fields)
        with watch:
            made = operator.forward(inputs=inputs)
        recorder: Any = recording.current()
        name_results(recorder.scope.every())
        shape.append(made)
        return _root(made)

    by_name = inspect.Parameter.KEYWORD_ONLY
    called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, by_name) for name in model.model_fields]
    )
    called.__name__ = "answer"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ChainlangWarning)
            chain = trace(called)
    except (ChainlangError, ChainlangWarning) as error:
        return Refused(error.diagnostics[0].message)
    except Exception as error:  # noqa: BLE001  # what Python says about stand-ins
        return Refused(f"{type(error).__name__}: {error}")
    if watch.found is not None:
        return Refused(watch.found)
    return OneChain(chain, _reader(shape[0]))


# ---------------------------------------------------------------- the output


def _root(made: Any) -> Any:
    """Return the one call that an output reads."""
    if isinstance(made, TracedResult):
        return made.output
    if isinstance(made, Output):
        return made
    fields = fields_of(made)
    if fields is None:
        untraced("its output is neither a model nor a dict")
    outputs = dict[int, Output]()
    for value in fields.values():
        if isinstance(value, Responses):
            outputs[id(value.result.output._step)] = value.result.output
        elif isinstance(value, Output):
            outputs[id(value._step)] = Output(value._mark, value._step)
        elif isinstance(value, Value):
            for step in value._roots():
                outputs.setdefault(id(step), Output(value._mark, step))
    if len(outputs) != 1:
        untraced(f"its output reads {len(outputs)} calls, and not one")
    return next(iter(outputs.values()))


def _reader(made: Any) -> Reader:
    """Return the function that makes such an output of a result."""
    if isinstance(made, TracedResult):
        return lambda result: result
    if isinstance(made, Output):
        return lambda result: result.answer
    fields: Mapping[str, Any] = fields_of(made) or {}
    readers = {name: _field(one) for name, one in fields.items()}

    def read(result: Outputs) -> Any:
        found = {name: one(result) for name, one in readers.items()}
        return type(made).model_validate(found) if isinstance(made, BaseModel) else found

    return read


def _field(value: Any) -> Reader:
    if isinstance(value, Responses):
        return lambda result: result["responses"]
    if isinstance(value, Output):
        return lambda result: result.answer
    if isinstance(value, Value):
        name = value._field
        return lambda result: result[name]
    return lambda _: value


def recorded_operator(recorder: Recorder, operator: Operator[Any, Any], given: Any) -> Any:
    """Return what a `forward` returns for stand-ins, in a function that is traced."""
    model = operator.specification and operator.specification.input_model
    fields = fields_of(given)
    if fields is None:
        raise InvalidArgumentError("an operator is called with something other than fields")
    inputs: Any = fields if model is None else model.model_construct(**fields)
    return operator.forward(inputs=inputs)


Operator.as_one = staticmethod(one_chain)
Operator.as_recorded = staticmethod(recorded_operator)
