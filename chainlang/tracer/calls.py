"""Calls for traced functions: `ask` a model, `when` for a choice, `for_each` for a list."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from chainlang.api.chain import Chain, Operand
from chainlang.api.combinators import each, route
from chainlang.api.op import op
from chainlang.api.recording import current
from chainlang.diagnostics.render import shown
from chainlang.ir.builtins import EXPRESSIONS, TEMPLATES
from chainlang.tracer.layout import chain_in, chain_of
from chainlang.tracer.recorder import Recorder
from chainlang.tracer.refusal import refuse
from chainlang.tracer.steps import PROVISIONAL, Scope, Setting
from chainlang.tracer.values import Condition, Output, StandIn, Value, told

Arm: TypeAlias = "Callable[[], Any] | Operand"
"""A part of a choice: a function without arguments that calls chains, or a chain."""


def ask(
    prompt: str,
    model: str | None = None,
    count: int = 1,
    temperature: float | None = None,
    *,
    returns: Any = None,
    **settings: Any,
) -> Any:
    """Ask a model, in a traced function: `prompt` is a text with values in it, an f-string.

    It becomes an op, which has the name of the variable that holds the result. `returns` and the
    settings are those of `chainlang.op`; without a temperature it is 0. The result stands for its
    answer in other prompts; ``result.field`` is a field of its type.

    >>> from chainlang import ask, trace
    >>> @trace
    ... def poem(topic):
    ...     facts = ask(f"Three facts about {topic}.", "small")
    ...     return ask(f"Write a poem about {topic}. Use this: {facts}", "big", temperature=0.7)
    >>> print(poem, end="")
    op facts : generate {
      user = "Three facts about {{ topic }}."
    }
    op poem : generate {
      user = "Write a poem about {{ topic }}. Use this: {{ facts.answer }}"
    }
    main = facts:small >> poem:big:0.7
    """
    recorder = _recorder("ask")
    for one, fixed in {"model": model, "count": count, "temperature": temperature}.items():
        if recorder.holds(fixed):
            refuse(f"{one}= can't be {told(fixed)}: it is the same for all rows")
    given: dict[str, Any] = {"user": prompt, **settings}
    for name, value in given.items():
        if isinstance(value, StandIn):
            given[name] = value = f"{value}" if name in TEMPLATES else value  # noqa: PLW2901
        if name not in TEMPLATES and name not in EXPRESSIONS and recorder.holds(value):
            refuse(f"{name}= can't be {told(value)}: it is the same for all rows")
    texts = [one for name, one in given.items() if name in TEMPLATES and isinstance(one, str)]

    def make(at: Setting) -> Chain:
        def written(key: str, value: Any) -> Any:
            if key in TEMPLATES and isinstance(value, str):
                return recorder.marks.template(value, at.labels)
            return value._read()._written(at.labels) if isinstance(value, Value) else value

        made = {key: written(key, value) for key, value in given.items()}
        kind = {} if returns is None else {"returns": returns}
        word = op(at.label, kind="generate", **kind, **made)
        return word.configured(model=model, count=count, temperature=temperature)

    values = [one for one in given.values() if isinstance(one, Value)]
    reads = recorder.reads([*texts, *values])
    make(PROVISIONAL)  # for its errors, at the call
    return recorder.add(make, "ask", reads=reads)


def when(
    value: Any,
    then: Arm | Mapping[str, Arm],
    otherwise: Arm | None = None,
) -> Any:
    """Choose what is called, in a traced function: ``route`` of a chain.

    `value` is a condition, as ``check.verdict == "correct"``, with `then` and `otherwise`, two
    functions without arguments of which one is run; or a value, with a dict of functions by what
    the value may be, and `otherwise` for all else. Conditions are combined with ``&``, ``|`` and
    ``~``. Each function returns the result of a call.

    >>> from chainlang import E, J, trace, when
    >>> @trace
    ... def answer(query, topic):
    ...     return when(topic == "math", lambda: J(E("small", 3)(query)), lambda: E("big")(query))
    >>> print(answer)
    route(arms={"true": 3:E:small >> J}, by="topic == 'math'", default=E:big)
    """
    recorder = _recorder("when")
    arms = _arms(value, then, otherwise)
    scopes = {key: _arm(recorder, arm) for key, arm in arms.items()}
    default = None if otherwise is None else _arm(recorder, otherwise)

    def make(at: Setting) -> Chain:
        looked_at = value._read() if isinstance(value, Value) else value
        made = {key: chain_in(scope, at) for key, scope in scopes.items()}
        other = None if default is None else chain_in(default, at)
        return route(by=looked_at._written(at.labels), arms=made, default=other)

    inner = [*scopes.values(), *([default] if default else [])]
    return recorder.add(make, "when", reads=recorder.reads([value]), inner=inner)


def _arms(value: object, then: Arm | Mapping[str, Arm], otherwise: Arm | None) -> Mapping[str, Arm]:
    """Return the arms of a choice. Refuses what `when` can't look at."""
    if not isinstance(value, Value | Condition):
        known = f"when() looks at {shown(value)}, which is known while the function is traced"
        refuse(known, "write if in place of when")
    it = told(value).strip("`")
    if isinstance(value, Value):
        if isinstance(then, Mapping):
            return then
        refuse(
            "when() takes a condition, or a value and a dict",
            f"for true or false write when({it} == True, lambda: ..., otherwise=lambda: ...)\n"
            f'for a text when({it} == "a", ...) or when({it}, {{"a": lambda: ...}})',
        )
    if isinstance(then, Mapping):
        hint = f"write when({it}, lambda: ..., otherwise=lambda: ...)"
        refuse("when() has a condition, which is true or false, and a dict", hint)
    if otherwise is None:
        why = "so a row that does not satisfy the condition has no result"
        refuse(f"when() has no otherwise=, {why}", "write otherwise=lambda: ...")
    return {"true": then}


