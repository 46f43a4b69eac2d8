"""`trace`: a Python function into a chain."""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any, overload

from attrs import evolve

from chainlang.analysis.program import check
from chainlang.api.chain import Chain
from chainlang.api.recording import recording
from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.render import shown
from chainlang.errors import ChainlangError, raise_or_warn, warn
from chainlang.ir.declarations import Op
from chainlang.ir.made_labels import made_labels
from chainlang.tracer.layout import chain_of, live
from chainlang.tracer.parameters import parameters
from chainlang.tracer.places import Instruction, Place, definition, raised_at
from chainlang.tracer.recorder import Recorder
from chainlang.tracer.refusal import lint, refusal, refusals, refuse
from chainlang.tracer.steps import Scope, Step
from chainlang.tracer.traced import FUNCTIONS, Traced
from chainlang.tracer.type_errors import is_about_a_value
from chainlang.tracer.values import StandIn
from chainlang.tracer.variables import name_steps

_ONCE = frozenset({"random", "time", "datetime", "secrets", "uuid"})
"""Modules whose functions return something else each time."""


@overload
def trace(function: Callable[..., Any], /, **constants: Any) -> Chain: ...
@overload
def trace(**constants: Any) -> Callable[[Callable[..., Any]], Chain]: ...


def trace(function: Any = None, /, **constants: Any) -> Any:
    """Return the chain of a Python function, which is called once, with stand-ins for values.

    Each call of a chain, of a stage type, of `ask`, `when` or `for_each` in it becomes a part of
    the chain, named after the variable that holds its result; a text with values in it becomes a
    template. What is not known until the chain runs can't be looked at: `if`, `for`, `len` and
    ``+`` on it are errors with a caret. The parameters are fields of a row; `constants` are
    arguments that are known now.

    Raises `OperandError` for a function that can't be traced.

    >>> from chainlang import E, J, M, trace
    >>> @trace
    ... def panel(query):
    ...     quick = M(E("small", 5)(query))
    ...     careful = E("big")(query)
    ...     return J(quick, careful)
    >>> print(panel)
    ((quick = 5:E:small >> M) & (careful = E:big)) >> J
    """
    if function is None:
        return lambda one: trace(one, **constants)
    traced, code, at = _function(function)
    with refusals():
        fields = parameters(function, constants, at)
        recorder = Recorder(frozenset(fields), outermost=code, at=at)
        given = {name: recorder.value(name) for name in fields}
        made = _called(recorder, lambda: function(**given, **constants), code)
        recorder.end(recorder.scope, made, f"{traced.__name__}()")
    steps = list(recorder.scope.every())
    for step in steps:
        name_steps(step.frames)
    chain = _chain(recorder, steps, traced.__name__)
    FUNCTIONS[chain] = Traced(function, fields, constants)
    for one in (*_unread(recorder.scope), *_once(code, traced.__globals__)):
        warn(one)
    return chain


def _called(recorder: Recorder, call: Callable[[], Any], code: CodeType) -> Any:
    """Return what the function returns; errors of Python about stand-ins are refusals."""
    try:
        with recording(recorder):
            return call()
    except RecursionError as error:
        message = f"{code.co_name}() calls itself without an end"
        hint = "a function that is traced can't look at results, so nothing ends it"
        raise refusal(message, hint, raised_at(error.__traceback__)) from None
    except TypeError as error:
        if isinstance(error, ChainlangError) or not is_about_a_value(error):
            raise
        message = f"this needs a value that is not known while the function is traced: {error}"
        hint = 'in a prompt write f"{x}", which has a list or an object as JSON'
        raise refusal(message, hint, raised_at(error.__traceback__)) from None


# ---------------------------------------------------------------- kinds of functions


def _function(given: object) -> tuple[FunctionType, CodeType, Place]:
    """Return the function behind what is traced, its code and its place. Refuses other kinds."""
    function = given.__func__ if isinstance(given, MethodType) else given
    if not isinstance(function, FunctionType):
        what, hint = "no function of Python", "write @trace above def f(query): ..."
        if isinstance(given, Chain):
            what = "a chain already"
        elif isinstance(given, partial):
            what, hint = "a partial function", "write trace(f, name=value)"
        elif callable(given) and not isinstance(given, type | BuiltinFunctionType):
            what, hint = "an object", "trace its method: trace(x.method)"
        refuse(f"trace() takes a function, and {shown(given)} is {what}", hint)
    code = function.__code__
    at = definition(code, function.__globals__)
    name = function.__name__
    for kind, test in _KINDS.items():
        if test(function):
            hint = "write def and return: calls that don't read each other run together"
            refuse(f"{name} is {kind}, and only plain functions can be traced", hint, at)
    if name in _globals_read(code) and function.__globals__.get(name, function) is function:
        refuse(
            f"{name} calls itself, and nothing that is known while it is traced ends it",
            'to repeat a part until a condition holds, write loop(part, until="...", max=3)',
            at,
        )
    return function, code, at


