"""Arguments of a recorded call: a query, results, and fields of the row."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from chainlang.api.call_arguments import STAGE_OPTIONS
from chainlang.tracer.refusal import refuse
from chainlang.tracer.values import Condition, Output, StandIn, Value, told

_OPTIONS = STAGE_OPTIONS | {"of", "fresh"}


def fields_of(
    name: str, given: tuple[Any, ...], named: Mapping[str, Any], read: Collection[str]
) -> dict[str, Any]:
    """Return the fields that a call of a chain gives, `query` among them.

    Refuses arguments that are neither a field nor a result. `name` is that of the chain, `read` are
    the names that its prompts read.
    """
    texts = [one for one in given if not isinstance(one, Output)]
    if any(isinstance(one, Output) for one in given[: len(texts)]):
        refuse(
            f"{name} is called on results, and then on {told(texts[-1])}",
            f"the query is first, and then results: {name}(query, a, b)",
        )
    if len(texts) > 1:
        refuse(f"{name} is called on {len(texts)} queries", f"write {name}(query, a, b)")
    _refuse_others(name, {key: one for key, one in named.items() if key not in read})
    fields = {**({"query": texts[0]} if texts else {}), **named}
    for key, value in fields.items():
        if isinstance(value, Condition) or not isinstance(value, Value | str | int | float):
            hint = "write a text, a number, or a value of a row or of a call"
            refuse(f"{name} is called with {key}={told(value)}", hint)
    return fields


def results_of(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the calls whose results a call is made on. Refuses one that is given twice."""
    found = [one._step for one in given if isinstance(one, Output)]
    for step in found:
        if found.count(step) > 1:
            refuse(f"'{step.name}' is given twice", "its candidates are read once")
    return tuple(found)


def refuse_no_results(name: str, fields: Mapping[str, Any]) -> None:
    """Refuse a call that reads results, and has none."""
    query = fields.get("query")
    hint = f"write {name}(a) or {name}(query, a, b)"
    if isinstance(query, Value) and query._is_answer and query._roots():
        hint = f"write {name}({query._roots()[0].name}): the result, and not its answer"
    refuse(f"{name} reads the results of calls, and is called on none", hint)


def refuse_values(name: str, text: str, are_in: Callable[[str], bool]) -> None:
    """Refuse a chain with a value in one of its own texts, as in the prompt of an op."""
    if are_in(text):
        refuse(
            f"{name} has a value in its own text, which is the same for all rows",
            'write ask(f"...") for a prompt with values, or give an op its fields: '
            'op("x", user="Say {{ text }}")()(text=a)',
        )


def _refuse_others(name: str, named: Mapping[str, Any]) -> None:
    """Refuse settings and options among the fields of a call."""
    from chainlang.settings import NAMES  # 100 ms that `import chainlang` does not need

    for key, value in named.items():
        several = value if isinstance(value, list | tuple) else (value,)
        has_values = any(isinstance(one, StandIn) for one in several)
        if key in _OPTIONS and has_values:
            refuse(f"{key}= can't be {told(value)}: an option is the same for all rows")
        if key in _OPTIONS:
            hint = f"write {name}({key}=...)(query) or {name}({key}=...)(a, b)"
            refuse(f"{key}= is an option of a stage, and not a field of a row", hint)
        if key in NAMES and not has_values:
            refuse(
                f"{key}= is a setting of a call, and the calls of a traced function do not run",
                f"give it to the call of the traced function, f(query, {key}=...)",
            )