def _arm(recorder: Recorder, arm: object) -> Scope:
    with recorder.inside() as scope:
        if isinstance(arm, Operand):
            made: object = recorder.call(arm, (), {})
        elif callable(arm) and not isinstance(arm, StandIn):
            made = arm()
        else:
            refuse("the parts of when() are functions, so that only one of them is called",
                   "write lambda: before each")  # fmt: skip
        recorder.end(scope, made, "a part of when()")
    return scope


def for_each(values: Any, body: Callable[[Any], Any]) -> Any:
    """Call `body` for each item of a list, in a traced function: ``each`` of a chain.

    `values` is a list of the row or of a result, or a result, whose candidates are the items.
    `body` takes an item and returns the result of a call; the name of its parameter is that of the
    item in prompts. The result has the candidates of all items, in order.

    >>> from chainlang import E, J, ask, for_each, trace
    >>> @trace
    ... def summary(query, documents):
    ...     notes = for_each(documents, lambda document: ask(f"What says {document} of {query}?"))
    ...     return J(notes)
    >>> print(summary, end="")
    op ask : generate {
      user = "What says {{ document }} of {{ query }}?"
    }
    main = (notes = each(ask, item="document", over="documents")) >> J
    """
    recorder = _recorder("for_each")
    if not isinstance(values, Value):
        refuse(
            f"for_each() goes through {shown(values)}, which is no value of a row or of a call",
            "write for in place of for_each",
        )
    parameters = [*inspect.signature(body).parameters] if callable(body) else []
    if len(parameters) != 1 or isinstance(body, Operand):
        refuse(f"for_each() calls a function of one item, and {shown(body)} is none",
               "write for_each(values, lambda item: ...)")  # fmt: skip
    item = recorder.item(parameters[0])
    over = values.candidates if isinstance(values, Output) else values
    with recorder.inside(item) as scope:
        recorder.end(scope, body(recorder.value(item)), "the function of for_each()")

    def make(at: Setting) -> Chain:
        made = chain_of(scope, at.labels)
        return each(made, item=None if item == "item" else item, over=over._written(at.labels))

    return recorder.add(make, "for_each", reads=recorder.reads([over]), inner=[scope], item=item)


def _recorder(name: str) -> Recorder:
    found = current()
    if not isinstance(found, Recorder):
        refuse(f"{name}() is for functions that are traced", "write @trace above the function")
    return found
