"""Inputs of an operator made of what others have returned, with nothing lost where they join."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from chainlang.compat.ember.chain_operator import Outputs
from chainlang.compat.ember.structures import fields_of

__all__ = ["answers_of", "carried", "merged"]

_ANSWERS = ("final_answer", "answer")


def answers_of(output: Any) -> list[Any]:
    """Return the answers in an output: its candidates, its ``responses``, or its one answer."""
    if isinstance(output, Outputs):
        return [one.answer for one in output.candidates]
    fields = fields_of(output)
    if fields is None:
        return [output]
    if isinstance(fields.get("responses"), list | tuple):
        return [*fields["responses"]]
    return [fields[name] for name in _ANSWERS if name in fields][:1]


def carried(state: Mapping[str, Any], output: Any) -> dict[str, Any]:
    """Return the fields that the next operator of a sequence reads.

    Those of the output are before earlier ones; its answers are the ``responses``.
    """
    fields = fields_of(output)
    made = {**state, **({"output": output} if fields is None else fields)}
    answers = answers_of(output)
    return {**made, "responses": answers} if answers else made


def merged(outputs: Iterable[Any]) -> dict[str, Any]:
    """Return the fields of several outputs.

    A field that more than one has: lists are joined in order; equal values are one value, others a
    list. The answers of all are the ``responses``.

    >>> merged([{"responses": ["a"], "topic": "x"}, {"responses": ["b", "c"], "topic": "x"}])
    {'responses': ['a', 'b', 'c'], 'topic': 'x'}
    """
    found: dict[str, list[Any]] = {}
    several = [*outputs]
    for output in several:
        fields = fields_of(output)
        for name, value in ({"output": output} if fields is None else fields).items():
            found.setdefault(name, []).append(value)
    made = {name: _joined(values) for name, values in found.items()}
    answers = [one for output in several for one in answers_of(output)]
    if answers and any(answers_of(output) and fields_of(output) is not None for output in several):
        made["responses"] = answers
    return made


def _joined(values: list[Any]) -> Any:
    if len(values) > 1 and all(isinstance(one, list) for one in values):
        return [one for several in values for one in several]
    return values[0] if all(one == values[0] for one in values) else values