_KINDS: Mapping[str, Callable[[object], bool]] = {
    "async": inspect.iscoroutinefunction,
    "a generator": inspect.isgeneratorfunction,
    "an async generator": inspect.isasyncgenfunction,
}


def _globals_read(code: CodeType) -> dict[str, tuple[CodeType, int]]:
    """Return the names that code and functions in it read from outside, where they are first."""
    found = {
        str(one.argval): (code, one.offset)
        for one in reversed([*dis.get_instructions(code)])
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")
        or (one.opname == "LOAD_DEREF" and one.argval in code.co_freevars)
    }
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            outside = _globals_read(inner).items()
            found |= {name: at for name, at in outside if name not in {*code.co_cellvars, *found}}
    return found


# ---------------------------------------------------------------- the chain


def _chain(recorder: Recorder, steps: list[Step], name: str) -> Chain:
    """Return the checked chain; a label that hides a field gets another number."""
    scope = recorder.scope
    taken = {*recorder.fields, *recorder.inner, *(one.item for one in steps if one.item)}
    taken -= {"query", *(step.op for step in steps if _names_its_own(step, recorder))}
    while True:
        labels = dict(zip(steps, made_labels(_names(steps, scope, name), taken), strict=True))
        chain = chain_of(scope, labels)
        body, items, found = check(chain.body, chain.items)
        hidden = {one.subject for one in found if one.kind == "label" and one.severity == "error"}
        hidden = {one for one in hidden if one in labels.values()}
        if not hidden - taken:
            raise_or_warn(
                _pointed(one, recorder) for one in found if not _is_cautious(one, recorder)
            )
            return Chain(body, items, bound=chain.bound, is_checked=True)
        taken |= {one for one in hidden if one is not None}


def _names_its_own(step: Step, recorder: Recorder) -> bool:
    """Return whether the name of a call is that of its op, which is called this once."""
    return step.op == (step.variable or step.default) and recorder.inner[str(step.op)] == 1


def _is_cautious(found: Diagnostic, recorder: Recorder) -> bool:
    """Return whether a warning is about a field that a function called anew gives to all calls.

    A verifier reads the query of a candidate that is from no model, and of no other.
    """
    return found.code == "unread" and found.kind == "field" and found.subject in recorder.anew


def _pointed(found: Diagnostic, recorder: Recorder) -> Diagnostic:
    """Return a finding about a field with a caret in the function, where it reads the field."""
    for value in recorder.read if found.kind == "field" else ():
        if value._field == found.subject and value._made_at is not None:
            return evolve(found, span=value._made_at.place.span or found.span)
    return found


def _names(steps: list[Step], scope: Scope, function: str) -> Iterator[str]:
    """Yield the name of each call: of a variable, of the function for its result, else its own."""
    for step in steps:
        yield step.variable or (function if step is scope.result else step.default)


def _unread(scope: Scope) -> Iterator[Diagnostic]:
    """Yield a warning for each call that the result does not need."""
    needed = live(scope)
    for step in scope.steps:
        for inner in step.inner if step in needed else ():
            yield from _unread(inner)
        if step not in needed:
            name = step.variable or step.called
            message = f"nothing reads '{name}', so the chain leaves it out"
            span = step.place.span if step.place else None
            hint = "let a prompt or a call read it, whose result is returned"
            yield Diagnostic("unread", message, span, hint)


def _once(code: CodeType, names: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """Yield a warning for each name of the function that is of time or of chance."""
    for name, where in _globals_read(code).items():
        value = names.get(name)
        module = getattr(value, "__name__", "") if inspect.ismodule(value) else ""
        module = module or str(getattr(value, "__module__", ""))
        if module.partition(".")[0] in _ONCE and not isinstance(value, StandIn | Op):
            message = f"{code.co_name} uses '{name}', which runs once, while it is traced"
            hint = "to run it for each row, write function(f), a stage that calls Python"
            yield lint(message, hint, Instruction(*where, dict(names)).place)
