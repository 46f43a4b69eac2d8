"""Functions with ``by_name=true``: each parameter is the field of its name, one result is whole."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from chainlang.diagnostics.diagnostic import Diagnostic
from chainlang.diagnostics.source import Span
from chainlang.diagnostics.suggest import suggest
from chainlang.errors import OperandError, error_of
from chainlang.ir.declarations import Item, bodies_of
from chainlang.ir.nodes import Expr, Function, WithFields
from chainlang.ir.visit import walk
from chainlang.semantics.bindings import Bound, functions_of, tool_names
from chainlang.semantics.functions import UserFunction
from chainlang.semantics.record import Candidate
from chainlang.semantics.tool_functions import ToolFunction

_BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def with_objects(
    bound: Bound, body: Expr, items: Iterable[Item], objects: Mapping[str, Any]
) -> Bound:
    """Return bindings with more functions: as parts of the chain, as tools, or as both.

    Raises `OperandError` for a function that can't be called so.
    """
    items = tuple(items)
    tools, parts, named = (
        tool_names(body, items),
        functions_of(body, items),
        given_by_name(body, items),
    )
    functions = {
        name: UserFunction.of(name, by_name(name, one, named[name]) if name in named else one)
        for name, one in objects.items()
        if name in parts or name not in tools
    }
    called = {name: ToolFunction.of(name, one) for name, one in objects.items() if name in tools}
    return bound.with_functions(functions).with_tools(called)


def given_by_name(body: Expr, items: Iterable[Item]) -> dict[str, frozenset[str]]:
    """Return the functions that are called by name, with the fields that `with_fields` gives them.

    Raises `OperandError` for one that is called in both ways.
    """
    found: dict[str, set[str]] = {}
    others: set[str] = set()
    for node in (one for whole in (body, *bodies_of(items).values()) for one in walk(whole)):
        if isinstance(node, Function):
            if node.by_name:
                found.setdefault(node.name, set())
            else:
                others.add(node.name)
        elif isinstance(node, WithFields) and isinstance(node.body, Function) and node.body.by_name:
            found.setdefault(node.body.name, set()).update(one.name for one in node.fields)
    for name in sorted(found.keys() & others):
        message = f"@{name} is called by name, and with candidates"
        hint = "bind the function under a second name for one of them"
        raise error_of("operand", message, hint, kind="function", subject=name)
    return {name: frozenset(fields) for name, fields in found.items()}


def by_name(name: str, function: Callable[..., Any], given: Collection[str]) -> Callable[..., Any]:
    """Return a function that is called with fields of the record, each by its name.

    What it returns is one candidate, also if it is a list or None. `given`: fields that a
    `with_fields` around it gives, which it has to take. Raises `OperandError` if it can't.
    """
    if not callable(function):
        return function  # `UserFunction.of` refuses it
    for field in sorted(given):
        if field != "after" and (found := unknown_parameter(name, function, field)) is not None:
            raise OperandError([found])
    takes, takes_any = _parameters(function)
    wanted = [one.replace(kind=one.KEYWORD_ONLY) for one in takes.values()]
    if takes_any:
        more = sorted(set(given) - takes.keys() - {"after"})
        wanted += [inspect.Parameter(one, inspect.Parameter.KEYWORD_ONLY) for one in more]
    return _with_signature(function, inspect.Signature(wanted))


def unknown_parameter(
    name: str, function: Callable[..., Any], field: str, span: Span | None = None
) -> Diagnostic | None:
    """Return the error of a field that a function does not take; None if it does."""
    takes, takes_any = _parameters(function)
    if field in takes or takes_any:
        return None
    message = f"{name}() has no parameter '{field}'"
    hint = suggest(field, takes) or "it takes none"
    return Diagnostic("operand", message, span, hint, kind="function", subject=name)


def _parameters(function: Callable[..., Any]) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the parameters of a function by name, and whether it takes any other, too."""
    try:
        known = tuple(inspect.signature(function, eval_str=True).parameters.values())
    except (NameError, TypeError, ValueError):  # no signature, or annotations for type checkers
        return {}, True
    takes = {one.name: one for one in known if one.kind in _BY_NAME}
    return takes, any(one.kind is one.VAR_KEYWORD for one in known)


def _with_signature(
    function: Callable[..., Any], signature: inspect.Signature
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        async def later(**named: Any) -> Any:
            return _whole(await function(**named))

        wrapper: Any = later
    else:

        def now(**named: Any) -> Any:
            return _whole(function(**named))

        wrapper = now
    functools.update_wrapper(wrapper, function, assigned=("__name__", "__doc__"), updated=())
    del wrapper.__wrapped__  # its signature is the one below
    wrapper.__signature__ = signature
    made: Callable[..., Any] = wrapper
    return made


def _whole(found: Any) -> Any:
    """Return what a function has returned as one candidate."""
    if found is None:
        return Candidate(None)
    return Candidate(list(found)) if isinstance(found, list | tuple) else found
